"""Displays draw what was computed, where they are told to."""

import builtins
import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklhash import (
    ITQ,
    HammingRetriever,
    PackedCodes,
    RandomHyperplaneHashing,
    SphericalHashing,
    displays,
)
from sklhash.displays import (
    BitStatisticsDisplay,
    CodeLengthDisplay,
    DistanceHistogramDisplay,
    PrecisionAtKDisplay,
    PrecisionRecallByRadiusDisplay,
    RetrievedImagesDisplay,
    TrainingCurvesDisplay,
)
from sklhash.displays._names import metric_label, name_of
from sklhash.displays._radii import spaced_points
from sklhash.displays._styles import GREEN, VERMILION, curve_style

plt = pytest.importorskip("matplotlib.pyplot")
to_rgba = pytest.importorskip("matplotlib.colors").to_rgba

CURVES = {
    "epoch": [1, 2, 3],
    "dur": [0.1, 0.1, 0.1],
    "train_loss": [0.9, 0.7, 0.6],
    "valid_loss": [1.0, 0.8, 0.75],
    "hard": [0.8, 0.65, 0.55],
    "quantization": [0.1, 0.05, 0.05],
    "hard_pairs": [1.0, 1.0, 1.0],
    "bit_balance": [0.8, 0.85, 0.9],
    "distinct_codes": [90, 60, 50],
}
IMAGES = np.random.RandomState(0).rand(12, 5, 4)

#: A ready-made display of each kind.
DRAWN = {
    "code length": lambda: CodeLengthDisplay([8, 16], {"ITQ": [0.5, 0.6]}),
    "precision and recall": lambda: PrecisionRecallByRadiusDisplay(
        [1, 0.5], [0.5, 1], [0, 1]
    ),
    "precision at k": lambda: PrecisionAtKDisplay([1, 2], [1, 0.5], chance_level=0.1),
    "histogram": lambda: DistanceHistogramDisplay([3, 1, 0], [0, 1, 1]),
    "bits": lambda: BitStatisticsDisplay([0.5, 0.25], [[1, 0.6], [0.6, 1]]),
    "images": lambda: RetrievedImagesDisplay(IMAGES[:2], IMAGES, [[3, 4], [5, 6]]),
    "training": lambda: TrainingCurvesDisplay(CURVES),
}
#: Displays of several axes, and of how many.
SEVERAL = {"bits": 2, "training": 3}
#: Arguments that `from_estimator` cannot do without.
NOTHING = {kind: [None] * {"bits": 2, "training": 1}.get(kind, 3) for kind in DRAWN}
REQUIRED = {"images": {"gallery_images": None}}
every_display = pytest.mark.parametrize("kind", DRAWN)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def coded(rng):
    """Codes and labels of a few queries and a gallery."""
    codes, y = rng.randint(0, 2, (60, 7)), rng.randint(0, 3, 60)
    return codes[:12], codes[12:], y[:12], y[12:]


def count_by_distance(queries, gallery, y_query, y_gallery):
    """Count items, and relevant ones, of each query by distance, in plain loops."""
    n_bits = len(queries[0])
    items = np.zeros((len(queries), n_bits + 1))
    relevant = np.zeros_like(items)
    for i, (code, label) in enumerate(zip(queries, y_query, strict=True)):
        for other, other_label in zip(gallery, y_gallery, strict=True):
            distance = sum(a != b for a, b in zip(code, other, strict=True))
            items[i, distance] += 1
            relevant[i, distance] += (
                np.any(np.logical_and(label, other_label))
                if (np.ndim(label))
                else label == other_label
            )
    return items, relevant


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ---------------------------------------------------------------- all of them


@every_display
def test_plot_makes_a_figure(kind):
    """Without axes a display draws on a figure of its own, and gives itself back."""
    display = DRAWN[kind]()
    assert display.plot() is display
    assert np.size(display.ax_) == SEVERAL.get(kind, 1)
    assert all(ax.figure is display.figure_ for ax in np.ravel(display.ax_))
    display.figure_.canvas.draw()


@every_display
def test_plot_on_given_axes(kind):
    """Given as many axes as it needs, a display draws on these and makes no figure."""
    n_axes = SEVERAL.get(kind, 1)
    figure, axes = plt.subplots(1, n_axes)
    display = DRAWN[kind]().plot(ax=axes)
    assert display.figure_ is figure
    assert_array_equal(np.ravel(display.ax_), np.ravel(axes))
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()


@pytest.mark.parametrize("kind", SEVERAL)
def test_one_axes_is_divided(kind):
    """A display of several axes puts them in the place of one."""
    figure, axes = plt.subplots(1, 2)
    place = axes[1].get_position()
    display = DRAWN[kind]().plot(ax=axes[1])
    assert display.figure_ is figure
    assert not axes[1].axison
    for ax in display.ax_:
        assert ax is not axes[1]
        assert ax.get_position().x0 >= place.x0 - 1e-9
    free = figure.add_axes([0, 0, 0.2, 0.2])
    with pytest.raises(ValueError, match="ax is no subplot"):
        DRAWN[kind]().plot(ax=free)


@every_display
def test_other_axes_are_refused(kind):
    """Too many axes, or none, are refused before anything is drawn."""
    _, axes = plt.subplots(2, 2)
    with pytest.raises(ValueError, match="got 4 axes"):
        DRAWN[kind]().plot(ax=axes)
    with pytest.raises(TypeError, match=r"ax must be one Axes.* got str"):
        DRAWN[kind]().plot(ax="left")


@every_display
def test_name_is_shown(kind):
    """A name given to `plot` stands in the legend, or in the title if there is none."""
    display = DRAWN[kind]().plot(name="my codes")
    ax = np.ravel(display.ax_)[0]
    texts = [ax.get_title(), ax.get_legend() and ax.get_legend().get_title().get_text()]
    texts += legend_of(ax) if ax.get_legend() else []
    assert any("my codes" in (text or "") for text in texts), texts


@every_display
def test_settings_stay(kind):
    """Drawing changes no setting of matplotlib."""
    before = dict(plt.rcParams)
    DRAWN[kind]().plot()
    assert dict(plt.rcParams) == before


@every_display
def test_matplotlib_missing(kind, monkeypatch):
    """Without matplotlib, the error says how to install it."""
    load = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return load(name, *args, **kwargs)

    display = DRAWN[kind]()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r'pip install "sklhash\[plot\]"'):
        display.plot()
    creators = [name for name in dir(type(display)) if name.startswith("from_")]
    assert "from_estimator" in creators
    with pytest.raises(ImportError, match=r"from_estimator needs matplotlib"):
        type(display).from_estimator(*NOTHING[kind], **REQUIRED.get(kind, {}))


