"""The command line: reading files, encoding, searching, and one-line errors."""

import csv
import gzip
import os
import signal
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklhash
from sklhash import ITQ, HammingRetriever, PackedCodes, SupervisedDiscreteHashing
from sklhash.base import BaseHasher
from sklhash.cli import _progress, _rows, _search, main
from sklhash.cli._errors import require
from sklhash.cli._files import open_rows
from sklhash.cli._hashers import HASHERS, build, make_hasher

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("matplotlib")
pytest.importorskip("skops")

N = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    """Rows and classes of some digits, in files of every kind."""
    path, X, y = tmp_path_factory.mktemp("cli"), digits[0][:N], digits[1][:N]
    np.savez(path / "rows.npz", X=X, y=y, features=X[:, :5])
    np.save(path / "rows.npy", X)
    np.save(path / "classes.npy", y)
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    frame["y"] = y
    frame.to_csv(path / "rows.csv", index=False)
    frame.to_parquet(path / "rows.parquet")
    lists = pd.DataFrame({"id": [f"a{i}" for i in range(N)], "vector": list(X), "y": y})
    lists.to_parquet(path / "lists.parquet")
    np.savetxt(path / "bare.csv", X, delimiter=",", fmt="%g")
    return path


def call(*arguments):
    """Run a command with arguments of any type."""
    return main([str(argument) for argument in arguments])


def run_python(program, *arguments, **options):
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **options,
    )


def test_help_is_quick():
    """Help imports nothing that takes long."""
    program = "import sys; from sklhash.cli import main; main(['compare', '--help'])"
    run = run_python(f"{program}; print(*sys.modules, file=sys.stderr)")
    loaded = set(run.stderr.split())
    assert "examples:" in run.stdout
    assert "sklhash.cli" in loaded
    # (scikit-learn itself loads pandas and rich where they are.)
    heavy = {"torch", "skorch", "numba", "matplotlib", "sklhash.model_selection"}
    assert not heavy & loaded


def test_without_arguments(capsys):
    """Without a command there is help, and an error."""
    assert main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    for command in ("compare", "encode", "search"):
        assert command in printed.err


