"""What `sklhash compare` prints and writes."""

import csv
import dataclasses
import json
import math
import os
import subprocess
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklhash import ITQ, PCAHashing, RandomHyperplaneHashing, cli
from sklhash.cli import _compare, main
from sklhash.cli._answer import Answer, find_answer
from sklhash.cli._compare import read_all
from sklhash.cli._figures import inline
from sklhash.cli._files import open_rows
from sklhash.cli._html import page
from sklhash.cli._report import Report, as_json, write_report
from sklhash.cli._splits import make_splits
from sklhash.cli._words import bytes_in_words, score_in_words, seconds_in_words
from sklhash.model_selection import RetrievalSplit, compare_hashers

pd = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

N, BITS = 300, [4, 12]
HASHERS = {
    "lsh": RandomHyperplaneHashing(),
    "itq:max_iter=5": ITQ(max_iter=5),
    "itq:max_iter=9": ITQ(max_iter=9),
    "pcah": PCAHashing(),
}
COSTS = {"fit_time", "encode_time"}


def compare(data, out, *options):
    """Run `sklhash compare` with few and quick hashers."""
    options = ["--bits", *map(str, BITS), *options, "--out", str(out)]
    return main(["compare", str(data), "--hashers", ",".join(HASHERS), *options])


@pytest.fixture(scope="module")
def report(tmp_path_factory, digits):
    """A report on some digits, and the same comparison by the library."""
    folder = tmp_path_factory.mktemp("report")
    np.savez(folder / "some.npz", X=digits[0][:N, :40], y=digits[1][:N])
    assert compare(folder / "some.npz", str(folder / "out"), "--splits", "2") == 0
    expected = compare_hashers(
        HASHERS, digits[0][:N, :40], digits[1][:N], n_bits=BITS, splits=2
    )
    return folder / "out", expected


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps the text of cells and all."""

    VOID = ("meta", "br", "img", "use", "path", "rect")

    def __init__(self, html):
        super().__init__()
        self.open, self.cells, self.texts, self.tags = [], [], [], []
        self.ids = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        for name, value in attributes:
            assert not name.startswith("on"), name
            if name in ("src", "href", "xlink:href"):
                assert value.startswith(("#", "data:")), value
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


def test_runs_are_those_of_the_library(report):
    """The figures of the table of runs are those of `compare_hashers`."""
    folder, expected = report
    with open(folder / "comparison.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(expected.records) == 2 * (4 * 2 + 2)
    for line, record in zip(lines, expected.records, strict=True):
        assert line.keys() == record.keys()
        for key in record.keys() - COSTS:
            missing = record[key] is None or record[key] != record[key]
            assert line[key] == ("" if missing else str(record[key]))


def test_json_holds_everything(report):
    """Programs find means, runs, answer and the way they were found."""
    folder, expected = report
    content = json.loads((folder / "comparison.json").read_text())
    assert content["complete"] is True
    assert content["metrics"] == [*expected.metrics]
    for mine, row in zip(content["summary"], expected.summary(), strict=True):
        assert mine["map"] == row["map"]
        assert mine["map_sd"] == row["map_sd"]
    assert content["answer"]["hasher"].startswith("itq")
    assert "--splits 2" in content["facts"]["Command"]
    assert content["facts"]["Splits"] == "2 splits at random, with seeds 0 to 1"


def test_page_is_well_formed_and_complete(report):
    """One file without scripts holds all figures, and opens by itself."""
    folder, expected = report
    html = (folder / "report.html").read_text()
    parsed = Page(html)
    assert "script" not in parsed.tags
    assert parsed.tags.count("svg") == 3
    assert len(set(parsed.ids)) == len(parsed.ids)
    for row in expected.summary():
        for metric in expected.metrics:
            text = score_in_words(row[metric], row[f"{metric}_sd"])
            assert text in parsed.cells
    texts = " ".join(parsed.texts)
    for said in (
        "240 rows in the gallery",
        "same class",
        "expected: the mean over all",
    ):
        assert said in texts
    assert "10 classes (0, 1, 2" in texts


def test_plots_are_files(report):
    """Plots lie beside the page."""
    for name in ("scores", "precision_recall", "bits"):
        image = (report[0] / f"{name}.png").read_bytes()
        assert image.startswith(b"\x89PNG")


def test_next_steps_run(report, monkeypatch):
    """The lines of Python that a report ends with do what they say."""
    folder, _ = report
    html = (folder / "report.html").read_text()
    code = html.split("<pre><code>")[1].split("</code></pre>")[0]
    for escaped, character in (("&#x27;", "'"), ("&quot;", '"'), ("&gt;", ">")):
        code = code.replace(escaped, character)
    monkeypatch.chdir(folder.parent)
    names = {}
    exec(code, names)
    assert names["positions"].shape == (5, 10)
    assert_array_equal(names["positions"][:, 0], np.arange(5))


@pytest.mark.parametrize("name", ["a.csv", "bare.csv", "a.parquet", "lists.parquet"])
def test_lines_that_load_rows(name, digits, tmp_path):
    """The Python that a report gives loads the same rows and labels from tables."""
    X, y = digits[0][:20, 2:9], digits[1][:20]
    frame = pd.DataFrame(X, columns=list("abcdefg")).assign(y=y)
    if name == "bare.csv":
        np.savetxt(tmp_path / name, X, delimiter=",")
    elif name == "lists.parquet":
        pd.DataFrame({"v": list(X), "y": y}).to_parquet(tmp_path / name)
    elif name == "a.csv":
        frame.to_csv(tmp_path / name, index=False)
    else:
        frame.to_parquet(tmp_path / name)
    for features in (None, ["0", "3"] if name == "bare.csv" else ["a", "d"]):
        if features and name == "lists.parquet":
            break
        rows = open_rows(tmp_path / name, features)
        names = {"np": np, "pd": pd}
        exec("\n".join(rows.as_python()), names)
        assert_array_equal(names["X"], rows.read()[0])
        if name != "bare.csv":
            assert_array_equal(names["y"], y)


@pytest.mark.parametrize("name", ["d.npy", "d.npz"])
def test_lines_that_load_arrays(name, tmp_path, rng):
    """The Python that a report gives loads the same rows and labels from arrays."""
    X, Y = rng.rand(20, 3, 4).astype(np.float16), rng.rand(20, 11) < 0.5
    packed = {"labels_packed": np.packbits(Y, axis=1), "n_labels": 11}
    if name == "d.npy":
        np.save(tmp_path / name, X)
    else:
        np.savez(tmp_path / name, X=X, **packed)
    rows, names = open_rows(tmp_path / name), {"np": np}
    exec("\n".join(rows.as_python()), names)
    assert_array_equal(names["X"], rows.read()[0])
    if name == "d.npz":
        assert_array_equal(names["y"], Y)


HOSTILE = "</table><script>alert('$x$ & \"y\"')</script>"


def comparison(**changes):
    """Make up a comparison."""
    data = {
        "n_samples": 10, "n_features": 4, "n_train": 8, "n_gallery": 8, "n_queries": 2,
        "relevance": HOSTILE, "ties": "expected", "normalize": "min",
    }  # fmt: skip
    row = {
        "hasher": HOSTILE, "n_bits": 8, "map": 0.25, "map_sd": 0.5, "fit_time": 0.1,
        "encode_time": 0.1, "bytes_per_item": 1, "n_runs": 2, "error": None,
    }  # fmt: skip
    failed = {**row, "n_bits": 9, "error": HOSTILE, "n_runs": 0, "map": math.nan}
    made = {
        "metrics": ("map",), "n_bits": (8, 9), "hashers": (HOSTILE,), "references": (),
        "n_splits": 2, "complete": False, "data": data, "records": [row],
        "summary": lambda: [row, failed], **changes,
    }  # fmt: skip
    return SimpleNamespace(**made)


def test_hostile_names_are_text():
    """Names of methods, files, classes and errors never become part of the page."""
    answer = Answer(HOSTILE, 8, [HOSTILE, HOSTILE])
    facts = {"Data": HOSTILE, "Labels": HOSTILE, "Command": HOSTILE, HOSTILE: HOSTILE}
    made = Report(comparison(), answer, HOSTILE, facts, [HOSTILE], [HOSTILE])
    html = page(made, [])
    parsed = Page(html)
    assert "script" not in parsed.tags
    assert "".join(parsed.texts).count(HOSTILE) == html.count("&lt;script&gt;") >= 14
    assert parsed.tags.count("table") == 2
    json.dumps(as_json(made), allow_nan=False)


def test_hostile_names_in_plots(digits):
    """Plots take names as they are, formulas and markup included."""
    from sklhash.cli._figures import draw_figures

    made = compare_hashers(
        {f"{HOSTILE} $\\frac$": RandomHyperplaneHashing()},
        digits[0][:60],
        digits[1][:60],
        n_bits=[4, 5],
        splits=1,
        metrics="map",
    )
    (figure,) = draw_figures(made, None)
    parsed = Page(figure.svg)
    assert "script" not in parsed.tags
    assert any("$\\frac$" in text for text in parsed.texts)


def test_identifiers_of_inlined_plots_differ():
    """Several plots in one page do not share identifiers."""
    svg = '<?xml?><svg width="9" height="8" x="1"><g id="a"/><use xlink:href="#a" '
    svg += 'clip-path="url(#a)"/></svg>'
    expected = '<svg width="9" x="1"><g id="b-a"/><use xlink:href="#b-a" '
    assert inline(svg, "b") == f'{expected}clip-path="url(#b-a)"/></svg>'


def test_answer_in_words(digits):
    """The answer names the best, its price, the fewest bits and the second best."""
    hashers = {"lsh": RandomHyperplaneHashing(), "itq": ITQ(max_iter=5)}
    made = compare_hashers(hashers, *digits, n_bits=[16, 32], splits=2, metrics="map")
    answer = find_answer(made, 512)
    summary = {(row["hasher"], row["n_bits"]): row for row in made.summary()}
    best = summary["itq", 32]
    assert (answer.hasher, answer.n_bits) == ("itq", 32)
    assert answer.sentences[0].startswith(
        f"Best: itq with 32 bits, mAP {score_in_words(best['map'], best['map_sd'])}, "
        "in 4 bytes a row instead of 512 (128 times less). For comparison: cosine "
    )
    other = score_in_words(summary["lsh", 32]["map"])
    assert answer.sentences[0].endswith(f"random hyperplanes {other}.")
    interval = made.interval("itq", "lsh", n_bits=32)
    ends = f"{score_in_words(interval.low)} to {score_in_words(interval.high)}"
    assert ends in answer.sentences[-1]
    assert len(answer.sentences) == 4


def test_what_cannot_be_told_apart(digits):
    """Methods whose interval holds zero are not called different."""
    hashers = {"one": ITQ(max_iter=5), "two": ITQ(max_iter=6)}
    X, y = digits[0][:200], digits[1][:200]
    made = compare_hashers(hashers, X, y, n_bits=8, splits=1, metrics="map")
    sentences = find_answer(made, 512).sentences
    assert "the 40 queries cannot tell them apart" in sentences[-1]
    assert len(sentences) == 2  # one run has no standard error


def test_without_labels_and_with_failures(digits, tmp_path, capsys):
    """Neighbours in floats are relevant without labels; failed fits are footnotes."""
    np.save(tmp_path / "rows.npy", digits[0][:200, 20:30])
    options = ["--splits", "1", "--scale", "--queries", "30", "--train", "100"]
    assert compare(tmp_path / "rows.npy", str(tmp_path / "out"), *options) == 0
    printed = capsys.readouterr()
    assert "Best: itq" in printed.out
    assert "recall@10" in printed.out
    assert "warning: 1 of 8 fits failed" in printed.err
    parsed = Page((tmp_path / "out" / "report.html").read_text())
    assert any("pcah, 12 bits: n_bits=12 is more than" in t for t in parsed.texts)
    texts = " ".join(parsed.texts)
    assert "30 queries, 170 rows in the gallery, 100 rows to learn from" in texts
    assert "10 nearest" in texts
    assert parsed.tags.count("svg") == 2  # no classes, no precision


@pytest.fixture
def quick(tmp_path, rng):
    """Arguments of a comparison that takes no time, and its folder."""
    np.savez(tmp_path / "d.npz", X=rng.rand(60, 6), y=np.arange(60) % 3)
    options = ["--hashers", "lsh,LSH", "--bits", "4", "--splits", "1"]
    out = ["--metrics", "map", "--out", str(tmp_path / "out")]
    return ["compare", str(tmp_path / "d.npz"), *options, *out], tmp_path / "out"


def test_second_interrupt_keeps_the_runs(quick, monkeypatch):
    """Who loses patience after the runs has them in a table already."""

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_compare, "find_answer", interrupted)
    assert main(quick[0]) == 130
    assert [path.name for path in quick[1].iterdir()] == ["comparison.csv"]


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left")])
def test_report_outlives_the_output(error, quick, monkeypatch):
    """If nothing can be printed, the report is there all the same."""

    def closed(*arguments):
        raise error

    monkeypatch.setattr(_compare, "_print_result", closed)
    monkeypatch.setattr(cli, "_print_no_more", lambda: None)
    monkeypatch.setattr(_compare, "draw_figures", lambda *_: [])
    assert main(quick[0]) == (0 if isinstance(error, BrokenPipeError) else 2)
    assert (quick[1] / "report.html").exists()
    with open(quick[1] / "comparison.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 1 + 2  # LSH is lsh; two in floats


def test_closed_pipe_is_silent(quick):
    """A reader that leaves, such as head, makes no noise."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "sklhash", *quick[0][:-2]]
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (run.returncode, run.stderr) == (0, b"")