def test_import_is_light():
    """Importing the displays loads neither matplotlib nor torch."""
    code = (
        "import sys, sklhash.displays; "
        "print([n for n in ('matplotlib', 'torch') if n in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


def test_each_is_public():
    """Every display is listed, and listed here."""
    shown = {type(make()).__name__ for make in DRAWN.values()}
    assert shown == set(displays.__all__)


def test_styles_differ():
    """Fifty curves have fifty looks, even without colours the first nine."""
    styles = [curve_style(i) for i in range(50)]
    keys = ("color", "marker", "linestyle")
    assert len({tuple(style[key] for key in keys) for style in styles}) == 50
    assert len({style["marker"] for style in styles[:9]}) == 9


def test_names():
    """Hashers are named through what wraps them; metrics as people write them."""
    X = np.random.RandomState(0).randn(30, 4)
    itq = ITQ(2, random_state=0).fit(X)
    pipe = make_pipeline(StandardScaler(), ITQ(2), HammingRetriever()).fit(X)
    nested = make_pipeline(StandardScaler(), make_pipeline(ITQ(2), HammingRetriever()))
    wrapped = [
        itq,
        FrozenEstimator(itq),
        HammingRetriever(FrozenEstimator(itq)).fit(X),
        pipe,
        nested.fit(X),
    ]
    assert [name_of(each, 2) for each in wrapped] == ["ITQ, 2 bits"] * 5
    assert name_of(HammingRetriever().fit(itq.encode(X))) == "HammingRetriever"
    labels = {
        "map": "mAP",
        "ndcg@100": "nDCG@100",
        "precision@r2": "precision within 2 bits",
        "recall@r1": "recall within 1 bit",
        "wap@5": "WAP@5",
    }
    assert {name: metric_label(name) for name in labels} == labels


# ------------------------------------------------- axes that others drew on, styles


@every_display
def test_axes_with_other_things(kind):
    """Points, bars and areas of somebody else stay where they are, and name nothing."""
    _, axes = plt.subplots(1, SEVERAL.get(kind, 1), layout="constrained")
    for ax in np.ravel(axes):
        ax.scatter([1], [0.5], label="points")
        ax.bar([1], [0.2], label="bars")
        ax.axvspan(1, 2, label="area")
        ax.errorbar([1], [0.5], yerr=[0.1], label="errors")
        ax.plot([1, 2], [0.5, 0.5], label="line")
    display = DRAWN[kind]().plot(ax=axes)
    display.figure_.canvas.draw()
    first = np.ravel(axes)[0]
    assert {"points", "bars"} <= set(first.get_legend_handles_labels()[1])


def test_looks_count_own_curves_only(coded):
    """Others' lines take no look; own ones do, whatever they look like."""
    _, ax = plt.subplots()
    ax.plot([0, 1], [0, 1])
    draw = PrecisionAtKDisplay.from_predictions
    first = draw(*coded, ax=ax, zorder=1, marker="|")
    assert first.line_.get_color() == curve_style(0)["color"]
    assert draw(*coded, ax=ax).line_.get_color() == curve_style(1)["color"]


@every_display
def test_one_axes_in_an_array(kind):
    """Axes as plt.subplots(squeeze=False) gives them are taken."""
    _, axes = plt.subplots(squeeze=False)
    display = DRAWN[kind]().plot(ax=axes)
    assert len(np.ravel(display.ax_)) == SEVERAL.get(kind, 1)


@pytest.mark.parametrize("kind", SEVERAL)
def test_a_place_is_divided_once(kind):
    """A second display in the place of one axes is refused."""
    _, axes = plt.subplots(1, 2)
    display = DRAWN[kind]().plot(ax=axes[1])
    with pytest.raises(ValueError, match=r"ax=display.ax_"):
        DRAWN[kind]().plot(ax=axes[1])
    DRAWN[kind]().plot(ax=display.ax_).figure_.canvas.draw()


@every_display
def test_failing_leaves_no_figure(kind):
    """Where matplotlib refuses a keyword, the new figure is closed."""
    with pytest.raises((AttributeError, TypeError)):
        DRAWN[kind]().plot(nonsense=1)
    assert plt.get_fignums() == []


@every_display
def test_dark_style(kind):
    """On a dark background no text, tick or curve is dark."""
    with plt.style.context("dark_background"):
        display = DRAWN[kind]().plot()
        display.figure_.canvas.draw()
        for ax in np.ravel(display.ax_):
            for text in ax.texts:
                assert max(to_rgba(text.get_color())[:3]) > 0.6
            for line in [*ax.lines, *ax.get_xgridlines()]:
                assert max(to_rgba(line.get_color())[:3]) > 0.5
        assert to_rgba(curve_style(6)["color"]) == to_rgba("white")
    assert to_rgba(curve_style(6)["color"]) == to_rgba("black")


def test_logarithmic_axes(coded):
    """Logarithmic axes keep their ticks, and get no limit at 0."""
    for draw in (
        PrecisionRecallByRadiusDisplay.from_predictions,
        PrecisionAtKDisplay.from_predictions,
        DistanceHistogramDisplay.from_predictions,
    ):
        _, ax = plt.subplots()
        ax.set(yscale="log", xscale="log")
        locator = type(ax.xaxis.get_major_locator())
        draw(*coded, ax=ax).figure_.canvas.draw()
        assert type(ax.xaxis.get_major_locator()) is locator
        assert ax.get_ylim()[0] > 0


def test_single_places_have_whole_ticks():
    """One place, epoch or bit has a tick of its own, and none beside it."""
    curves = {"train_loss": [1.0], "bit_balance": [0.9], "distinct_codes": [9]}
    shown = [
        PrecisionAtKDisplay([5], [0.5]).plot().ax_,
        TrainingCurvesDisplay(curves).plot().ax_[0],
        BitStatisticsDisplay([0.5], [[1.0]]).plot().ax_[0],
    ]
    for ax, number in zip(shown, (5, 1, 0), strict=True):
        low, high = ax.get_xlim()
        assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [number]


def test_wide_legends_go_below():
    """A legend of long names leaves the curves most of the figure's width."""
    _, ax = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
    for i in range(6):
        name = f"a pipeline with a very long name, 64 bits, number {i}"
        PrecisionAtKDisplay([1, 2], [1, 0.5]).plot(ax=ax, name=name)
    ax.figure.canvas.draw()
    assert ax.get_position().width > 0.7
    assert ax.get_position().height > 0.3
    legend, label = (
        each.get_window_extent() for each in (ax.get_legend(), ax.xaxis.label)
    )
    assert legend.y1 < label.y0


# ------------------------------------------------- precision and recall by radius


def test_precision_recall_is_what_loops_give(coded):
    """The line has precision and recall of each radius, averaged over the queries."""
    items, relevant = count_by_distance(*coded)
    display = PrecisionRecallByRadiusDisplay.from_predictions(*coded, name="random")
    x, y = display.line_.get_data()
    for radius in range(8):
        found = items[:, : radius + 1].sum(axis=1)
        hits = relevant[:, : radius + 1].sum(axis=1)
        precision = [h / f if f else 0 for h, f in zip(hits, found, strict=True)]
        assert_allclose(y[radius], np.mean(precision))
        assert_allclose(x[radius], np.mean(hits / relevant.sum(axis=1)))
    assert legend_of(display.ax_) == ["random"]


def test_radii_stand_at_their_points(coded):
    """A radius is written at its point, not too near to the one before it."""
    display = PrecisionRecallByRadiusDisplay.from_predictions(*coded)
    points = {
        "1 bit" if r == 1 else f"{r} bits": (x, y)
        for r, x, y in zip(
            display.radius, display.recall, display.precision, strict=True
        )
    }
    assert len(display.radii_) >= 3
    for text in display.radii_:
        assert text.xy == points[text.get_text()]
    assert spaced_points(np.array([0, 0.1, 0.2, 0.35]), np.zeros(4), 0.14) == [0, 2, 3]


def test_second_curve_differs(coded):
    """A second call adds a curve of another look, and marks no radii."""
    first = PrecisionRecallByRadiusDisplay.from_predictions(*coded, name="a")
    second = PrecisionRecallByRadiusDisplay.from_predictions(
        *coded, name="b", ax=first.ax_
    )
    assert first.line_.get_color() != second.line_.get_color()
    assert first.line_.get_marker() != second.line_.get_marker()
    assert second.radii_ == []
    assert legend_of(first.ax_) == ["a", "b"]
    marked = second.plot(ax=first.ax_, mark_radii=True, c="0.5", ls=":")
    assert marked.radii_
    assert (marked.line_.get_color(), marked.line_.get_linestyle()) == ("0.5", ":")


def test_precision_recall_from_estimator(digits):
    """Fitted galleries, given ones and the rows themselves are searched as scored."""
    X, y = digits[0][:200], digits[1][:200]
    itq = ITQ(8, random_state=0).fit(X[50:])
    fitted = HammingRetriever(FrozenEstimator(itq)).fit(X[50:], y[50:])
    draw = PrecisionRecallByRadiusDisplay.from_estimator
    codes = itq.encode(X)
    expected = PrecisionRecallByRadiusDisplay.from_predictions(
        codes[:50], codes[50:], y[:50], y[50:]
    )
    for display in (
        draw(fitted, X[:50], y[:50]),
        draw(itq, X[:50], y[:50], gallery=(X[50:], y[50:])),
    ):
        assert_array_equal(display.precision, expected.precision)
        assert_array_equal(display.recall, expected.recall)
        assert legend_of(display.ax_) == ["ITQ, 8 bits"]
    itself = PrecisionRecallByRadiusDisplay.from_predictions(
        codes[50:], codes[50:], y[50:], y[50:], exclude_self=True
    )
    for display in (draw(itq, X[50:], y[50:]), draw(fitted, X[50:], y[50:])):
        assert_array_equal(display.precision, itself.precision)


def test_spherical_and_asymmetric_distances(digits):
    """Spherical radii are no bits; asymmetric distances have precision@k only."""
    X, y = digits[0][:200], digits[1][:200]
    retriever = HammingRetriever(
        SphericalHashing(8, random_state=0), metric="spherical"
    )
    display = PrecisionRecallByRadiusDisplay.from_estimator(
        retriever.fit(X[50:], y[50:]), X[:50], y[:50]
    )
    assert display.radius.dtype == np.float64
    assert not any("bit" in text.get_text() for text in display.radii_)
    retriever = HammingRetriever(ITQ(8, random_state=0), metric="asymmetric")
    retriever.fit(X[50:], y[50:])
    with pytest.raises(
        ValueError, match="no common radii: use code_distance='hamming'"
    ):
        PrecisionRecallByRadiusDisplay.from_estimator(retriever, X[:50], y[:50])
    display = PrecisionAtKDisplay.from_estimator(retriever, X[:50], y[:50], k=3)
    assert len(display.precision) == 3


@pytest.mark.parametrize(
    "draw",
    [
        PrecisionRecallByRadiusDisplay.from_estimator,
        PrecisionAtKDisplay.from_estimator,
        DistanceHistogramDisplay.from_estimator,
    ],
)
def test_labels_and_gallery_are_needed(draw, digits):
    """What is missing, or no gallery at all, is named."""
    X, y = digits[0][:60], digits[1][:60]
    itq = ITQ(4, random_state=0).fit(X)
    with pytest.raises(ValueError, match="y is missing"):
        draw(itq, X, None)
    with pytest.raises(ValueError, match="ITQ keeps no gallery"):
        draw(itq, X, y, gallery="fitted")
    with pytest.raises(ValueError, match="'gallery' parameter"):
        draw(itq, X, y, gallery="train")
    with pytest.raises(ValueError, match=r"gallery must be .*; got list$"):
        draw(itq, X, y, gallery=[X, y])
    with pytest.raises(ValueError, match="fitted without y"):
        draw(HammingRetriever(itq).fit(X), X, y)


# -------------------------------------------------------------- precision at k


def test_precision_at_k_is_what_loops_give(coded):
    """The line has the mean precision of the first k, over all orders of ties."""
    queries, gallery, y_query, y_gallery = coded
    items, relevant = count_by_distance(*coded)
    display = PrecisionAtKDisplay.from_predictions(*coded, name="random")
    k, precision = display.line_.get_data()
    assert_array_equal(k, np.arange(1, len(gallery) + 1))
    for place in (1, 5, 17, len(gallery)):
        hits = np.zeros(len(queries))
        for i in range(len(queries)):
            left = place
            for n, n_relevant in zip(items[i], relevant[i], strict=True):
                taken = min(left, n)
                hits[i] += n_relevant * taken / max(n, 1)
                left -= taken
        assert_allclose(precision[place - 1], np.mean(hits / place))
    chance = np.mean([np.mean(y_gallery == label) for label in y_query])
    assert_allclose(display.chance_level_.get_ydata(), chance)
    assert legend_of(display.ax_) == ["random", "random order"]


def test_chance_level_is_drawn_once(coded):
    """Curves of one gallery share the line of a random order; it can be left out."""
    first = PrecisionAtKDisplay.from_predictions(*coded, name="a", k=5)
    second = PrecisionAtKDisplay.from_predictions(*coded, name="b", k=5, ax=first.ax_)
    assert second.chance_level_ is None
    assert len(first.ax_.lines) == 3
    without = first.plot(plot_chance_level=False)
    assert without.chance_level_ is None
    assert len(without.ax_.lines) == 1


def test_places(coded):
    """Places are those listed, or all up to k; of very many, some up to the last."""
    draw = PrecisionAtKDisplay.from_predictions
    assert_array_equal(draw(*coded, k=[9, 1, 3]).k, [1, 3, 9])
    assert_array_equal(draw(*coded, k=4).k, [1, 2, 3, 4])
    many = draw(*coded, k=5000).k
    assert len(many) <= 200
    assert (many[0], many[-1]) == (1, 5000)
    for wrong in (0, 2.5, True, [], [3, 0], "10"):
        with pytest.raises(ValueError, match="k must be an integer >= 1"):
            draw(*coded, k=wrong)


# -------------------------------------------------------------------- histogram


@pytest.mark.parametrize("form", ["classes", "indicators", "sparse"])
def test_histogram_is_what_loops_give(form, coded, rng):
    """Both histograms have the shares of pairs at each distance; lines the means."""
    queries, gallery, y_query, y_gallery = coded
    if form != "classes":
        Y = rng.randint(0, 2, (len(queries) + len(gallery), 3))
        y_query, y_gallery = Y[: len(queries)], Y[len(queries) :]
    items, relevant = count_by_distance(queries, gallery, y_query, y_gallery)
    if form == "sparse":
        y_query, y_gallery = csr_array(y_query), csr_array(y_gallery)
    display = DistanceHistogramDisplay.from_predictions(
        queries, gallery, y_query, y_gallery
    )
    drawn = (display.relevant_, display.irrelevant_)
    counts = relevant.sum(axis=0), (items - relevant).sum(axis=0)
    for patch, count, mean in zip(drawn, counts, display.means_, strict=True):
        shares, edges, _ = patch.get_data()
        assert_allclose(shares, count / count.sum())
        assert_array_equal(edges, np.arange(9) - 0.5)
        assert_allclose(mean.get_xdata()[0], np.average(np.arange(8), weights=count))
    assert "bits" in display.ax_.get_xlabel()
    assert [text.split(",")[0] for text in legend_of(display.ax_)] == [
        "relevant",
        "irrelevant",
    ]


def test_histogram_counts_in_blocks(coded, monkeypatch):
    """Counting some queries after the others changes nothing, nor does leaving out."""
    queries, _, y_query, _ = coded
    items, relevant = count_by_distance(queries, queries, y_query, y_query)
    monkeypatch.setattr("sklhash.metrics._sources.BLOCK_CELLS", 40)
    display = DistanceHistogramDisplay.from_predictions(
        queries, queries, y_query, y_query, exclude_self=True
    )
    own = np.eye(1, 8)[0] * len(queries)
    assert_array_equal(display.relevant, relevant.sum(axis=0) - own)
    assert_array_equal(display.irrelevant, (items - relevant).sum(axis=0))


def test_histogram_of_one_kind():
    """Where all pairs are relevant, the other histogram is empty, and has no mean."""
    display = DistanceHistogramDisplay([1, 2], [0, 0]).plot(alpha=0.5)
    assert len(display.means_) == 1
    assert "irrelevant, none" in legend_of(display.ax_)
    assert display.relevant_.get_alpha() == 0.5
    with pytest.raises(ValueError, match="counts >= 0, not all 0"):
        DistanceHistogramDisplay([0, 0], [0, 0]).plot()
    with pytest.raises(ValueError, match="vectors of n_bits \\+ 1 counts"):
        DistanceHistogramDisplay([1, 2], [1]).plot()


def test_histogram_from_estimator(digits):
    """Distances are in bits, whatever the retriever ranks by."""
    X, y = digits[0][:200], digits[1][:200]
    retriever = HammingRetriever(ITQ(8, random_state=0), metric="asymmetric")
    retriever.fit(X[50:], y[50:])
    display = DistanceHistogramDisplay.from_estimator(retriever, X[:50], y[:50])
    codes = retriever.hasher_.transform(X)
    _, relevant = count_by_distance(codes[:50], codes[50:], y[:50], y[50:])
    assert_array_equal(display.relevant, relevant.sum(axis=0))
    assert display.ax_.get_legend().get_title().get_text() == "ITQ, 8 bits"


def test_histogram_keeps_all_in_view():
    """A second histogram, on these axes or on axes that share limits, hides no bit."""
    wide, narrow = ([4, 0, 0, 0, 4], [1, 1, 1, 1, 1]), ([0, 0, 1, 0, 0],) * 2
    _, axes = plt.subplots(1, 2, sharex=True, sharey=True)
    for places in ((axes[0], axes[1]), (axes[0], axes[0])):
        for order in (1, -1):
            for counts, ax in zip((wide, narrow)[::order], places, strict=True):
                DistanceHistogramDisplay(*counts).plot(ax=ax)
            assert axes[0].get_xlim() == (-0.8, 4.8)
            assert axes[0].get_ylim()[1] > 1


def test_histogram_keywords():
    """A colour is for areas, outlines and means; a label has no meaning."""
    display = DistanceHistogramDisplay([3, 1, 0], [0, 1, 1]).plot(color="k", alpha=0.5)
    assert display.relevant_.get_edgecolor() == to_rgba("k", 0.5)
    assert display.relevant_.get_facecolor() == to_rgba("k", 0.5)
    assert {line.get_color() for line in display.means_} == {"k"}
    assert {line.get_alpha() for line in display.means_} == {0.5}
    display = DistanceHistogramDisplay([3, 1, 0], [0, 1, 1]).plot(fc="y")
    assert display.relevant_.get_facecolor() == to_rgba("y")
    with pytest.raises(ValueError, match="use name"):
        DistanceHistogramDisplay([3, 1, 0], [0, 1, 1]).plot(label="a")


# --------------------------------------------------------------- bit statistics


def test_bits_are_what_loops_give(rng):
    """Bars reach from one half to the share of ones; the map has the correlations."""
    codes = (rng.randn(50, 5) > [0, 0, 1, -1, 0.5]).astype(int)
    display = BitStatisticsDisplay.from_predictions(codes)
    for j, bar in enumerate(display.bars_):
        assert bar.get_y() == 0.5
        assert_allclose(bar.get_y() + bar.get_height(), codes[:, j].sum() / 50)
        assert_allclose(bar.get_x() + bar.get_width() / 2, j)
    shown = display.image_.get_array()
    for i in range(5):
        for j in range(5):
            assert shown.mask[i, j] == (i == j)
            if i != j:
                expected = np.corrcoef(codes[:, i], codes[:, j])[0, 1]
                assert_allclose(shown[i, j], expected)
    largest = np.abs(shown).max()
    assert display.image_.get_clim() == (-largest, largest)


def test_constant_bits_have_no_correlation(rng):
    """A constant bit is masked in the map, told in the title, and warns of nothing."""
    codes = rng.randint(0, 2, (40, 4))
    codes[:, 1] = 1
    display = BitStatisticsDisplay.from_predictions(PackedCodes.from_codes(codes))
    assert_array_equal(np.isnan(display.correlation[1]), True)
    assert_array_equal(np.isnan(display.correlation[:, 1]), True)
    assert display.image_.get_array().mask.sum() == 2 * 4 - 1 + 3
    assert "1 bit constant" in display.ax_[1].get_title()
    BitStatisticsDisplay.from_predictions(np.ones((3, 2))).figure_.canvas.draw()
    BitStatisticsDisplay.from_predictions(codes[:, :1]).figure_.canvas.draw()


def test_bits_are_counted_in_blocks(rng, monkeypatch):
    """Unpacking some codes after the others changes nothing."""
    codes = rng.randint(0, 2, (50, 6))
    monkeypatch.setattr("sklhash.displays._bit_counts.BLOCK_ROWS", 7)
    display = BitStatisticsDisplay.from_predictions(codes)
    assert_allclose(display.balance, codes.mean(axis=0))
    assert_allclose(display.correlation, np.corrcoef(codes.T))


def test_bits_from_estimator(digits):
    """Pipelines and retrievers show the codes that they make; many bits fit."""
    X = digits[0][:100]
    pipe = make_pipeline(StandardScaler(), ITQ(6, random_state=0)).fit(X)
    display = BitStatisticsDisplay.from_estimator(pipe, X, cmap="PuOr")
    assert_array_equal(display.balance, pipe.transform(X).mean(axis=0))
    assert display.image_.get_cmap().name == "PuOr"
    assert "ITQ, 6 bits" in display.ax_[0].get_title()
    many = RandomHyperplaneHashing(256, random_state=0).fit(X)
    display = BitStatisticsDisplay.from_estimator(many, X)
    assert len(display.bars_) == 256
    with pytest.raises(ValueError, match="must have shapes"):
        BitStatisticsDisplay([0.5], [[1, 0], [0, 1]]).plot()


def test_bits_drawn_again():
    """Drawing again on both axes replaces bars, map and colour bar."""
    display = DRAWN["bits"]().plot()
    n_axes = len(display.figure_.axes)
    again = BitStatisticsDisplay([0.5, 0.5], [[1, 0.2], [0.2, 1]]).plot(ax=display.ax_)
    again.figure_.canvas.draw()
    assert len(again.figure_.axes) == n_axes == 3
    assert len(again.ax_[0].patches) == 2
    assert list(again.ax_[1].images) == [again.image_]


def test_norms_of_maps():
    """A norm of the caller's takes the place of the limits; an extent is refused."""
    for kind in ("bits", "images"):
        norm = plt.Normalize(-1, 1)
        display = DRAWN[kind]().plot(norm=norm)
        image = display.image_ if kind == "bits" else display.images_[0, 0]
        assert image.norm is norm
        with pytest.raises(ValueError, match="extent is set by the display"):
            DRAWN[kind]().plot(extent=(0, 1, 0, 1))


@pytest.mark.parametrize(
    ("balance", "correlation", "message"),
    [
        ([], np.zeros((0, 0)), "must have shapes"),
        ([np.nan, 0.5], np.eye(2), "shares from 0 to 1"),
        ([1.5, 0.5], np.eye(2), "shares from 0 to 1"),
        ([0.5, 0.5], 2 * np.eye(2), "from -1 to 1"),
    ],
)
def test_bad_bits(balance, correlation, message):
    """What are no shares and no correlations is refused."""
    with pytest.raises(ValueError, match=message):
        BitStatisticsDisplay(balance, correlation).plot()


# ------------------------------------------------------------- retrieved images


@pytest.fixture
def searched(digits):
    """A retriever of digits, and queries."""
    X, y = digits[0][:300], digits[1][:300]
    retriever = HammingRetriever(ITQ(8, random_state=0), n_neighbors=4)
    return retriever.fit(X[5:], y[5:]), X, y


def test_images_are_those_found(searched):
    """Each row shows a query and what it finds, framed by its label, with distances."""
    retriever, X, y = searched
    images = X.reshape(-1, 8, 8)
    display = RetrievedImagesDisplay.from_estimator(
        retriever, X[:5], y[:5], images=images[:5], gallery_images=images[5:]
    )
    codes = retriever.hasher_.transform(X).astype(int)
    for row in range(5):
        distance = np.abs(codes[row] - codes[5:]).sum(axis=1)
        order = np.argsort(distance, kind="stable")[:4]
        assert_array_equal(display.images_[row, 0].get_array(), images[row])
        for column, item in enumerate(order):
            shown = display.images_[row, column + 1]
            assert_array_equal(shown.get_array(), images[5:][item])
            d = distance[item]
            expected = "1 bit" if d == 1 else f"{d} bits"
            assert display.texts_[row, column].get_text() == expected
            frame = display.frames_[row, column]
            hit = y[5:][item] == y[row]
            assert frame.get_edgecolor() == to_rgba(GREEN if hit else VERMILION)
            assert (frame.get_linestyle() in ("-", "solid")) == hit
            left, right, bottom, top = shown.get_extent()
            assert_allclose(frame.get_bbox().extents, [left, top, right, bottom])
    n_hits = display.relevant.sum()
    assert f"{n_hits} of 20 relevant" in display.ax_.get_title()
    limits = {image.get_clim() for image in display.images_.flat}
    assert len(limits) == 1


def test_images_do_not_overlap(searched):
    """No two images share a place, and all lie within the axes' limits."""
    retriever, X, _ = searched
    images = X.reshape(-1, 8, 8)
    display = RetrievedImagesDisplay.from_estimator(
        retriever, X[:3], images=images[:3], gallery_images=images[5:]
    )
    boxes = [np.array(image.get_extent()) for image in display.images_.flat]
    for i, (left, right, bottom, top) in enumerate(boxes):
        assert display.ax_.get_xlim()[0] <= left < right <= display.ax_.get_xlim()[1]
        assert display.ax_.get_ylim()[1] <= top < bottom <= display.ax_.get_ylim()[0]
        for other in boxes[:i]:
            apart_x = left >= other[1] or right <= other[0]
            assert apart_x or top >= other[2] or bottom <= other[3]
    assert display.ax_.get_legend() is None
    assert display.relevant is None


def test_multilabel_relevance(searched, rng):
    """One shared label makes a hit, with dense labels and with sparse ones."""
    retriever, X, _ = searched
    Y = rng.randint(0, 2, (300, 6)) * rng.randint(0, 2, (300, 6))
    images = X.reshape(-1, 8, 8)
    for labels in (Y, csr_array(Y)):
        retriever.fit(X[5:], labels[5:])
        display = RetrievedImagesDisplay.from_estimator(
            retriever, X[:5], labels[:5], images=images[:5], gallery_images=images[5:]
        )
        expected = [
            [bool(np.any(Y[i] & Y[5:][j])) for j in found]
            for i, found in enumerate(display.positions)
        ]
        assert_array_equal(display.relevant, expected)


def test_retriever_in_a_pipeline(searched):
    """Pipelines and grid searches are searched through; images can be X itself."""
    _, X, y = searched
    flat = StandardScaler().fit(X)
    pipe = make_pipeline(flat, ITQ(4, random_state=0), HammingRetriever(n_neighbors=2))
    search = GridSearchCV(pipe, {"itq__n_bits": [4]}, cv=2).fit(X[5:], y[5:])
    images = X.reshape(-1, 8, 8)
    display = RetrievedImagesDisplay.from_estimator(
        search, X[:2], y[:2], images=images[:2], gallery_images=images[5:]
    )
    fitted = search.best_estimator_
    _, positions = fitted[-1].kneighbors(fitted[:-1].transform(X[:2]))
    assert_array_equal(display.positions, positions)
    assert "ITQ, 4 bits" in display.ax_.get_title()


@pytest.mark.parametrize(
    ("shape", "dtype", "shown"),
    [
        ((6, 5), float, (6, 5)),
        ((6, 5, 1), np.uint8, (6, 5)),
        ((1, 6, 5), float, (6, 5)),
        ((6, 5, 3), np.uint8, (6, 5, 3)),
        ((3, 6, 5), float, (6, 5, 3)),
        ((6, 5, 4), float, (6, 5, 4)),
        ((6, 5), bool, (6, 5)),
    ],
)
def test_forms_of_images(shape, dtype, shown, rng):
    """Grey and colour, channels first or last, integers or floats: all are shown."""
    images = (rng.rand(4, *shape) * (1 if dtype is float else 255)).astype(dtype)
    display = RetrievedImagesDisplay.from_predictions(images[:1], images, [[1, 2]])
    drawn = display.images_[0, 1].get_array()
    assert drawn.shape == shown
    source = images[1]
    if len(shown) == 3 and shape[0] == 3:
        source = np.moveaxis(source, 0, -1)
    assert_array_equal(drawn, source.reshape(shown))
    display.figure_.canvas.draw()


def test_images_of_many_sizes(rng):
    """Photographs of several sizes keep their shapes."""
    images = [rng.rand(8, 4), rng.rand(4, 8), rng.rand(6, 6, 3)]
    display = RetrievedImagesDisplay.from_predictions(
        images[:1], images, [[1, 2]], distances=[[0.25, 1.5]]
    )
    for image, drawn in zip(images, display.images_[0], strict=True):
        left, right, bottom, top = drawn.get_extent()
        assert_allclose((bottom - top) / (right - left), len(image) / image.shape[1])
    assert [text.get_text() for text in display.texts_.flat] == ["0.25", "1.5"]


def test_only_shown_images_are_read():
    """Of the gallery, images that are not shown are left alone."""

    class Gallery:
        def __len__(self):
            return 1_000_000

        def __getitem__(self, i):
            assert i in (7, 9)
            return np.full((2, 2), i / 10)

    RetrievedImagesDisplay.from_predictions(IMAGES[:1], Gallery(), [[7, 9]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": [1, 2]}, r"positions must have shape"),
        ({"positions": [[1.0]]}, "positions must be integers"),
        ({"positions": [[12]]}, "positions must be from 0 to 11"),
        ({"positions": [[-1]]}, "positions must be from 0 to 11"),
        ({"distances": [[1, 2]]}, "distances must have the shape of positions"),
        ({"relevant": [True]}, "relevant must have the shape of positions"),
        ({"relevant": [["yes"]]}, "relevant must be boolean"),
        ({"relevant": [[np.nan]]}, "relevant must be boolean"),
        ({"distances": [["1"]]}, "distances must be real numbers"),
        ({"query_images": np.zeros((1, 0, 0))}, "must not be empty"),
        ({"query_images": np.full((1, 5, 4), 200, np.uint8)}, "must have one scale"),
        ({"query_images": np.zeros((1, 64))}, r"Reshape rows"),
        ({"query_images": np.zeros((1, 5, 5, 2))}, r"1, 3 or 4 channels"),
        ({"query_images": np.full((1, 5, 5), np.nan)}, "finite real numbers"),
        ({"query_images": np.full((1, 5, 5, 3), 2.0)}, "Undo any standardisation"),
        ({"query_images": np.full((1, 5, 5, 3), 256)}, "0 to 255"),
        (
            {"query_images": np.zeros((101, 5, 5)), "positions": [[1]] * 101},
            "101 queries are too many",
        ),
    ],
)
def test_bad_sheets(change, message):
    """What cannot be shown is refused by name, before a figure is made."""
    given = {"query_images": IMAGES[:1], "gallery_images": IMAGES, "positions": [[1]]}
    with pytest.raises(ValueError, match=message):
        RetrievedImagesDisplay.from_predictions(**{**given, **change})
    assert plt.get_fignums() == []


def test_series_of_images():
    """A pandas Series of images is read by place, whatever its index."""
    pd = pytest.importorskip("pandas")
    gallery = pd.Series(list(IMAGES), index=np.arange(12) + 100)
    display = RetrievedImagesDisplay.from_predictions(IMAGES[:1], gallery, [[3, 4]])
    assert_array_equal(display.images_[0, 2].get_array(), IMAGES[4])


def test_rounded_colours():
    """Colours beyond 1 by a rounding error are shown as 1."""
    images = np.full((1, 4, 4, 3), 1 + 1e-7)
    display = RetrievedImagesDisplay.from_predictions(images, images, [[0]])
    assert display.images_[0, 0].get_array().max() == 1


def test_wide_sheets():
    """Many columns make smaller images and texts, not an endless figure."""
    positions = np.zeros((1, 60), dtype=int)
    display = RetrievedImagesDisplay(
        IMAGES[:1], IMAGES, positions, distances=positions
    ).plot()
    assert display.figure_.get_figwidth() < 18
    assert display.texts_[0, 0].get_fontsize() < 6


def test_bad_searches_for_images(searched):
    """Missing images or labels, and estimators that cannot search, are named."""
    retriever, X, y = searched
    images = X.reshape(-1, 8, 8)
    draw = RetrievedImagesDisplay.from_estimator
    with pytest.raises(ValueError, match="images is missing: X holds rows"):
        draw(retriever, X[:2], gallery_images=images[5:])
    with pytest.raises(ValueError, match=r"gallery_images must be .* 295; got 3"):
        draw(retriever, X[:2], images=images[:2], gallery_images=images[:3])
    with pytest.raises(ValueError, match="images must be as many as the queries, 2"):
        draw(retriever, X[:2], images=images[:3], gallery_images=images[5:])
    with pytest.raises(ValueError, match="y must have a row for each of the 2"):
        draw(retriever, X[:2], y[:3], images=images[:2], gallery_images=images[5:])
    with pytest.raises(ValueError, match="300 queries are too many"):
        draw(retriever, X, images=images, gallery_images=images[5:])
    with pytest.raises(TypeError, match="ITQ is no fitted HammingRetriever"):
        draw(retriever.hasher_, X[:2], images=images[:2], gallery_images=images[5:])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(HammingRetriever(ITQ(4)), X[:2], images=images, gallery_images=images)
    retriever.fit(X[5:])
    with pytest.raises(ValueError, match="fitted without labels"):
        draw(retriever, X[:2], y[:2], images=images[:2], gallery_images=images[5:])


# -------------------------------------------------------------- training curves


def test_training_curves_are_drawn():
    """Losses, terms, bit balance and codes stand by epoch, each in its axes."""
    display = TrainingCurvesDisplay(CURVES).plot()
    drawn = {
        "train_loss": 0,
        "valid_loss": 0,
        "hard": 0,
        "quantization": 0,
        "bit_balance": 1,
        "distinct_codes": 2,
    }
    assert set(display.lines_) == set(drawn)
    for key, place in drawn.items():
        line = display.lines_[key]
        assert_array_equal(line.get_xdata(), [1, 2, 3])
        assert_array_equal(line.get_ydata(), CURVES[key])
        assert line.axes is display.ax_[place]
    labels = ["training", "validation", "term: hard", "term: quantization"]
    assert legend_of(display.ax_[0]) == labels


def test_training_curves_of_choice():
    """Terms can be chosen; a single term that is the loss is not drawn twice."""
    assert set(TrainingCurvesDisplay(CURVES).plot(terms=()).lines_) == {
        "train_loss",
        "valid_loss",
        "bit_balance",
        "distinct_codes",
    }
    one = {"train_loss": [2.0, 1.0], "pairs": [2.0, 1.0]}
    display = TrainingCurvesDisplay(one).plot()
    assert set(display.lines_) == {"train_loss"}
    assert_array_equal(display.lines_["train_loss"].get_xdata(), [1, 2])
    assert "pairs" in TrainingCurvesDisplay(one).plot(terms=["pairs"]).lines_
    both = TrainingCurvesDisplay(one, name="other").plot(ax=display.ax_)
    assert (
        both.lines_["train_loss"].get_color()
        != display.lines_["train_loss"].get_color()
    )
    for wrong in ("soft", "bit_balance", "epoch"):
        with pytest.raises(ValueError, match="terms must be among the curves"):
            TrainingCurvesDisplay({**one, "bit_balance": [1, 1]}).plot(terms=[wrong])
    with pytest.raises(TypeError, match="terms must be a sequence"):
        TrainingCurvesDisplay(CURVES).plot(terms="hard")
    with pytest.raises(TypeError, match="curves must be a dict"):
        TrainingCurvesDisplay([1, 2]).plot()
    with pytest.raises(ValueError, match="must have 'train_loss'; got none"):
        TrainingCurvesDisplay({}).plot()
    with pytest.raises(ValueError, match="one length"):
        TrainingCurvesDisplay({"train_loss": [1, 2], "pairs": [1]}).plot()


def test_each_further_hasher_has_a_colour():
    """A second hasher has one colour in all axes, which the first has nowhere."""
    first = TrainingCurvesDisplay(CURVES).plot()
    others = [TrainingCurvesDisplay(CURVES).plot(ax=first.ax_) for _ in range(2)]
    colors = [{line.get_color() for line in each.lines_.values()} for each in others]
    assert [len(each) for each in colors] == [1, 1]
    used = {line.get_color() for line in first.lines_.values()}
    assert not (used | colors[0]) & colors[1]
    assert not used & colors[0]
    losses = [line for line in others[0].lines_.values() if line.axes is first.ax_[0]]
    assert len({line.get_linestyle() for line in losses}) == len(losses) == 4


def test_training_curves_from_estimator(digits):
    """A fitted deep hasher's curves are drawn, also from within a retriever."""
    from sklhash import SoftPairwiseHasher

    X, y = digits[0][:200], digits[1][:200]
    hasher = SoftPairwiseHasher(4, max_epochs=2, random_state=0).fit(X, y)
    retriever = HammingRetriever(FrozenEstimator(hasher)).fit(X, y)
    for estimator in (hasher, retriever):
        display = TrainingCurvesDisplay.from_estimator(estimator)
        for key, line in display.lines_.items():
            assert_array_equal(line.get_ydata(), hasher.curves_[key])
        assert {"train_loss", "hard", "soft", "quantization"} <= set(display.lines_)
    with pytest.raises(TypeError, match="ITQ has no curves_"):
        TrainingCurvesDisplay.from_estimator(ITQ(4).fit(X))


# ------------------------------------------------------------------ code length


def test_code_length_draws_means_and_spreads(rng):
    """Points are means at their lengths, bars one standard deviation each way."""
    scores = {"a": rng.rand(3, 4), "b": rng.rand(3, 4)}
    references = {"cosine": rng.rand(4)}
    display = CodeLengthDisplay.from_predictions(
        [16, 24, 32], scores, references=references, metric="ndcg@10"
    )
    for name, runs in scores.items():
        line, _, (bars,) = display.errorbars_[name]
        mean = [sum(row) / 4 for row in runs]
        spread = [
            np.sqrt(sum((x - m) ** 2 for x in row) / 4)
            for row, m in zip(runs, mean, strict=True)
        ]
        assert_array_equal(line.get_xdata(), [16, 24, 32])
        assert_allclose(line.get_ydata(), mean)
        for segment, m, s in zip(bars.get_segments(), mean, spread, strict=True):
            assert_allclose(segment[:, 1], [m - s, m + s])
    reference = display.reference_lines_["cosine"]
    assert_allclose(reference.get_ydata(), references["cosine"].mean())
    assert display.ax_.get_ylabel() == "nDCG@10"
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["16", "24", "32"]
    assert display.ax_.get_xscale() == "log"


def test_code_length_curves_do_not_hide_each_other():
    """Equal curves are drawn side by side, though their data are the same."""
    scores = {name: [[0.5, 0.6], [0.7, 0.8]] for name in "abc"}
    display = CodeLengthDisplay([16, 64], scores).plot()
    display.figure_.canvas.draw()
    places = [
        each[0].get_transform().transform((16, 0.55))[0]
        for each in display.errorbars_.values()
    ]
    assert np.diff(places).min() > 1
    looks = {each[0].get_color() for each in display.errorbars_.values()}
    assert len(looks) == 3


def test_code_length_legend_follows_the_curves():
    """The legend names what ends highest first; a second call goes on with looks."""
    scores = {"low": [0.1, 0.2], "high": [0.3, 0.9]}
    display = CodeLengthDisplay([8, 16], scores, references={"cosine": 0.5}).plot()
    assert legend_of(display.ax_) == ["high", "cosine", "low"]
    more = CodeLengthDisplay([32], {"ITQ": [0.95]}).plot(display.ax_, name="third")
    assert legend_of(display.ax_) == ["third", "high", "cosine", "low"]
    ticks = [text.get_text() for text in more.ax_.get_xticklabels()]
    assert ticks == ["8", "16", "32"]
    markers = {each[0].get_marker() for each in display.errorbars_.values()}
    assert more.errorbars_["ITQ"][0].get_marker() not in markers


def test_code_length_without_some_runs():
    """Failed runs do not count; where all failed there is no point, and no warning."""
    scores = {"a": [[0.5, np.nan], [np.nan, np.nan]], "b": [[0.1, 0.3], [0.2, 0.2]]}
    display = CodeLengthDisplay([8, 16], scores).plot(capsize=0)
    assert_array_equal(display.errorbars_["a"][0].get_ydata(), [0.5, np.nan])
    assert not display.errorbars_["a"].has_yerr
    assert display.errorbars_["b"].has_yerr
    display.figure_.canvas.draw()


def test_code_length_sorts_lengths():
    """Lengths in any order make one curve from left to right."""
    line = CodeLengthDisplay([32, 8], {"a": [0.6, 0.5]}).plot().errorbars_["a"][0]
    assert_array_equal(line.get_xdata(), [8, 32])
    assert_array_equal(line.get_ydata(), [0.5, 0.6])


def test_code_length_second_call():
    """Curves of two calls stand side by side; their reference is drawn once."""
    runs = [[0.5, 0.6], [0.7, 0.8]]
    draw = CodeLengthDisplay.from_predictions
    first = draw([16, 64], {"a": runs}, references={"cosine": 0.9})
    more = draw(
        [16, 64], {"b": runs}, references={"cosine": 0.9, "l1": 0.8}, ax=first.ax_
    )
    lines = [first.errorbars_["a"][0], more.errorbars_["b"][0]]
    places = [line.get_transform().transform((16, 0.5))[0] for line in lines]
    assert abs(places[1] - places[0]) > 1
    assert legend_of(first.ax_).count("cosine") == 1
    same = first.reference_lines_["cosine"], more.reference_lines_["cosine"]
    assert same[0] is same[1]
    shapes = {tuple(each._dash_pattern[1]) for each in more.reference_lines_.values()}
    assert len(shapes) == 2


def test_code_length_keeps_all_in_view():
    """Shared axes show the lengths of both, and ticks leave each other room."""
    _, axes = plt.subplots(1, 2, sharex=True, figsize=(12, 4))
    draw = CodeLengthDisplay.from_predictions
    draw([8, 128], {"a": [0.5, 0.6]}, ax=axes[0])
    draw([16], {"a": [0.5]}, ax=axes[1])
    assert axes[0].get_xlim()[0] < 8 < 128 < axes[0].get_xlim()[1]
    assert [tick.get_text() for tick in axes[0].get_xticklabels()] == ["8", "16", "128"]
    lengths = np.arange(8, 129, 8)
    display = draw(lengths, {"a": lengths / 200})
    display.figure_.canvas.draw()
    boxes = [tick.get_window_extent() for tick in display.ax_.get_xticklabels()]
    assert all(b.x0 > a.x1 for a, b in pairwise(boxes))
    assert {8, 16, 32, 64, 128} <= set(display.ax_.get_xticks())


@pytest.mark.parametrize("fmt", ["o", "r--", "none"])
def test_code_length_formats(fmt):
    """A format string takes the place of the defaults that it names."""
    scores = {"a": [[0.5, 0.6], [0.7, 0.8]], "b": [[0.4, 0.6], [0.6, 0.8]]}
    display = CodeLengthDisplay([16, 64], scores).plot(fmt=fmt)
    display.figure_.canvas.draw()
    line = display.errorbars_["a"][0]
    if fmt == "none":
        assert line is None
        return
    assert line.get_color() == ("r" if fmt == "r--" else curve_style(0)["color"])
    assert line.get_linestyle() == ("--" if fmt == "r--" else "None")


def test_code_length_refuses(rng):
    """Shapes that do not fit, and one name for two, are refused."""
    with pytest.raises(TypeError, match="scores must be a dict"):
        CodeLengthDisplay([8, 16], [0.5, 0.6]).plot()
    with pytest.raises(ValueError, match=r"scores\['a'\] must have a row for each"):
        CodeLengthDisplay([8, 16], {"a": [0.5]}).plot()
    with pytest.raises(ValueError, match="n_bits must list code lengths"):
        CodeLengthDisplay(8, {"a": [0.5]}).plot()
    for wrong in ([16.5, 32], ["a", "b"]):
        with pytest.raises(ValueError, match="integers >= 1"):
            CodeLengthDisplay(wrong, {"a": [0.5, 0.6]}).plot()
    with pytest.raises(TypeError, match="references must be a dict"):
        CodeLengthDisplay([8], {"a": [0.5]}, references=[0.5]).plot()
    with pytest.raises(TypeError, match="metric must be a name"):
        CodeLengthDisplay([8], {"a": [0.5]}, metric=None).plot()
    with pytest.raises(ValueError, match="yerr is set by the display"):
        CodeLengthDisplay([8], {"a": [0.5]}).plot(yerr=0.1)
    with pytest.raises(ValueError, match="names one method, but there are 2"):
        CodeLengthDisplay([8], {"a": [0.5], "b": [0.5]}).plot(name="c")


def test_code_length_from_comparison():
    """Records are sorted by method, length and split; what is missing is left out."""
    records = [
        {"hasher": "ITQ", "n_bits": 16, "split": 1, "map": 0.6, "ndcg": 0.1},
        {"hasher": "ITQ", "n_bits": 8, "split": 0, "map": 0.3, "ndcg": 0.2},
        {"hasher": "ITQ", "n_bits": 16, "split": 0, "map": 0.4, "ndcg": 0.3},
        {"hasher": "LSH", "n_bits": 8, "split": 0, "map": np.nan, "ndcg": np.nan},
        {"hasher": "cosine", "n_bits": None, "split": 1, "map": 0.7, "ndcg": 0.4},
    ]
    comparison = SimpleNamespace(
        metrics=("map", "ndcg"),
        n_bits=(8, 16),
        hashers=("ITQ", "LSH"),
        references=("cosine", "euclidean"),
        n_splits=2,
        records=records,
    )
    display = CodeLengthDisplay.from_comparison(comparison)
    assert_array_equal(display.scores["ITQ"], [[0.3, np.nan], [0.4, 0.6]])
    assert_allclose(display.errorbars_["ITQ"][0].get_ydata(), [0.3, 0.5])
    assert list(display.reference_lines_) == ["cosine (floats)"]
    other = CodeLengthDisplay.from_comparison(comparison, "ndcg")
    assert_allclose(other.errorbars_["ITQ"][0].get_ydata(), [0.2, 0.2])
    with pytest.raises(ValueError, match="metric must be one of map, ndcg"):
        CodeLengthDisplay.from_comparison(comparison, "recall@10")


def test_code_length_from_estimator(digits):
    """The means drawn are those of the comparison that is run."""
    from sklhash.model_selection import compare_hashers

    X, y = digits[0][:300], digits[1][:300]
    hashers = {"ITQ": ITQ(), "LSH": RandomHyperplaneHashing()}
    display = CodeLengthDisplay.from_estimator(
        hashers, X, y, n_bits=(4, 8), splits=2, references=("cosine",)
    )
    comparison = compare_hashers(
        hashers, X, y, n_bits=(4, 8), splits=2, metrics=["map"], references=("cosine",)
    )
    for row in comparison.summary():
        if row["n_bits"] is not None:
            heights = display.errorbars_[row["hasher"]][0].get_ydata()
            assert_allclose(heights[(4, 8).index(row["n_bits"])], row["map"])
