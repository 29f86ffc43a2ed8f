"""The help of the commands: options in groups, and those that every command has."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from typing import Any

import click

#: The groups of options, in the order of the help; the first has whatever is of no other.
GROUPS = ("Options", "Output", "Pictures", "Access", "Limits", "Network", "Speed", "Ray", "Cache")


class GroupedOption(click.Option):
    """An option that the help shows in a group of `GROUPS`."""

    def __init__(self, *words: Any, group: str = GROUPS[0], **known: Any) -> None:
        super().__init__(*words, **known)
        self.group = group


def _set_level(context: click.Context, option: click.Parameter, given: bool) -> None:
    """Let the messages of featx through from another level on, as long as the command runs."""
    if given:
        logging.getLogger("featx").setLevel(
            logging.ERROR if option.name == "quiet" else logging.DEBUG
        )


def _levels() -> list[click.Parameter]:
    known: dict[str, Any] = {"is_flag": True, "expose_value": False, "callback": _set_level}
    return [
        GroupedOption(
            ["-q", "--quiet"],
            help="No progress, no warnings; no result either where --out takes it.",
            group="Output",
            **known,
        ),
        GroupedOption(
            ["-v", "--verbose"],
            help="Say more: where things are taken from, and how long they take.",
            group="Output",
            **known,
        ),
    ]


def _as_known(word: str, known: set[str]) -> str:
    """Write an option that is known in the other number as it is known."""
    flag, equals, value = word.partition("=")
    if not flag.startswith("--") or flag in known:
        return word
    other = flag[:-1] if flag.endswith("s") else f"{flag}s"
    return f"{other}{equals}{value}" if other in known else word


def _write_options(
    parameters: Iterable[click.Parameter],
    context: click.Context,
    formatter: click.HelpFormatter,
) -> None:
    """Write the options of a command, those of a group under its name."""
    records: dict[str, list[tuple[str, str]]] = {name: [] for name in GROUPS}
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            records[getattr(parameter, "group", GROUPS[0])].append(record)
    for name, found in records.items():
        if found:
            with formatter.section(name):
                formatter.write_dl(found)


class Command(click.Command):
    """A command whose help shows its options in groups, and which may be quiet or verbose."""

    def __init__(self, *words: Any, **known: Any) -> None:
        super().__init__(*words, **known)
        self.params += _levels()

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Take options by their singular and their plural: --backbone and --backbones."""
        known = {flag for parameter in self.params for flag in parameter.opts}
        return super().parse_args(context, [_as_known(word, known) for word in args])

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in groups."""
        _write_options(self.get_params(context), context, formatter)


class Group(click.Group):
    """Commands under one name, whose help shows options in groups."""

    command_class = Command

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in groups, and the commands."""
        _write_options(self.get_params(context), context, formatter)
        self.format_commands(context, formatter)


command = functools.partial(click.command, cls=Command)
option = functools.partial(click.option, cls=GroupedOption)