def test_names_that_are_no_text(tmp_path):
    """A file name of other bytes than text does not cost the report."""
    answer, facts = Answer(None, 0, ["none"]), {"Data": "\udce9.npz"}
    write_report(Report(comparison(), answer, "\udce9.npz", facts), [], tmp_path)
    assert "?.npz" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_no_intervals_after_an_interrupt(digits):
    """Who has stopped a comparison does not wait for intervals."""
    hashers = {"one": ITQ(max_iter=1), "two": ITQ(max_iter=2)}
    X, y = digits[0][:100], digits[1][:100]
    made = compare_hashers(hashers, X, y, n_bits=8, splits=1, metrics="map")
    stopped = dataclasses.replace(made, complete=False)
    assert len(find_answer(stopped, 512).sentences) == 1


def test_split_of_the_file(tmp_path, rng, capsys):
    """Row numbers in a file are its split; sizes and seeds can be chosen."""
    X, query = rng.rand(200, 6), np.arange(150, 200)
    np.savez(tmp_path / "d.npz", X=X, y=np.arange(200) % 3, query_idx=query)
    options = ["--metrics", "map", "--seeds", "2", "--queries", "20", "--train", "40"]
    data = str(tmp_path / "d.npz")
    assert main(["compare", data, "--hashers", "lsh", "--bits", "4", *options]) == 0
    printed = capsys.readouterr().out
    assert "150 gallery rows" in printed
    assert "20 queries" in printed
    assert main(["compare", data, *options, "--splits", "2"]) == 2
    assert "--seeds repeats the split" in capsys.readouterr().err


