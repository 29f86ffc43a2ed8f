"""Options of the commands; those of embedding are derived from `featx.features.options`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, get_args

import click
from click.core import ParameterSource

from featx.backbones.engines.choice import quickest_precision
from featx.backbones.kinds import PIXELS, divided
from featx.backbones.table import DEFAULT_BACKBONE
from featx.cli.help import GROUPS, option
from featx.cli.output import complain, is_quiet
from featx.features.options import OPTIONS, Option, options_of, type_of
from featx.features.parts.folder import check_outside, names_folder
from featx.files import PAGES, cache_folder, check_writable
from featx.images.table import check_no_source
from featx.learning.classifiers import CLASS_WEIGHTS

Command = Callable[..., Any]
FIGURES = (".png", ".svg", ".pdf")  # suffixes of files

json_option = option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout.", group="Output"
)
test_option = option(
    "--test",
    metavar="FOLDER",
    help="Labelled pictures to measure the model on.",
    group="Pictures",
)
labels_option = option(
    "--labels",
    metavar="TABLE",
    help="A table of paths and labels, whose labels take the place of the folders' names.",
    group="Pictures",
)
groups_option = option(
    "--groups",
    metavar="COLUMN|PATTERN|burst|none",
    help=r"Pictures that belong together, such as those of one patient: a column of the table; a "
    r"pattern over names whose part in parentheses is the group, such as 'patient_(\d+)'; burst, "
    "for those taken within seconds of each other.",
    group="Pictures",
)
class_weight_option = option(
    "--class-weight",
    type=click.Choice(CLASS_WEIGHTS),
    help="Let each class count alike, however many pictures it has (logistic, svm, svd-svm).",
)
backbones_option = option(
    "--backbones",
    group="Network",
    default="all",
    show_default=True,
    metavar="all|A,B",
    callback=lambda context, option, text: text if text == "all" else listed(option.name, text),
    help="The networks; all means those whose weights are on this machine.",
)
model_weights_option = option(
    "--weights",
    metavar="PATH",
    help="Weights of the model's network, if they have moved.",
    group="Network",
)
top_option = option(
    "--top",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Labels for each picture, the most probable first.",
)
probabilities_option = option(
    "--probabilities",
    is_flag=True,
    help="Have the probability of every class in --out and --json.",
)
answer_all_option = option(
    "--answer-all", is_flag=True, help="Label every picture, also where the model is unsure."
)


def _one_network(context: click.Context, option: click.Parameter, text: str) -> str:
    if any(len(divided(name, ",")) > 1 for name in divided(text, "+")):
        raise click.BadParameter(
            f"{text!r} names several networks: expected one, or several joined by +"
        )
    return text


def backbone_option(*, joined: bool = True) -> Callable[[Command], Command]:
    """Return --backbone, which may name several networks to join."""
    return option(
        "--backbone",
        group="Network",
        default=DEFAULT_BACKBONE,
        show_default=True,
        metavar="NAME",
        callback=_one_network,
        help="The network; `featx backbones` lists them."
        + (" resnet50+xception joins two." if joined else ""),
    )


def listed(name: str, text: str) -> list[str]:
    """Split a list at its commas, but for those of the path of a network's file."""
    names = divided(text, ",")
    if not all(names) or len(set(names)) < len(names):
        raise click.UsageError(f"{name} {text!r}: expected different names with a comma between")
    return names


def list_option(
    flag: str, default: str, help: str, *, group: str = GROUPS[0]
) -> Callable[[Command], Command]:
    """Return an option that takes names with commas between."""
    return option(
        flag,
        group=group,
        default=default,
        show_default=True,
        metavar="A,B",
        callback=lambda context, option, text: listed(option.name, text),
        help=help,
    )


def file_option(
    flag: str,
    metavar: str,
    help: str,
    *,
    suffixes: Sequence[str] = (),
    what: str = "",
    required: bool = False,
    folder: bool = False,
) -> Callable[[Command], Command]:
    """Return an option that names a file to write, which is checked before any work is done.

    Where any name will do, but for one of a picture or a table, `what` is to be written. With
    `folder` it may name a folder of features, which whoever writes it checks, or be at an address.
    """

    def check(context: click.Context, option: click.Parameter, path: str | None) -> str | None:
        if path is not None:
            if what:
                check_no_source(path, what)
            check_outside(path)
            if not (folder and names_folder(path)):
                check_writable(path, suffixes, anywhere=folder)
        return path

    return option(
        flag, metavar=metavar, help=help, required=required, callback=check, group="Output"
    )


def figure_option(flag: str, help: str) -> Callable[[Command], Command]:
    """Return an option that names a file for a figure."""
    return file_option(flag, "FILE", f"{help}: .png, or .svg and .pdf for print.", suffixes=FIGURES)


report_option = file_option(
    "--report",
    "FILE.html",
    "Write a page to look at: accuracy, confusions, pictures, a map of the features.",
    suffixes=PAGES,
)


def _check_cache(context: click.Context, option: click.Parameter, cache: Any) -> Any:
    """Refuse a cache that is a file, before any work is done."""
    if cache is not False:
        folder = cache_folder(cache)
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise click.BadParameter(f"{str(folder)!r} is a file, not a folder")
    return cache


def _option(name: str, stated: Option) -> Callable[[Command], Command]:
    """Return the option of the shell for one of embedding."""
    flag = f"--{name.replace('_', '-')}"
    kinds = get_args(type_of(name)) or (type_of(name),)
    unset = f"  [default: {stated.unset}]" if stated.unset else ""
    known: dict[str, Any] = {"help": f"{stated.help}{unset}", "metavar": stated.metavar}
    if stated.choices:
        known |= {"type": click.Choice(stated.choices), "metavar": None}
    elif int in kinds:
        known["type"] = click.INT
    elif kinds == (bool,):
        known |= {"is_flag": True}
    if name == "cache":
        known |= {"type": click.UNPROCESSED, "callback": _check_cache}
    if stated.default is not None and kinds != (bool,):
        known |= {"default": stated.default, "show_default": True}
    return option(flag, name, group=stated.group, **known)


cache_option = _option("cache", OPTIONS["cache"])
_no_cache_option = option(
    "--no-cache",
    "cache",
    flag_value=False,
    type=click.UNPROCESSED,
    help="Keep no features.",
    group="Cache",
)


def embedding_options(kind: type, **changed: Option) -> Callable[[Command], Command]:
    """Add a class of options of embedding, such as `featx.features.options.EmbedOptions`.

    A command gets those that were given. `changed` says what is different for the command.
    """
    known = options_of(kind) | changed
    options = {name: stated for name, stated in known.items() if stated.shell}
    shows_progress = "progress" in known

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(**values: Any) -> Any:
            source = click.get_current_context().get_parameter_source
            known = {*options, "backbone"}
            usual = {name for name in known if source(name) == ParameterSource.DEFAULT}
            given = {name: each for name, each in values.items() if name not in usual}
            if shows_progress and is_quiet():
                given["progress"] = False
            if given.get("fast") and given.get("backbone") != PIXELS and not is_quiet():
                precision = quickest_precision(given.get("engine", "auto"))
                complain(f"--fast takes {precision} on this processor")
            return command(**given)

        decorated: Command = called
        for name, stated in reversed(options.items()):
            if name == "cache":
                decorated = _no_cache_option(decorated)
            decorated = _option(name, stated)(decorated)
        return decorated

    return decorate
