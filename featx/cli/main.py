"""The `featx` command: runs, is interrupted, and says how it ended.

It can be interrupted from its first moments on, so whatever takes time to import is imported later.
"""

from __future__ import annotations

import sys

from featx.cli.interrupts import Interrupts


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process.

    A mistake of the user is one line on stderr and status 2; a run that was interrupted ends with
    status 130, one that was told to terminate with 143, and both with one line.
    """
    words = [str(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    with Interrupts(ends_process=arguments is None) as interrupts:
        try:
            status = _run(words, interrupts)
        except BaseException as error:
            # An interrupt that comes while a library is imported may end in any error.
            if not interrupts.number and not isinstance(error, KeyboardInterrupt):
                raise
            status = _interrupted(words, interrupts)
    sys.exit(status)


def _run(words: list[str], interrupts: Interrupts) -> int:
    from featx.cli.commands import mistake, run
    from featx.cli.output import complain

    try:
        return run(words)
    except Exception as error:
        if interrupts.number or (line := mistake(error)) is None:
            raise
        complain(line)
        return 2


def _interrupted(words: list[str], interrupts: Interrupts) -> int:
    """Say that a command did not end, and return the status to end with."""
    line = "featx: terminated" if interrupts.terminated else "featx: interrupted"
    if "--no-cache" not in words and words[:1] != ["serve"]:
        line += "; what was finished is in the cache, run the same command to go on"
    if sys.stderr is not None:
        after_keys = "\n" if sys.stderr.isatty() and not interrupts.terminated else ""  # ^C
        sys.stderr.write(f"{after_keys}{line}\n")
        sys.stderr.flush()
    return interrupts.status
