"""`featx serve`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import click

from featx.cli.flags import embedding_options, json_option, model_weights_option
from featx.cli.help import command, option
from featx.cli.output import is_quiet, say, working
from featx.features.options import EngineOptions
from featx.serving.limits import ServeLimits
from featx.text import listed, printable

_USUAL = ServeLimits()


@command(epilog="Example: featx serve fruit.featx --port 8000")
@click.argument("model")
@option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where to listen; 0.0.0.0 is everywhere, which takes --token.",
    group="Access",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    metavar="N",
    help="The port; 0 is any that is free.",
    group="Access",
)
@option(
    "--token",
    envvar="FEATX_TOKEN",
    show_envvar=True,
    metavar="TEXT",
    help="What clients have to know: they send 'Authorization: Bearer TEXT'.",
    group="Access",
)
@option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="URL",
    help="Another site whose pages may use the service; may be repeated.",
    group="Access",
)
@option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="A name of the service beside localhost, such as that of a proxy; may be repeated.",
    group="Access",
)
@option(
    "--max-pictures",
    type=click.IntRange(min=1),
    default=_USUAL.pictures,
    show_default=True,
    metavar="N",
    help="Pictures of a request, at most.",
    group="Limits",
)
@option(
    "--max-megabytes",
    type=click.FloatRange(min=0, min_open=True),
    default=_USUAL.picture_bytes / 1e6,
    show_default=True,
    metavar="MB",
    help="Size of a picture, at most; that of a request is 3.2 times as much.",
    group="Limits",
)
@option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=_USUAL.pixels,
    show_default=True,
    metavar="N",
    help="Pixels of a picture, at most.",
    group="Limits",
)
@option(
    "--queue",
    type=click.IntRange(min=1),
    default=_USUAL.queue,
    show_default=True,
    metavar="N",
    help="Pictures that may wait; who comes then is told to come again (503).",
    group="Limits",
)
@option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=_USUAL.receive_seconds,
    show_default=True,
    metavar="SECONDS",
    help="Time to receive a request in, and to answer it.",
    group="Limits",
)
@option(
    "--collect",
    metavar="DIR",
    help="Keep pictures whose answers are corrected, and a table of them that `featx train` takes.",
    group="Output",
)
@model_weights_option
@embedding_options(EngineOptions)
@json_option
def serve(
    model: str,
    host: str,
    port: int,
    token: str | None,
    weights: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Answer over HTTP what a model says of pictures.

    POST a picture to /predict; / is a page to try it. Only this machine is answered, unless --host
    says otherwise. SIGTERM and Ctrl-C end it, once what is under way is answered.
    """
    import featx
    from featx.serving.server import check_hosts, check_origins, check_token, require_serving

    limits = _limits(options)
    require_serving()
    check_token(host, token)
    check_hosts(options["allow_hosts"])
    check_origins(options["allow_origins"])
    stdout = sys.stdout
    with working():
        loaded = featx.load(model, weights=weights)

        def ready(address: str) -> None:
            line = f"serving {printable(model)} ({listed(loaded.classes)}) at {address}"
            if as_json:
                print(json.dumps({"model": model, "address": address}), file=stdout, flush=True)
            elif not is_quiet():
                say(f"{line}; Ctrl-C ends it", err=True)

        featx.serve(loaded, host, port, token=token, limits=limits, on_ready=ready, **options)


def _limits(options: dict[str, Any]) -> ServeLimits:
    """Take the limits out of the options."""
    size, seconds = options.pop("max_megabytes"), options.pop("timeout")
    return replace(
        _USUAL,
        pictures=options.pop("max_pictures"),
        picture_bytes=max(1, round(size * 1e6)),
        request_bytes=max(1, round(3.2 * size * 1e6)),
        pixels=options.pop("max_pixels"),
        queue=options.pop("queue"),
        receive_seconds=seconds,
        answer_seconds=seconds,
    )
