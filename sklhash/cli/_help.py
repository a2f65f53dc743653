"""Help texts of the command line."""

from __future__ import annotations

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
All that --radius finds is held in memory: a search that would find too much is refused.

examples:
  python -m sklhash search queries.npy --codes codes.npy --model model.skops
  python -m sklhash search queries.csv --codes codes.npy --model model.skops \\
      --neighbors 100 --out neighbors.npz
  python -m sklhash search query-codes.npy --codes codes.npy --radius 8 --out near.csv
"""
