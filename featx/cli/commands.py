"""The commands of `featx`, as one group."""

from __future__ import annotations

from typing import Any

import click

import featx
from featx.cli.backbones import backbones
from featx.cli.cache import cache
from featx.cli.check import check
from featx.cli.compare import compare
from featx.cli.demo import demo
from featx.cli.embed import embed
from featx.cli.evaluate import evaluate
from featx.cli.explain import explain
from featx.cli.export import export
from featx.cli.help import Group
from featx.cli.inspect import inspect
from featx.cli.label import label
from featx.cli.output import short_warnings
from featx.cli.predict import predict
from featx.cli.serve import serve
from featx.cli.similar import similar
from featx.cli.train import train
from featx.cli.tune import tune
from featx.cli.watch import watch
from featx.errors import FeatxError

_HELP = """Transfer learning with frozen image features.

A folder with a sub-folder of photographs for each class becomes features, a classifier learns
from them, and the classifier labels new photographs. Features are kept in a cache, so nothing is
embedded twice.

\b
Examples:
  featx demo
  featx train photos/ --out fruit.featx
  featx predict fruit.featx new.jpg
"""


class _Commands(Group):
    def invoke(self, context: click.Context) -> Any:
        """Run a command; one that is interrupted ends as click's own `Abort`, without its line."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt as interrupt:
            raise click.Abort from interrupt


@click.group(
    cls=_Commands,
    help=_HELP,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(featx.__version__, prog_name="featx", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Show the help where no command is given."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (
    backbones,
    check,
    embed,
    similar,
    train,
    predict,
    watch,
    explain,
    evaluate,
    export,
    inspect,
    compare,
    tune,
    label,
    serve,
    cache,
    demo,
):
    cli.add_command(command)


def run(words: list[str]) -> int:
    """Run a command, and return the status to end with.

    Raises `KeyboardInterrupt` where it is interrupted, and whatever else it ends in.
    """
    try:
        with short_warnings():
            status = cli.main(words, prog_name="featx", standalone_mode=False, obj=words)
    except click.Abort:
        raise KeyboardInterrupt from None
    return status if isinstance(status, int) else 0


def mistake(error: BaseException) -> str | None:
    """Say in a line what a user can do about an error; None for a mistake of featx itself."""
    match error:
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else "featx"
            return f"{error.format_message().rstrip('.')} (see `{where} --help`)"
        case click.ClickException():
            return error.format_message()
        case FeatxError():
            return str(error)
        case MemoryError():
            return "out of memory; use a smaller --batch-size or --input-size, or pooling avg"
        case OSError():  # such as a temporary folder that is full
            return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return None
