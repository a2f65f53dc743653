"""Batches of rows and images: any kind of array, any order, nothing copied early."""

from itertools import chain

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal

from sklhash.deep.examples import (
    BATCH_SIZE,
    Examples,
    TrainingBatches,
    ValidationBatches,
    as_tensor,
    epoch_order,
    gather,
)
from sklhash.deep.losses import label_similarity

FORMS = {
    "ndarray": np.asarray,
    "fortran": np.asfortranarray,
    "csr_array": sp.csr_array,
    "csr_matrix": sp.csr_matrix,
    "tensor": torch.tensor,
}


@pytest.fixture
def rows(rng):
    """Rows of numbers with zeros among them."""
    X = rng.randn(20, 6).round(2)
    X[rng.rand(20, 6) < 0.5] = 0
    return X


@pytest.fixture
def label_matrix(rng):
    """Few labels among many, and two rows without any."""
    labels = (rng.rand(20, 300) < 0.02).astype(np.float32)
    labels[[4, 11]] = 0
    return labels


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gather_copies_rows_of_any_array(form, dtype, rows):
    """Rows come in the order asked for, densely, and in their precision."""
    X, wanted = FORMS[form](rows.astype(dtype)), np.array([3, 0, 3, 19])
    gathered = gather(X, wanted)
    assert gathered.dtype == getattr(torch, np.dtype(dtype).name)
    assert_array_equal(gathered, rows.astype(dtype)[wanted])
    gathered += 1
    again = X.toarray() if sp.issparse(X) else np.asarray(X)
    assert_array_equal(again, rows.astype(dtype))


@pytest.mark.parametrize("shape", [(20, 6), (20, 3, 4, 2)], ids=["rows", "images"])
def test_gather_reads_files_that_are_mapped(shape, rng, tmp_path):
    """Rows of a read-only file are read when asked for, and may be written to."""
    X = rng.randint(0, 256, shape).astype(np.uint8)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    gathered = gather(mapped, np.array([7, 2]))
    assert gathered.dtype == torch.uint8
    assert_array_equal(gathered, X[[7, 2]])
    gathered[:] = 0
    assert_array_equal(mapped, X)
    batches = [batch for _, batch in Examples(mapped).checked()]
    assert_array_equal(torch.cat(batches), X)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.bool_, torch.float32),
        (np.int8, torch.float32),
        (np.float16, torch.float32),
        (np.float32, torch.float32),
        (">f4", torch.float64),
        (np.uint8, torch.uint8),
        (np.int32, torch.float64),
        (np.uint32, torch.float64),
        (np.int64, torch.int64),
        (np.float64, torch.float64),
    ],
    ids=str,
)
def test_tensors_hold_the_same_numbers(given, expected):
    """No number is lost, whatever its type."""
    values = np.array([[0, 1], [1, 0]]).astype(given)
    tensor = as_tensor(values)
    assert tensor.dtype == expected
    assert_array_equal(tensor, values.astype(float))


def test_tensors_of_read_only_and_reversed_arrays():
    """PyTorch warns of the one and refuses the other: both are copied."""
    values = np.arange(6.0).reshape(3, 2)
    values.flags.writeable = False
    assert_array_equal(as_tensor(values), values)
    assert_array_equal(as_tensor(values[::-1]), values[::-1])


def test_tensors_may_share_memory():
    """What needs no conversion is not copied."""
    values = np.zeros((3, 2), dtype=np.float32)
    as_tensor(values)[0, 0] = 5
    assert values[0, 0] == 5


@pytest.mark.parametrize("form", FORMS)
def test_batches_give_all_examples_in_order(form, rows, monkeypatch):
    """Batch by batch, the rows that count come as they lie."""
    monkeypatch.setattr("sklhash.deep.examples.BATCH_SIZE", 25)
    wanted = np.array([3, 1, 4, 15, 9, 2, 6, 5, 8])
    examples = Examples(FORMS[form](rows), rows=wanted)
    batches = list(examples.batches())
    assert [len(batch) for batch in batches] == [4, 4, 1]
    assert_array_equal(torch.cat(batches), rows[wanted])


