"""`featx export`."""

from __future__ import annotations

from typing import Any

import click

from featx.cli.flags import cache_option, json_option, model_weights_option
from featx.cli.help import command, option
from featx.cli.output import emit, is_quiet, working
from featx.export.formats import FORMATS

_INTRODUCTION = "A program that labels photo.jpg with it, without featx:"


@command(epilog="Example: featx export fruit.featx --to onnx --out fruit.onnx")
@click.argument("model")
@option(
    "--to",
    "format",
    type=click.Choice(tuple(FORMATS)),
    help="The format; by default that of the name of the file.",
)
@option(
    "--out",
    metavar="FILE",
    required=True,
    group="Output",
    help="The file: .onnx, .xml (OpenVINO, with a .bin beside it), .tflite (LiteRT) or .keras.",
)
@option(
    "--quantize",
    is_flag=True,
    help="Let the networks compute in int8, a quarter of the size; needs --calibrate.",
)
@option(
    "--calibrate",
    metavar="FOLDER",
    group="Pictures",
    help="Pictures to check the file with, and to calibrate int8 on; sub-folders are the truth.",
)
@model_weights_option
@cache_option
@json_option
def export(
    model: str,
    format: str | None,
    out: str,
    quantize: bool,
    calibrate: str | None,
    weights: str | None,
    cache: Any,
    as_json: bool,
) -> None:
    """Write a model as a file that runs without featx.

    Pixels go in, probabilities come out: networks and classifier together. The file is run in its
    runtime and held against featx before it takes its place. A program of a few lines that labels a
    picture with it is printed, too.
    """
    import featx

    with working():
        exported = featx.load(model, weights=weights).export(
            out,
            format=format,
            quantize=quantize,
            calibrate=calibrate,
            cache=cache,
            progress=not is_quiet(),
        )
    text = f"{exported.summary}\n\n{_INTRODUCTION}\n\n{exported.reference}\n"
    emit(exported.to_dict(), text, as_json=as_json, out=out)