def test_version(capsys):
    """The version is told."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sklhash {sklhash.__version__}\n"


@pytest.mark.parametrize("command", ["compare", "encode", "search"])
def test_help_of_commands(command, capsys):
    """Each command shows examples that its own parser understands."""
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.count(f"python -m sklhash {command} ") >= 2


@pytest.mark.parametrize("name", HASHERS)
def test_every_name_is_a_hasher(name):
    """Each name gives a hasher that takes a code length and a seed."""
    hasher = build(name, scale=True, n_bits=7, random_state=3)
    assert hasher[-1].get_params()["n_bits"] == 7
    assert isinstance(hasher[0], StandardScaler)


def test_parameters_after_colons():
    """Numbers are numbers, words are words."""
    hasher = make_hasher("itq:max_iter=7:tol=1e-3:projection=cca", n_bits=5)
    assert repr(hasher) == repr(ITQ(5, max_iter=7, tol=1e-3, projection="cca"))


FILES = [
    "rows.npz",
    "rows.npy",
    "rows.csv",
    "rows.parquet",
    "lists.parquet",
    "bare.csv",
]


@pytest.mark.parametrize("name", FILES)
def test_files_of_every_kind(name, folder, digits, monkeypatch):
    """Every kind of file gives the same rows, in batches and at once."""
    monkeypatch.setattr(_rows, "BATCH_VALUES", 64 * 70)  # 70 rows
    rows = open_rows(folder / name)
    X, y = rows.read()
    assert_array_equal(X, digits[0][:N])
    assert (y is None) == (name in ("rows.npy", "bare.csv"))
    if y is not None:
        assert_array_equal(y, digits[1][:N])
    assert [len(batch) for batch, _ in rows.batches()] == [70, 70, 70, 70, 20]
    assert_array_equal(np.concatenate([batch for batch, _ in rows.batches()]), X)


@pytest.mark.parametrize("name", FILES)
def test_drawn_rows(name, folder, monkeypatch):
    """A sample holds different rows of the file, with their own labels."""
    monkeypatch.setattr(_rows, "BATCH_VALUES", 64 * 70)
    rows = open_rows(folder / name, labels=[str(folder / "classes.npy")])
    X, y = rows.read(100, seed=0)
    assert X.shape == (100, 64)
    everything = {row.tobytes(): label for row, label in zip(*rows.read(), strict=True)}
    assert len({row.tobytes() for row in X}) == 100
    assert_array_equal(y, [everything[row.tobytes()] for row in X])
    assert not np.array_equal(X, rows.read(100, seed=1)[0])


def test_reservoir_is_fair(tmp_path, monkeypatch):
    """Each row of a stream is drawn about as often as any other."""
    monkeypatch.setattr(_rows, "BATCH_VALUES", 7)
    np.savetxt(tmp_path / "rows.csv", np.arange(0.5, 20), header="a", comments="")
    rows, counts = open_rows(tmp_path / "rows.csv"), np.zeros(20)
    for seed in range(100):
        drawn = rows.read(5, seed)[0][:, 0]
        assert len(set(drawn)) == 5
        counts[drawn.astype(int)] += 1
    assert counts.sum() == 500
    assert 10 <= counts.min() <= counts.max() <= 42  # 25 expected, s.d. 4.3


def test_lists_of_labels(tmp_path):
    """A Parquet column of lists of labels becomes an indicator matrix."""
    labels = [["cat"], ["cat", "dog"], [], ["dog"]]
    frame = pd.DataFrame({"v": list(np.eye(4)), "labels": labels})
    frame.to_parquet(tmp_path / "rows.parquet")
    _, y = open_rows(tmp_path / "rows.parquet").read()
    assert_array_equal(y, [[1, 0], [1, 1], [0, 0], [0, 1]])


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_column_patterns(name, folder):
    """Columns can be named by patterns; labels never become features by themselves."""
    rows = open_rows(folder / name, ["pixel 1*"], ["none"])
    assert rows.n_features == 11
    assert rows.read()[1] is None
    rows = open_rows(folder / name, labels=["none"])
    assert rows.n_features == 64
    assert rows.notes == ["column 'y' is left out: it looks like labels"]


@pytest.mark.parametrize("write", [pd.DataFrame.to_csv, pd.DataFrame.to_parquet])
def test_columns_of_labels(write, tmp_path):
    """Several columns of labels are an indicator matrix."""
    frame = pd.DataFrame({"a": [0.5, 2], "cat": [1, 0], "dog": [1, 1]})
    path = tmp_path / f"rows.{write.__name__.removeprefix('to_')}"
    write(frame, path, index=False)
    X, y = open_rows(path, labels=["cat,dog"]).read()
    assert_array_equal(X, [[0.5], [2]])
    assert_array_equal(y, [[1, 1], [0, 1]])


def test_saved_row_numbers_are_no_feature(tmp_path):
    """The column without a name that pandas writes by default is left out."""
    pd.DataFrame({"a": [0.5, 2], "b": [1, 0]}).to_csv(tmp_path / "rows.csv")
    rows = open_rows(tmp_path / "rows.csv")
    assert_array_equal(rows.read()[0], [[0.5, 1], [2, 0]])
    assert rows.notes == ["the first column has no name: taken as row numbers"]


def test_named_row_names_are_no_feature(tmp_path):
    """Row names of pandas in a Parquet file, of any type, are left out."""
    for index in (pd.Index([7, 8], name="id"), pd.Index(["x", "y"])):
        frame = pd.DataFrame({"a": [0.5, 2], "b": [1, 0]}, index=index)
        frame.to_parquet(tmp_path / "rows.parquet")
        rows = open_rows(tmp_path / "rows.parquet")
        assert_array_equal(rows.read()[0], [[0.5, 1], [2, 0]])
        assert rows.notes[0].endswith("row names, taken for no feature")


@pytest.mark.parametrize(
    "text", ["a, b,y\n1, 2,3\n4, 5,6\n", "a,b,y\n1,2,3,\n4,5,6,\n"]
)
def test_blanks_and_commas_at_the_end(text, tmp_path):
    """Blanks before names are no part of them; a last comma begins no column."""
    (tmp_path / "rows.csv").write_text(text)
    rows = open_rows(tmp_path / "rows.csv", ["a,b"])
    assert_array_equal(rows.read()[0], [[1, 2], [4, 5]])
    assert_array_equal(rows.read()[1], [3, 6])
    names = {"pd": pd}
    exec("\n".join(rows.as_python()), names)
    assert_array_equal(names["X"], rows.read()[0])
    assert_array_equal(names["y"], [3, 6])


def test_first_line_of_numbers_with_a_gap(tmp_path):
    """A number that is missing in the first line does not make it a line of names."""
    (tmp_path / "rows.csv").write_text("1.5,,2\n1.5,3,4\n")
    assert np.isnan(open_rows(tmp_path / "rows.csv").read()[0]).sum() == 1


def test_packed_labels(tmp_path, rng):
    """Labels packed eight to a byte are unpacked; half floats become floats."""
    Y = rng.rand(30, 11) < 0.3
    packed = np.packbits(Y, axis=1)
    X = rng.rand(30, 4).astype(np.float16)
    np.savez(tmp_path / "d.npz", X=X, labels_packed=packed, n_labels=11)
    rows, labels = open_rows(tmp_path / "d.npz").read()
    assert_array_equal(labels, Y)
    assert rows.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "suffix"), [*zip(FILES, [".skops", ".joblib"] * 3, strict=True)]
)
def test_encode_and_search(name, suffix, folder, digits, tmp_path, monkeypatch, capsys):
    """Codes and neighbours are those of hasher and retriever, whatever the file."""
    monkeypatch.setattr(_rows, "BATCH_VALUES", 64 * 70)
    codes, model, found = (
        tmp_path / file for file in ("codes.npy", f"model{suffix}", "found.npz")
    )
    options = ["--bits", 20, "--save-model", model, "--jobs", 2]
    assert call("encode", folder / name, "--out", codes, *options) == 0
    printed = capsys.readouterr().out
    assert f"{N} rows of 64 features: codes of 20 bits" in printed
    assert "3 bytes a row instead of 512" in printed
    X = digits[0][:N]
    hasher = ITQ(20, random_state=0).fit(X)
    assert PackedCodes.load(codes) == hasher.encode(X)
    hasher.encode(X).save(tmp_path / "expected.npy")
    assert codes.read_bytes() == (tmp_path / "expected.npy").read_bytes()
    options = ["--codes", codes, "--model", model, "--neighbors", 4, "--out", found]
    assert call("search", folder / name, *options) == 0
    assert "300 queries in 300 codes of 20 bits" in capsys.readouterr().out
    expected = HammingRetriever().fit(hasher.encode(X)).kneighbors(hasher.encode(X), 4)
    with np.load(found) as file:
        assert_array_equal(file["distances"], expected[0])
        assert_array_equal(file["positions"], expected[1])


def test_encode_with_a_model(folder, digits, tmp_path):
    """A saved pipeline hashes other rows; nothing is learned again."""
    first, second, model = (tmp_path / f for f in ("1.npy", "2.npy", "m.skops"))
    sample = ["--train-rows", 100, "--seed", 3, "--scale", "--bits", 9]
    data = folder / "rows.npy"
    assert call("encode", data, "--out", first, "--save-model", model, *sample) == 0
    assert call("encode", folder / "rows.csv", "--out", second, "--model", model) == 0
    assert first.read_bytes() == second.read_bytes()
    X, _ = open_rows(data).read(100, 3)
    pipeline = make_pipeline(StandardScaler(), ITQ(9, random_state=3)).fit(X)
    expected = pipeline[-1].encode(pipeline[0].transform(digits[0][:N]))
    assert PackedCodes.load(first) == expected


def test_encode_by_labels(folder, digits, tmp_path):
    """Hashers that learn from labels are given them."""
    out, spec = tmp_path / "codes.npy", "sdh:n_anchors=50"
    options = ["--hasher", spec, "--bits", 8, "--labels", folder / "classes.npy"]
    assert call("encode", folder / "rows.npy", "--out", out, *options) == 0
    X, y = digits[0][:N], digits[1][:N]
    hasher = SupervisedDiscreteHashing(8, n_anchors=50, random_state=0).fit(X, y)
    assert PackedCodes.load(out) == hasher.encode(X)


@pytest.mark.parametrize("radius", [None, 6])
def test_search_in_parts(radius, digits, monkeypatch):
    """However codes and queries are cut, answers are those of one search."""
    codes = ITQ(12, random_state=0).fit(digits[0]).encode(digits[0][:N])
    queries = codes[::3]
    retriever = HammingRetriever().fit(codes)
    if radius is None:
        expected = retriever.kneighbors(queries, 40)
    else:
        expected = retriever.radius_neighbors(queries, radius)
    monkeypatch.setattr(_search, "SHARD_BYTES", 62)  # 31 codes
    monkeypatch.setattr(_search, "BLOCK_QUERIES", 17)
    found = _search.search(queries, codes, 40, radius, n_jobs=2)
    for mine, wanted in zip(found, expected, strict=True):
        assert len(mine) == len(wanted)
        for own, of_one_search in zip(mine, wanted, strict=True):
            assert_array_equal(own, of_one_search)


def test_radius_and_csv(digits, tmp_path, capsys):
    """Queries may be codes; all within a radius go to a table, or to arrays."""
    codes = ITQ(16, random_state=0).fit(digits[0]).encode(digits[0][:50])
    codes.save(tmp_path / "codes.npy")
    files = tmp_path / "found.csv", tmp_path / "found.npz"
    for file in files:
        options = ["--codes", tmp_path / "codes.npy", "--radius", 3, "--out", file]
        assert call("search", tmp_path / "codes.npy", *options) == 0
    distances, positions = HammingRetriever().fit(codes).radius_neighbors(codes, 3)
    with open(files[0], newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["position"]) for line in lines] == [*np.concatenate(positions)]
    assert [int(line["distance"]) for line in lines] == [*np.concatenate(distances)]
    with np.load(files[1]) as file:
        assert_array_equal(file["positions"], np.concatenate(positions))
        assert_array_equal(np.diff(file["indptr"]), [len(own) for own in positions])
    assert "and 40 queries more" in capsys.readouterr().out


def test_radius_that_finds_too_much(tmp_path, monkeypatch, capsys):
    """A search that would fill the memory is refused; a smaller one is not."""
    monkeypatch.setattr(_search, "MAX_FOUND", 600)
    PackedCodes.from_codes(np.eye(32)).save(tmp_path / "codes.npy")
    options = ["--codes", tmp_path / "codes.npy", "--radius"]
    assert call("search", tmp_path / "codes.npy", *options, 2) == 2
    assert "--radius 2: about 1e+03 codes lie that near" in capsys.readouterr().err
    assert call("search", tmp_path / "codes.npy", *options, 1) == 0


def test_model_of_codes_is_not_used(tmp_path, capsys):
    """Who gives a model for queries that are codes is told so."""
    PackedCodes.from_codes(np.eye(32)).save(tmp_path / "codes.npy")
    (tmp_path / "m.skops").touch()
    options = ["--codes", tmp_path / "codes.npy", "--model", tmp_path / "m.skops"]
    assert call("search", tmp_path / "codes.npy", *options) == 0
    assert "codes.npy holds codes: --model is not used" in capsys.readouterr().err


def test_search_prints_everything_of_few(digits, tmp_path, capsys):
    """Without a file all neighbours of the first queries are printed."""
    codes = ITQ(16, random_state=0).fit(digits[0]).encode(digits[0][:30])
    codes.save(tmp_path / "codes.npy")
    codes[:2].save(tmp_path / "queries.npy")
    options = ["--codes", tmp_path / "codes.npy", "--neighbors", 30]
    assert call("search", tmp_path / "queries.npy", *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("    0  0 (0)")
    assert [line.count("(") for line in lines[1:3]] == [30, 30]


@pytest.mark.parametrize("name", ["large.csv", "large.npy"])
def test_memory_is_bounded(name, tmp_path, monkeypatch, rng):
    """A file that is larger than a batch is never in memory as a whole."""
    X = rng.standard_normal((20_000, 24))
    if name == "large.npy":
        np.save(tmp_path / name, X)
    else:
        pd.DataFrame(X).round(2).to_csv(tmp_path / name, index=False)
    monkeypatch.setattr(_rows, "BATCH_VALUES", 24 * 1000)
    out, options = tmp_path / "codes.npy", ["--bits", 16, "--train-rows", 500]
    main(["--version"])
    tracemalloc.start()
    assert (
        call("encode", tmp_path / name, "--out", out, "--hasher", "lsh", *options) == 0
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(PackedCodes.load(out)) == 20_000
    assert peak < X.nbytes * 2 / 3  # modules that are loaded meanwhile, too


def test_nothing_is_left_of_a_failure(folder, tmp_path, monkeypatch, capsys):
    """A bad row at the end leaves the former files, and no part of new ones."""
    X = np.load(folder / "rows.npy")
    X[-1, 3] = np.nan
    np.save(tmp_path / "bad.npy", X)
    out, model = tmp_path / "codes.npy", tmp_path / "model.joblib"
    out.write_text("former")
    monkeypatch.setattr(_rows, "BATCH_VALUES", 64 * 70)
    options = ["--out", out, "--train-rows", 20, "--save-model", model]
    assert call("encode", tmp_path / "bad.npy", *options) == 2
    assert "the first in row 299 (counted from 0), column 3" in capsys.readouterr().err
    assert out.read_text() == "former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.npy", "codes.npy"]


def test_interrupted_encoding(folder, tmp_path, monkeypatch, capsys):
    """Ctrl-C leaves no half-written file."""
    encode, calls = BaseHasher.encode, []

    def interrupted(self, X, **options):
        calls.append(len(X))
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return encode(self, X, **options)

    monkeypatch.setattr(BaseHasher, "encode", interrupted)
    monkeypatch.setattr(_rows, "BATCH_VALUES", 64 * 70)
    options = ["--out", tmp_path / "codes.npy", "--save-model", tmp_path / "m.joblib"]
    assert call("encode", folder / "rows.npy", *options) == 130
    assert calls == [70, 70, 70]
    assert not list(tmp_path.iterdir())
    assert "sklhash: stopped\n" in capsys.readouterr().err


INTERRUPTED = """
import os, signal, sys
from sklhash import ITQ
from sklhash.cli import main

