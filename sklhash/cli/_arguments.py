"""What may be written on the command line, and its help."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ._hashers import describe_all

ABOUT = "Learn binary codes and search them."

ABOUT_MORE = """\
examples:
  python -m sklhash compare digits.npz --hashers itq,sh --bits 16 32 64 --out report
  python -m sklhash encode vectors.npy --out codes.npy --save-model model.skops
  python -m sklhash search queries.npy --codes codes.npy --model model.skops

python -m sklhash COMMAND --help tells more.
"""

SHORT = {
    "compare": "which method, and how many bits, for my data?",
    "encode": "hash a file of rows, larger than memory if need be, to codes",
    "search": "find the codes nearest to queries",
}

USAGE = {
    "compare": "DATA [--hashers NAME ...] [--bits N ...] [--out FOLDER] [options]",
    "encode": "DATA --out CODES.npy [--hasher NAME] [--bits N] [options]",
    "search": "QUERIES --codes CODES.npy [--model MODEL] [--out FILE] [options]",
}

DATA_HELP = """\
DATA may be .npz (rows X, labels y, or those named by --features and --labels),
.npy (rows only), .csv or .parquet (a column a feature, or one column of lists of
numbers). A column named y, label, labels, target or class is taken as the labels.
"""

COMPARE = f"""\
Fit hashers at several code lengths, search with their codes, and tell which is best.

{DATA_HELP}
Without labels, the relevant rows of a query are its nearest ones in floats.
The keys query_idx, db_idx and train_idx of a .npz file are its split, and used unless
--splits is given.
"""

COMPARE_MORE = f"""\
hashers (parameters after colons, such as itq:max_iter=100):
{describe_all()}

examples:
  python -m sklhash compare digits.npz --hashers itq,sh,uhga --bits 16 64 --out report
  python -m sklhash compare table.csv --labels species --scale --hashers lsh,itq,sdh
  python -m sklhash compare vectors.parquet --features embedding --labels none --jobs 4

Ctrl-C stops; what is finished by then is reported.
"""

ENCODE = f"""\
Hash all rows of a file to packed codes, with bounded memory: .npy files are mapped,
.csv and .parquet files read in parts. (.npz files are loaded whole.)

{DATA_HELP}"""

ENCODE_MORE = """\
The hasher learns from --train-rows rows drawn at random, unless --model gives a fitted
one. A .skops model is safe to load; loading a .joblib model runs code of whoever made
it, so load your own only. The codes file appears when it is complete, never before.

examples:
  python -m sklhash encode vectors.npy --hasher itq --bits 64 --out codes.npy \\
      --save-model model.skops
  python -m sklhash encode more.npy --model model.skops --out more-codes.npy
  python -m sklhash encode table.csv --features 'v*' --hasher agh --out codes.npy
"""

SEARCH = """\
Find the codes nearest to each query, exactly, by counting differing bits. The file of
codes is mapped and searched in parts, so it may be larger than memory.

QUERIES is a file of rows, which --model hashes, or of codes by sklhash encode.
"""

SEARCH_MORE = """\
A .npz result holds distances (bits) and positions (from 0), of shape (queries,
neighbors); with --radius one after the other, query i from indptr[i] to indptr[i + 1].

examples:
  python -m sklhash search queries.npy --codes codes.npy --model model.skops
  python -m sklhash search queries.csv --codes codes.npy --model model.skops \\
      --neighbors 100 --out neighbors.npz
  python -m sklhash search query-codes.npy --codes codes.npy --radius 8 --out near.csv
"""


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
        description=ABOUT,
        epilog=ABOUT_MORE,
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
    command = _add_command(commands, "compare", COMPARE, COMPARE_MORE)
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
    command = _add_command(commands, "encode", ENCODE, ENCODE_MORE)
    add = command.add_argument
    add("data", metavar="DATA", type=Path, help="file of rows")
    add("--hasher", metavar="NAME", default="itq", help="see compare (default: itq)")
    add("--bits", type=_whole(1), default=64, metavar="N", help="(default: 64)")
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
    command = _add_command(commands, "search", SEARCH, SEARCH_MORE)
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
    add("--jobs", type=int, metavar="N", help="threads (default: 1; -1: all cores)")


def _add_command(commands: Any, name: str, about: str, more: str) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        name,
        help=SHORT[name],
        usage=f"python -m sklhash {name} {USAGE[name]}",
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
    command.add_argument(
        "--seed", type=_whole(0), default=0, metavar="N", help="(default: 0)"
    )
    command.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="processes or threads at a time (default: 1; -1: all cores)",
    )


def _whole(least: int) -> Callable[[str], int]:
    """Give what reads a whole number that is not too small."""

    def read(text: str) -> int:
        try:
            number = int(text.replace("_", ""))
        except ValueError as error:
            raise ArgumentTypeError(f"{text!r} is no whole number") from error
        if number < least:
            raise ArgumentTypeError(f"{number} is less than {least}")
        return number

    return read
