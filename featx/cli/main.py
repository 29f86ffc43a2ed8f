"""The `featx` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

import featx
from featx.cli.backbones import backbones
from featx.cli.cache import cache
from featx.cli.compare import compare
from featx.cli.demo import demo
from featx.cli.embed import embed
from featx.cli.evaluate import evaluate
from featx.cli.label import label
from featx.cli.output import complain, short_warnings
from featx.cli.predict import predict
from featx.cli.train import train
from featx.cli.tune import tune
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


@click.group(
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


for command in (backbones, embed, train, predict, evaluate, compare, tune, label, cache, demo):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process.

    A mistake of the user is one line on stderr and status 2; a run that was interrupted ends with
    status 130.
    """
    words = [str(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    status: object = 2
    try:
        with short_warnings():
            status = cli.main(words, prog_name="featx", standalone_mode=False, obj=words)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "featx"
        complain(f"{error.format_message().rstrip('.')} (see `{where} --help`)")
    except click.ClickException as error:
        complain(error.format_message())
    except FeatxError as error:
        complain(str(error))
    except MemoryError:
        complain("out of memory; use a smaller --batch-size or --input-size, or pooling avg")
    except (KeyboardInterrupt, click.Abort):
        kept = "what was finished is in the cache, run the same command to go on"
        complain("interrupted" if "--no-cache" in words else f"interrupted; {kept}")
        status = 130
    except OSError as error:  # such as a temporary folder that is full
        complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    sys.exit(status if isinstance(status, int) else 0)
