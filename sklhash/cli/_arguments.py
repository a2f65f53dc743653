"""What may be written on the command line, and its help."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from . import _help as texts


class _Parser(ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        message = " ".join(message.split())
        self.exit(2, f"sklhash: error: {message} (see {self.prog} --help)\n")


def build_parser() -> ArgumentParser:
    """Build the parser of all commands.

    Returns
    -------
    parser : ArgumentParser
    """
    parser = _Parser(
        "python -m sklhash",
        description=texts.ABOUT,
        epilog=texts.ABOUT_MORE,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = sys.modules["sklhash"].__version__
    parser.add_argument("--version", action="version", version=f"sklhash {version}")
    commands = parser.add_subparsers(
        dest="command", title="commands", metavar="COMMAND"
    )
    for add in (_add_compare, _add_encode, _add_search):
        add(commands)
    return parser


def _add_compare(commands: Any) -> None:
    command = _add_command(commands, "compare", texts.COMPARE, texts.COMPARE_MORE)
    add = command.add_argument
    add("data", metavar="DATA", type=Path, help="file of rows")
    add(
        "--hashers",
        nargs="+",
        metavar="NAME",
        default=["lsh,pca-rr,itq,sh"],
        help="what to compare, with commas or spaces (default: lsh,pca-rr,itq,sh)",
    )
    add(
        "--bits",
        nargs="+",
        metavar="N",
        default=["16,32,64"],
        help="code lengths (default: 16 32 64)",
    )
    add(
        "--out", type=Path, metavar="FOLDER", help="write report, table and plots there"
    )
    _add_columns(command)
    add(
        "--splits",
        type=_whole(1),
        metavar="N",
        help="random splits, each with a seed of its own (default: the split of the "
        "file, or 3)",
    )
    add(
        "--seeds",
        type=_whole(1),
        metavar="N",
        help="runs on the split of the file, each with another seed (default: 3)",
    )
    add("--queries", type=_whole(1), metavar="N", help="queries of a split")
    add("--train", type=_whole(1), metavar="N", help="rows to learn from")
    add(
        "--protocol",
        help="split as papers do: cifar10-1k, cifar10-10k or nus21",
    )
    add(
        "--metrics",
        nargs="+",
        metavar="METRIC",
        help="such as map, map@5000, ndcg@100, precision@100, recall@10; the first one "
        "decides (default: map ndcg@100 precision@100; without labels recall@10 "
        "recall@100 map)",
    )
    add("--scale", action="store_true", help="standardise features before each hasher")
    add("--max-rows", type=_whole(10), metavar="N", help="draw so many rows at random")
    _add_seed_and_jobs(command)


def _add_encode(commands: Any) -> None:
    command = _add_command(commands, "encode", texts.ENCODE, texts.ENCODE_MORE)
    add = command.add_argument
    add("data", metavar="DATA", type=Path, help="file of rows")
    add("--hasher", metavar="NAME", default="itq", help="see compare (default: itq)")
    add("--bits", type=_whole(1, 65_535), default=64, metavar="N", help="(default: 64)")
    add(
        "--out",
        type=Path,
        required=True,
        metavar="CODES.npy",
        help="where the codes go",
    )
    add(
        "--train-rows",
        type=_whole(2),
        default=100_000,
        metavar="N",
        help="rows to learn from, drawn at random (default: 100000)",
    )
    add("--scale", action="store_true", help="standardise features before")
    add("--save-model", type=Path, metavar="MODEL", help="a .skops or .joblib file")
    add("--model", type=Path, metavar="MODEL", help="hash by this one; learn nothing")
    _add_columns(command)
    _add_seed_and_jobs(command)


def _add_search(commands: Any) -> None:
    command = _add_command(commands, "search", texts.SEARCH, texts.SEARCH_MORE)
    add = command.add_argument
    add("queries", metavar="QUERIES", type=Path, help="file of rows or of codes")
    add(
        "--codes",
        type=Path,
        required=True,
        metavar="CODES.npy",
        help="what is searched",
    )
    add("--model", type=Path, metavar="MODEL", help="hashes QUERIES, if they are rows")
    add("--neighbors", type=_whole(1), default=10, metavar="K", help="(default: 10)")
    add(
        "--radius",
        type=_whole(0),
        metavar="R",
        help="find all codes within R bits instead",
    )
    add("--out", type=Path, metavar="FILE", help=".npz or .csv")
    add("--features", nargs="+", metavar="NAME", help="key or columns of QUERIES")
    add("--jobs", type=_jobs, metavar="N", help="threads (default: 1; -1: all cores)")


def _add_command(commands: Any, name: str, about: str, more: str) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        name,
        help=texts.SHORT[name],
        usage=f"python -m sklhash {name} {texts.USAGE[name]}",
        description=about,
        epilog=more,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument(
        "--traceback", action="store_true", help="show where an error came from"
    )
    return command


def _add_columns(command: ArgumentParser) -> None:
    command.add_argument(
        "--features",
        nargs="+",
        metavar="NAME",
        help="key of a .npz file, or columns (patterns such as 'v*' too)",
    )
    command.add_argument(
        "--labels",
        nargs="+",
        metavar="NAME",
        help="key of a .npz file, columns (one of classes or lists, or several of "
        "zeros and ones), a .npy file, or none",
    )


def _add_seed_and_jobs(command: ArgumentParser) -> None:
    seed = _whole(0, 2**32 - 1)
    command.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="(default: 0)"
    )
    command.add_argument(
        "--jobs",
        type=_jobs,
        metavar="N",
        help="processes or threads at a time (default: 1; -1: all cores)",
    )


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Give what reads a whole number that is neither too small nor too large."""

    def read(text: str) -> int:
        try:
            number = int(text.replace("_", ""))
        except ValueError as error:
            raise ArgumentTypeError(f"{text!r} is no whole number") from error
        if number < least:
            raise ArgumentTypeError(f"{number} is less than {least}")
        if most is not None and number > most:
            raise ArgumentTypeError(f"{number} is more than {most}")
        return number

    return read


def _jobs(text: str) -> int:
    """Read a number of jobs, which may count from the number of cores down."""
    number = _whole(-(2**31))(text)
    if number == 0:
        raise ArgumentTypeError("0 jobs do nothing: 1 or more, or -1 for all cores")
    return number
