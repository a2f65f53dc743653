"""The command line: compare hashers, encode files, search codes."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from ._arguments import build_parser
from ._errors import in_one_line
from ._words import say

__all__ = ["main"]

#: Exit codes; 128 + SIGINT for the last, as shells have it.
FINE, WRONG, INTERRUPTED = 0, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; None for those of the process.

    Returns
    -------
    status : int
        0 if all is well, 2 after an error, told in one line on the standard error
        stream, 130 after Ctrl-C.

    Examples
    --------
    >>> from sklhash.cli import main
    >>> main(["compare", "no-such-file.npz"])
    2
    """
    parser = build_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:  # --help, --version, or wrong usage
        return int(stop.code or 0)
    arguments.argv = list(sys.argv[1:] if argv is None else argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return WRONG
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that cannot be shown is no error
            stream.reconfigure(errors="replace")
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        say("stopped")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has left
        _print_no_more()
        return FINE
    except (ValueError, OSError, ImportError, MemoryError) as error:
        if arguments.traceback:
            raise
        say(f"error: {in_one_line(error)}")
        return WRONG


def _run(arguments: Namespace) -> int:
    # Only now, so that help is quick.
    command = import_module(f"._{arguments.command}", __name__)
    status = int(command.run(arguments))
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError:  # a full disk or a closed pipe: not once more at exit
            _print_no_more()
            raise
    return status


def _print_no_more() -> None:
    with suppress(OSError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