@pytest.mark.parametrize("max_rows", [None, 80])
def test_rows_of_a_split_are_found_again(max_rows, tmp_path, rng):
    """Drawing rows keeps the split: each row is in the part that the file says."""
    parts = np.split(rng.permutation(200), [40, 120, 150])  # 50 rows in none
    keys = dict(zip(("query_idx", "train_idx", "rest"), parts[:3], strict=True))
    keys["db_idx"] = np.concatenate([keys["train_idx"], keys.pop("rest")])
    np.savez(tmp_path / "d.npz", X=np.arange(400.0).reshape(200, 2), **keys)
    rows = open_rows(tmp_path / "d.npz")
    X, y, kept = read_all(rows, max_rows, seed=0)
    options = {"splits": None, "protocol": None, "seeds": 1, "seed": 0}
    arguments = SimpleNamespace(queries=None, train=None, **options)
    (split,), words = make_splits(rows.split, kept, X, y, arguments)
    assert isinstance(split, RetrievalSplit)
    assert words == "the file's own, 1 run with seed 0"
    wanted = (keys["train_idx"], keys["db_idx"], keys["query_idx"])
    for part, own in zip(split, wanted, strict=True):
        in_file = X[part, 0] / 2
        assert set(in_file) == set(own) & set(X[:, 0] / 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (score_in_words(0.6589, 0.0131), ".659 ± .013"),
        (score_in_words(1.0), "1.000"),
        (score_in_words(-0.25), "−.250"),
        (score_in_words(math.nan), "–"),
        (bytes_in_words(512e6), "512 MB"),
        (bytes_in_words(3e12), "3 TB"),
        (seconds_in_words(0.5), "500 ms"),
        (seconds_in_words(2e-5), "20 µs"),
        (seconds_in_words(7200), "120 min"),
        (seconds_in_words(math.nan), "–"),
    ],
)
def test_figures_in_words(text, expected):
    """Scores, sizes and times are written as people read them."""
    assert text == expected