fit, calls = ITQ.fit, []

def interrupted(self, X, y=None):
    calls.append(self)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return fit(self, X, y)

ITQ.fit = interrupted
sys.exit(main(["compare", sys.argv[1], "--hashers", "itq", "--bits", "4,6,8",
               "--splits", "2", "--out", sys.argv[2]]))
"""


def test_interrupted_comparison(folder, tmp_path):
    """Ctrl-C leaves a report of what was finished, and says so by its exit code."""
    run = run_python(INTERRUPTED, folder / "rows.npz", tmp_path / "report")
    assert run.returncode == 130, run.stderr
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Stopped before the end" in page
    with open(tmp_path / "report" / "comparison.csv", newline="") as file:
        runs = list(csv.DictReader(file))
    assert 1 <= len(runs) < 2 * 3 + 2 * 2
    assert "Traceback" not in run.stderr


def write_bad_files(folder):
    """Make files that cannot be used."""
    X = np.arange(64.0).reshape(32, 2)
    np.savez(folder / "keys.npz", rows=X, classes=X[:, 0])
    np.savez(folder / "objects.npz", X=X, y=np.array([{}] * 32))
    np.savez(folder / "few.npz", X=X[:5])
    np.save(folder / "vector.npy", X[:, 0])
    np.save(folder / "text.npy", X.astype(str))
    np.save(folder / "objects.npy", np.array([{}]))
    X[7, 1] = X[9, 0] = np.nan
    np.save(folder / "nan.npy", X)
    np.save(folder / "short.npy", np.zeros(5))
    frame = pd.DataFrame({"a": [1, 2], "name": ["x", "y"], "y": [0, None]})
    frame.to_csv(folder / "words.csv", index=False)
    frame.to_parquet(folder / "words.parquet")
    pd.DataFrame({"v": [[1, 2], [3]]}).to_parquet(folder / "ragged.parquet")
    (folder / "empty.csv").touch()
    (folder / "noise.parquet").write_bytes(b"noise")
    (folder / "noise.npz").write_bytes(b"noise")
    (folder / "noise.skops").write_bytes(b"noise")
    (folder / "data.xlsx").touch()
    (folder / "file").touch()
    PackedCodes.from_codes(np.eye(8)).save(folder / "codes.npy")
    write_damaged_files(folder)
    write_odd_tables(folder)
    ITQ(8).fit(np.random.RandomState(0).rand(9, 3))


def write_damaged_files(folder):
    """Make files that are cut off or changed, and arrays that do not fit together."""
    X, path = np.random.RandomState(0).rand(40, 3), folder / "changed.npz"
    np.savez_compressed(path, X=X)
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)
    with zipfile.ZipFile(folder / "raw.npz", "w") as archive:
        archive.writestr("X", b"text")
    np.save(folder / "cut.npy", X)
    (folder / "cut.npy").write_bytes((folder / "cut.npy").read_bytes()[:300])
    (folder / "nothing.npy").touch()
    lines = gzip.compress(b"a,b\n" + X[:, :2].astype("S9").tobytes())
    (folder / "cut.csv.gz").write_bytes(lines[:-30])
    np.savez(folder / "length.npz", X=X, y=np.zeros(30))
    np.savez(folder / "packed.npz", X=X, labels_packed=X, n_labels=3)
    np.savez(
        folder / "count.npz", X=X, labels_packed=np.ones((40, 1), "u1"), n_labels=9
    )
    np.savez(folder / "mask.npz", X=X, query_idx=X[:, 0] < 0.5)
    np.savez(folder / "far.npz", X=X, query_idx=[3, 40])


def write_odd_tables(folder):
    """Make tables with fields, values or characters that they should not have."""
    for name, text in {
        "more.csv": "a,b\n" + "1,2,3\n" * 30,
        "late.csv": "a,b,y\n" + "1,2,3\n" * 120 + "1,2,3,4\n",
        "names.csv": "a,b\n",
        "semicolons.csv": "a;b\n1;2\n",
    }.items():
        (folder / name).write_text(text)
    (folder / "latin.csv").write_bytes(b"a,y\n" + b"1,x\n" * 120 + b"1,\xe9\n")
    v, lists = [[1, 2], [3, 4]], [["a"], ["b", None]]
    table = pa.table([[1, 2], [3, 4]], names=["a", "a"])
    parquet.write_table(table, folder / "twice.parquet")
    for name, columns in {
        "null": {"v": v, "y": lists},
        "row": {"v": [[1, 2], None]},
        "strings": {"v": lists},
        "bool": {"a": [True, None]},
        "labels": {"a": [1, 2], "v": v, "w": v},
    }.items():
        parquet.write_table(pa.table(columns), folder / f"{name}.parquet")


OUT = ["--out", "{tmp}/out.npy"]
CODES = ["--codes", "{bad}/codes.npy"]
ERRORS = [
    (["compare", "no.npz"], "no.npz: there is no such file"),
    (["compare", "{bad}/data.xlsx"], "its name must end in .npz, .npy, .csv"),
    (["compare", "{bad}/noise.npz"], "is no .npz file: write it by numpy.savez"),
    (["compare", "{bad}/noise.parquet"], "noise.parquet cannot be read: "),
    (["compare", "{bad}/empty.csv"], "empty.csv is empty"),
    (["compare", "{bad}/few.npz"], "holds 5 rows: 20 or more are needed"),
    (["compare", "{bad}/keys.npz"], "no key X: name the rows by --features; the keys"),
    (["compare", "{ok}/rows.npz", "--labels", "yy"], "did you mean y? one of the keys"),
    (["compare", "{bad}/objects.npz"], "y holds Python objects, which are not read"),
    (["compare", "{bad}/objects.npy"], "is no plain .npy file of numbers"),
    (["compare", "{bad}/vector.npy"], "has shape (32,) and holds float64"),
    (["compare", "{bad}/text.npy"], "holds <U32; rows of numbers are needed"),
    (["compare", "{bad}/nan.npy"], "2 NaN or infinite values in 2 rows, the first in "
     "row 7 (counted from 0), column 1: leave such rows out"),
    (["compare", "{bad}/words.csv"], "column 'name' holds no numbers ('x' in row 0)"),
    (["compare", "{bad}/words.parquet"], "column 'name' holds no numbers but"),
    (["compare", "{bad}/words.csv", "--features", "a"], "1 rows have no label, the "
     "first of them row 1 (counted from 0)"),
    (["compare", "{bad}/words.csv", "--features", "b"], "there is no such column"),
    (["compare", "{bad}/ragged.parquet"], "row 1 of column 'v' holds 1 numbers"),
    (["compare", "{ok}/rows.npy", "--features", "a"], "a .npy file has no columns"),
    (["compare", "{ok}/rows.npy", "--labels", "{bad}/short.npy"], "has 5 labels, but"),
    (["compare", "{ok}/rows.npz", "--hashers", "itg"], "unknown hasher 'itg': did you "
     "mean itq? there are lsh, pcah"),
    (["compare", "{ok}/rows.npz", "--hashers", "itq:iter=3"], "ITQ has no parameter"),
    (["compare", "{ok}/rows.npz", "--hashers", "itq:5"], "'5' sets no parameter"),
    (["compare", "{ok}/rows.npy", "--hashers", "sdh"], "sdh learns from labels, and"),
    (["compare", "{ok}/rows.npz", "--bits", "x"], "--bits x: give whole numbers"),
    (["compare", "{ok}/rows.npz", "--bits", "0"], "from 1 to 65535 bits"),
    (["compare", "{ok}/rows.npz", "--metrics", "maap"], "maap"),
    (["compare", "{ok}/rows.npz", "--protocol", "nus21"], "protocol"),
    (["compare", "{ok}/rows.npz", "--seeds", "3"], "--seeds repeats the split"),
    (["compare", "{ok}/rows.npz", "--out", "{bad}/file"], "is no folder"),
    (["compare", "{ok}/rows.npz", "--splits", "0"], "--splits: 0 is less than 1"),
    (["compare", "{ok}/rows.npz", "--spilts", "3"], "unrecognized arguments: --spilts"),
    (["encode", "{ok}/rows.npy", "--out", "out.np"], "the name must end in .npy"),
    (["encode", "{ok}/rows.npy", "--out", "/no/out.npy"], "there is no folder /no"),
    (["encode", "{ok}/rows.npy", "--out", "{ok}/rows.npy"], "is what is read"),
    (["encode", "{bad}/codes.npy", *OUT], "holds fields, not rows of numbers"),
    (["encode", "{bad}/nan.npy", *OUT], "the first in row 7"),
    (["encode", "{ok}/rows.npy", *OUT, "--hasher", "sdh"], "sdh learns from labels"),
    (["encode", "{ok}/rows.npy", *OUT, "--save-model", "m.pkl"], ".skops or .joblib"),
    (["encode", "{ok}/rows.npy", *OUT, "--model", "{tmp}/m.skops"], "no such file"),
    (["encode", "{ok}/rows.npy", *OUT, "--model", "{bad}/noise.skops"], "be read"),
    (["search", "{ok}/rows.npy", "--codes", "no.npy"], "--codes no.npy: there is no"),
    (["search", "{ok}/rows.npy", "--codes", "{ok}/rows.npy"], "holds no codes: make"),
    (["search", "{ok}/rows.npy", *CODES, "--neighbors", "3"], "holds rows, not codes"),
    (["search", "{ok}/rows.npy", *CODES], "--neighbors 10: there are 8 codes in"),
    (["search", "{bad}/codes.npy", *CODES, "--neighbors", "3", "--out", "x.txt"],
     "must end in .npz or .csv"),
    (["search", "q.npy", *CODES, "--neighbors", "3"], "q.npy: there is no such file"),
    (["search", "{bad}/codes.npy", *CODES, "--neighbors", "3", "--model", "m.skops"],
     "--model m.skops: there is no such file"),
    (["compare", "{bad}/changed.npz"], "changed.npz: X is damaged or cut off: write"),
    (["compare", "{bad}/raw.npz"], "raw.npz: X is no array"),
    (["compare", "{bad}/cut.npy"], "cut.npy is damaged or cut off: write it again"),
    (["compare", "{ok}/rows.npy", "--labels", "{bad}/nothing.npy"], "is damaged or"),
    (["compare", "{bad}/cut.csv.gz"], "cut.csv.gz is damaged or cut off (Compressed"),
    (["compare", "{bad}/length.npz"], "y has 30 labels, but X 40 rows"),
    (["compare", "{bad}/packed.npz"], "holds no packed labels: make them by numpy"),
    (["compare", "{bad}/count.npz"], "n_labels is 9, but labels_packed has room for 1"),
    (["compare", "{bad}/mask.npz"], "must hold row numbers (of a mask, numpy.flatnon"),
    (["compare", "{bad}/far.npz"], "query_idx holds 3 to 40, but the rows are 0 to 39"),
    (["compare", "{bad}/more.csv"], "lines with more fields than the first line"),
    (["compare", "{bad}/late.csv"], "late.csv cannot be read: Error tokenizing data"),
    (["compare", "{bad}/names.csv"], "names.csv holds no rows"),
    (["compare", "{bad}/semicolons.csv"], "separated by semicolons: convert them to"),
    (["compare", "{bad}/latin.csv"], "latin.csv is no UTF-8 text: save it as UTF-8"),
    (["compare", "{bad}/twice.parquet"], "several columns of one name: a; rename them"),
    (["compare", "{bad}/null.parquet"], "column 'y' has lists that hold nothing"),
    (["compare", "{bad}/row.parquet"], "column 'v' holds nothing in 1 rows or places, "
     "the first of them 1 (counted from 0)"),
    (["compare", "{bad}/strings.parquet"], "holds lists of string, not of numbers"),
    (["compare", "{bad}/bool.parquet"], "column 'a' holds nothing in 1 rows or places"),
    (["compare", "{bad}/labels.parquet", "--labels", "v", "w"], "name one column of"),
    (["compare", "{ok}/rows.npz", "--hashers", "itq:max_iter=abc"], "'itq:max_iter=abc'"
     ": The 'max_iter' parameter of ITQ must be"),
    (["compare", "{ok}/rows.npz", "--hashers", "itq:n_bits=9"], "n_bits is set by --b"),
    (["compare", "{ok}/rows.npz", "--queries", "5000"], "--queries 5000 asks for 5000"),
    (["compare", "{ok}/rows.npz", "--jobs", "0"], "--jobs: 0 jobs do nothing"),
    (["compare", "no.npz", "--seed", "4294967296"], "--seed: 4294967296 is more than"),
    (["encode", "no.npy", *OUT, "--bits", "70000"], "--bits: 70000 is more than 65535"),
]  # fmt: skip


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """A folder of files that cannot be used."""
    path = tmp_path_factory.mktemp("bad")
    write_bad_files(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"), ERRORS, ids=lambda part: str(part)[:40]
)
def test_errors_take_one_line(arguments, message, folder, bad, tmp_path, capsys):
    """What is wrong, and the way out, are told in one line, and nothing is written."""
    places = {"ok": folder, "bad": bad, "tmp": tmp_path}
    assert call(*(argument.format(**places) for argument in arguments)) == 2
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if "note:" not in line]
    lines = [line for line in lines if "learning from" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("sklhash: error: ")
    assert message in lines[0]
    assert not list(tmp_path.iterdir())


def test_traceback_on_demand(bad):
    """Whoever wants to see where an error came from, does."""
    with pytest.raises(ValueError, match="20 or more are needed"):
        call("compare", bad / "few.npz", "--traceback")


def test_missing_packages_are_named():
    """Without an optional package the error says what to install."""
    with pytest.raises(ValueError, match=r'.csv file needs nowhere: pip install "sklh'):
        require("nowhere", "cli", "a .csv file")


def test_missing_torch_is_named(monkeypatch):
    """Networks without torch are refused before any work, with a way out."""

    def missing(name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(sklhash, "__getattr__", missing)
    monkeypatch.setitem(HASHERS, "net", ("NetHasher", {}, "a network", False))
    with pytest.raises(ValueError, match="'net' needs torch: pip install torch, or"):
        make_hasher("net")


def test_other_bits_do_not_compare(folder, digits, tmp_path, capsys):
    """Queries and codes of different lengths are refused."""
    for n_bits in (8, 9):
        codes = ITQ(n_bits).fit(digits[0]).encode(digits[0][:20])
        codes.save(tmp_path / f"{n_bits}.npy")
    assert call("search", tmp_path / "8.npy", "--codes", tmp_path / "9.npy") == 2
    assert "the queries have 8 bits, but the codes in" in capsys.readouterr().err


def test_models_of_unknown_types_are_refused(folder, tmp_path, capsys):
    """A skops file that holds foreign types is not loaded."""
    from skops.io import dump

    class Foreign:
        transform = None

    Foreign.__module__, Foreign.__qualname__ = "os", "foreign"
    dump(Foreign(), tmp_path / "m.skops")
    options = ["--out", tmp_path / "c.npy", "--model", tmp_path / "m.skops"]
    assert call("encode", folder / "rows.npy", *options) == 2
    assert "holds types that are not trusted" in capsys.readouterr().err


def test_plain_progress(capsys):
    """Without rich, progress is a line now and then."""
    show = _progress.plain_lines("encode", pause=0)
    show(1000, None)
    show(2000, 3000, "itq")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["encode: 1,000", "encode: 2,000 of 3,000 itq"]


@pytest.mark.parametrize("rich", [True, False])
def test_progress_needs_a_terminal(rich, capsys, monkeypatch):
    """In a terminal there is a bar, or lines; elsewhere there is nothing."""
    with _progress.progress_bar("compare") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    if not rich:
        monkeypatch.setattr(_progress, "find_spec", lambda name: None)
    with _progress.progress_bar("compare [/b]") as progress:
        progress(1, 2, "itq [red]")
        progress(2, 2)
    assert "compare [/b]" in capsys.readouterr().err
