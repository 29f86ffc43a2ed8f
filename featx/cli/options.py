"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from featx.backbones.engine import ENGINES, POOLINGS, PRECISIONS
from featx.backbones.table import DEFAULT_BACKBONE
from featx.features.store import cache_folder
from featx.images.fit import DECODES, INTERPOLATIONS, RESIZES

Command = Callable[..., Any]

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
)
weights_option = click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    metavar="imagenet|random|PATH",
    help="Weights of the network: ImageNet's, random ones, a file, or a folder of files under "
    "Keras's names.",
)


def _backbone_option(more: str = "") -> Callable[[Command], Command]:
    return click.option(
        "--backbone",
        default=DEFAULT_BACKBONE,
        show_default=True,
        metavar="NAME",
        help=f"The network; `featx backbones` lists them.{more}",
    )


backbone_option = _backbone_option()
joined_backbone_option = _backbone_option(" resnet50+xception joins two.")

backbones_option = click.option(
    "--backbones",
    default="all",
    show_default=True,
    metavar="all|A,B",
    help="The networks; all means those whose weights are on this machine.",
)
fast_option = click.option(
    "--fast",
    is_flag=True,
    help="Both --decode scaled and --precision bfloat16: several times faster, for nearly the same "
    "features.",
)


model_weights_option = click.option(
    "--weights", metavar="PATH", help="Weights of the model's network, if they have moved."
)
report_option = click.option(
    "--report",
    metavar="FILE.html",
    help="Write a page to look at: accuracy, confusions, pictures, a map of the features.",
)


def check_report(path: str | None) -> None:
    """Refuse a report that cannot be written, before any work is done."""
    if path is None:
        return
    from featx.files import check_writable

    check_writable(path, (".html", ".htm"))


def _check_cache(context: click.Context, option: click.Parameter, cache: Any) -> Any:
    """Refuse a cache that is a file, before any work is done."""
    if cache is not False:
        folder = cache_folder(cache)
        if folder.exists() and not folder.is_dir():
            raise click.BadParameter(f"{str(folder)!r} is a file, not a folder")
    return cache


cache_option = click.option(
    "--cache",
    "cache",
    type=click.UNPROCESSED,
    metavar="DIR",
    callback=_check_cache,
    help="Folder of the cache.  [default: FEATX_CACHE, or the user's cache folder]",
)


def cache_options(command: Command) -> Command:
    """Add --cache and --no-cache, which arrive as `cache`: a folder, False or None."""
    command = click.option(
        "--no-cache", "cache", flag_value=False, type=click.UNPROCESSED, help="Keep no features."
    )(command)
    return cache_option(command)


def run_options(command: Command) -> Command:
    """Add the options of how to run, which change no feature."""
    command = click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        metavar="N",
        help="Pictures that go through the network at once.  [default: what suits the engine]",
    )(command)
    command = click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        show_default=True,
        help="What runs the network: OpenVINO is the fast one on CPUs, Keras the one on GPUs.",
    )(command)
    command = click.option(
        "--on-error",
        type=click.Choice(["skip", "raise"]),
        default="skip",
        show_default=True,
        help="Leave files that cannot be read out and list them, or stop at the first.",
    )(command)
    return cache_options(command)


def embedding_options(command: Command) -> Command:
    """Add every option of `featx.embed`, under its Python name."""
    pooling_option = click.option(
        "--pooling",
        type=click.Choice(POOLINGS),
        default="avg",
        show_default=True,
        help="How the last map becomes a vector.",
    )
    return joined_backbone_option(pooling_option(shared_embedding_options(command)))


def shared_embedding_options(command: Command) -> Command:
    """Add the options of `featx.embed` that several networks and poolings may share."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "--layer",
            metavar="NAME",
            help="Read this layer instead of the last one; A+B joins two.",
        ),
        click.option(
            "--views",
            type=int,
            default=0,
            show_default=True,
            metavar="N",
            help="Augmented views of each picture to go along: mirrored, tilted, a part of it.",
        ),
        click.option(
            "--input-size",
            type=int,
            metavar="PX",
            help="Side of the square picture that the network sees.  [default: its own]",
        ),
        click.option(
            "--resize",
            type=click.Choice(RESIZES),
            default="squash",
            show_default=True,
            help="How a picture becomes square.",
        ),
        click.option(
            "--interpolation",
            type=click.Choice(INTERPOLATIONS),
            default="bilinear",
            show_default=True,
            help="The filter of the resizing.",
        ),
        click.option(
            "--decode",
            type=click.Choice(DECODES),
            default="full",
            show_default=True,
            help="Decode JPEGs in full, or scaled down to no less than twice the input size.",
        ),
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            default="float32",
            show_default=True,
            help="The numbers that the network computes in.",
        ),
        fast_option,
        weights_option,
        run_options,
    ]
    for option in reversed(options):
        command = option(command)
    return command
