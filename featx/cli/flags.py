"""Options of the commands; those of embedding are derived from `featx.features.options`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, get_args

import click
from click.core import ParameterSource

from featx.backbones.table import DEFAULT_BACKBONE
from featx.features.options import OPTIONS, Option, options_of, type_of
from featx.features.store.store import cache_folder
from featx.files import check_writable

Command = Callable[..., Any]

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
)
test_option = click.option(
    "--test", metavar="FOLDER", help="Labelled pictures to measure the model on."
)
backbones_option = click.option(
    "--backbones",
    default="all",
    show_default=True,
    metavar="all|A,B",
    callback=lambda context, option, text: text if text == "all" else listed(option.name, text),
    help="The networks; all means those whose weights are on this machine.",
)
model_weights_option = click.option(
    "--weights", metavar="PATH", help="Weights of the model's network, if they have moved."
)


def backbone_option(*, joined: bool = True) -> Callable[[Command], Command]:
    """Return --backbone, which may name several networks to join."""
    return click.option(
        "--backbone",
        default=DEFAULT_BACKBONE,
        show_default=True,
        metavar="NAME",
        help="The network; `featx backbones` lists them."
        + (" resnet50+xception joins two." if joined else ""),
    )


def listed(name: str, text: str) -> list[str]:
    """Split a list at its commas."""
    names = [each.strip() for each in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise click.UsageError(f"{name} {text!r}: expected different names with a comma between")
    return names


def list_option(flag: str, default: str, help: str) -> Callable[[Command], Command]:
    """Return an option that takes names with commas between."""
    return click.option(
        flag,
        default=default,
        show_default=True,
        metavar="A,B",
        callback=lambda context, option, text: listed(option.name, text),
        help=help,
    )


def file_option(
    flag: str, metavar: str, help: str, *, suffixes: Sequence[str] = (), required: bool = False
) -> Callable[[Command], Command]:
    """Return an option that names a file to write, which is checked before any work is done."""

    def check(context: click.Context, option: click.Parameter, path: str | None) -> str | None:
        if path is not None:
            check_writable(path, suffixes)
        return path

    return click.option(flag, metavar=metavar, help=help, required=required, callback=check)


report_option = file_option(
    "--report",
    "FILE.html",
    "Write a page to look at: accuracy, confusions, pictures, a map of the features.",
    suffixes=(".html", ".htm"),
)


def _check_cache(context: click.Context, option: click.Parameter, cache: Any) -> Any:
    """Refuse a cache that is a file, before any work is done."""
    if cache is not False:
        folder = cache_folder(cache)
        if folder.exists() and not folder.is_dir():
            raise click.BadParameter(f"{str(folder)!r} is a file, not a folder")
    return cache


def _option(name: str, option: Option) -> Callable[[Command], Command]:
    """Return the option of the shell for one of embedding."""
    flag = f"--{name.replace('_', '-')}"
    kinds = get_args(type_of(name)) or (type_of(name),)
    unset = f"  [default: {option.unset}]" if option.unset else ""
    known: dict[str, Any] = {"help": f"{option.help}{unset}", "metavar": option.metavar}
    if option.choices:
        known |= {"type": click.Choice(option.choices), "metavar": None}
    elif int in kinds:
        known["type"] = click.INT
    elif kinds == (bool,):
        known |= {"is_flag": True}
    if name == "cache":
        known |= {"type": click.UNPROCESSED, "callback": _check_cache}
    if option.default is not None and kinds != (bool,):
        known |= {"default": option.default, "show_default": True}
    return click.option(flag, name, **known)


cache_option = _option("cache", OPTIONS["cache"])
_no_cache_option = click.option(
    "--no-cache", "cache", flag_value=False, type=click.UNPROCESSED, help="Keep no features."
)


def embedding_options(kind: type, **changed: Option) -> Callable[[Command], Command]:
    """Add a class of options of embedding, such as `featx.features.options.EmbedOptions`.

    A command gets those that were given. `changed` says what is different for the command.
    """
    known = options_of(kind) | changed
    options = {name: option for name, option in known.items() if option.shell}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(**values: Any) -> Any:
            source = click.get_current_context().get_parameter_source
            known = {*options, "backbone"}
            usual = {name for name in known if source(name) == ParameterSource.DEFAULT}
            return command(**{name: each for name, each in values.items() if name not in usual})

        decorated: Command = called
        for name, option in reversed(options.items()):
            if name == "cache":
                decorated = _no_cache_option(decorated)
            decorated = _option(name, option)(decorated)
        return decorated

    return decorate