def test_batches_hold_a_bounded_number_of_values():
    """Large images come one by one, small rows in the thousands."""
    wide = Examples(np.zeros((2, BATCH_SIZE + 1), dtype=np.uint8))
    assert [len(batch) for batch in wide.batches()] == [1, 1]
    narrow = Examples(np.zeros((BATCH_SIZE // 4, 8), dtype=np.uint8))
    assert [len(batch) for batch in narrow.batches()] == [BATCH_SIZE // 8] * 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(form, bad, rows, monkeypatch):
    """NaN and infinity are found, in the last batch as well."""
    monkeypatch.setattr("sklhash.deep.examples.BATCH_SIZE", 25)
    slices = [part for part, _ in Examples(FORMS[form](rows)).checked()]
    assert slices == [slice(i, i + 4) for i in range(0, 20, 4)]
    rows[19, 5] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        list(Examples(FORMS[form](rows)).checked())


def test_examples_and_targets_stay_together(rows):
    """Subsets of subsets index the same rows of both."""
    examples = Examples(rows, np.arange(20), rows=np.arange(0, 20, 2))
    assert len(examples) == 10
    assert examples.shape == (6,)
    part = examples.subset(np.array([9, 0, 5])).subset(np.array([0, 2]))
    X, y = part[[1, 0]]
    assert y.tolist() == [10, 18]
    assert_array_equal(X, rows[[10, 18]])


def test_examples_without_targets(rows):
    """They are their own targets, which the net knows by None."""
    X, y = Examples(rows)[[1, 2]]
    assert y is None
    assert_array_equal(X, rows[[1, 2]])


@pytest.mark.parametrize("form", [sp.csr_array, sp.csr_matrix])
def test_sparse_labels_leave_empty_columns_out(form, rows, label_matrix):
    """A batch's columns are the labels in it; rows share as many as before."""
    batch = np.array([4, 0, 7, 3, 11, 7])
    _, labels = Examples(rows, form(label_matrix))[batch.tolist()]
    whole = torch.from_numpy(label_matrix[batch])
    used = label_matrix[batch].any(axis=0)
    assert labels.dtype == torch.float32
    assert_array_equal(labels, whole[:, used])
    assert_array_equal(labels @ labels.T, whole @ whole.T)
    for short, full in zip(
        label_similarity(labels), label_similarity(whole), strict=True
    ):
        assert torch.equal(short, full)


def test_a_batch_without_any_label(rows, label_matrix):
    """No column is left, and no two rows are alike."""
    _, labels = Examples(rows, sp.csr_array(label_matrix))[[4, 11]]
    assert labels.shape == (2, 0)
    similarity, exact = label_similarity(labels)
    assert torch.equal(similarity, torch.eye(2))
    assert exact.all()


def test_the_order_depends_on_seed_and_epoch_only():
    """Training that stops and goes on sees the same batches."""
    epochs = [epoch_order(50, 3, epoch).tolist() for epoch in range(4)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert all(a != b for i, a in enumerate(epochs) for b in epochs[:i])
    np.random.seed(1)
    torch.manual_seed(1)
    assert epoch_order(50, seed=3, epoch=2).tolist() == epochs[2]
    assert epoch_order(50, seed=4, epoch=0).tolist() not in epochs


def test_the_order_leaves_global_generators_alone():
    """NumPy's and PyTorch's numbers stay what they were."""
    before, state = np.random.get_state()[1].copy(), torch.get_rng_state()
    epoch_order(50, seed=3, epoch=0)
    assert_array_equal(np.random.get_state()[1], before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (20, 5, [5] * 4),
        (20, 6, [6] * 3),
        (20, 19, [19]),
        (20, 20, [20]),
        (20, 21, [20]),
        (2, 128, [2]),
    ],
)
def test_training_batches_are_full(n, batch_size, sizes, rows):
    """Rows left over are left out; too few rows for a batch are one batch."""
    examples = Examples(rows[:n], np.arange(n))
    batches = TrainingBatches(examples, batch_size, seed=0, epoch=0)
    order = epoch_order(n, seed=0, epoch=0).tolist()
    seen = []
    for X, y in batches:
        assert_array_equal(X, rows[y])
        seen.append(y.tolist())
    assert [len(batch) for batch in seen] == sizes
    assert list(chain.from_iterable(seen)) == order[: sum(sizes)]


def test_each_epoch_leaves_other_rows_out(rows):
    """Every row is trained on sooner or later."""
    batches = TrainingBatches(Examples(rows, np.arange(20)), 19, seed=0, epoch=0)
    left_out = {190 - sum(y.tolist()) for _ in range(200) for _, y in batches}
    assert left_out == set(range(20))


def test_validation_batches_are_all_rows_in_order(rows):
    """Nothing is shuffled or left out."""
    batches = list(ValidationBatches(Examples(rows, np.arange(20)), 8))
    assert [len(X) for X, _ in batches] == [8, 8, 4]
    assert_array_equal(torch.cat([y for _, y in batches]), np.arange(20))
