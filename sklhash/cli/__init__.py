"""The command line: compare hashers, encode files, search codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ._arguments import build_parser
from ._errors import in_one_line

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
    try:
        # Only now, so that help is quick.
        command = import_module(f"._{arguments.command}", __name__)
        return int(command.run(arguments))
    except KeyboardInterrupt:
        print("sklhash: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except (ValueError, OSError, ImportError, MemoryError) as error:
        if arguments.traceback:
            raise
        print(f"sklhash: error: {in_one_line(error)}", file=sys.stderr)
        return WRONG
