"""PackedCodes: bit order, indexing, files."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from sklearn.model_selection import cross_val_score, train_test_split

from sklhash import ITQ, HammingRetriever, PackedCodes
from sklhash.code_files import CodesWriter


@st.composite
def code_matrices(draw):
    """0/1 matrices of up to 20 codes and 1 to 130 bits."""
    shape = draw(st.integers(0, 20)), draw(st.integers(1, 130))
    return draw(arrays(np.uint8, shape, elements=st.integers(0, 1)))


@given(code_matrices())
def test_unpacking_undoes_packing(codes):
    """Packed and unpacked again, codes of any length are the same."""
    packed = PackedCodes.from_codes(codes)
    assert_array_equal(packed.unpack(), codes)
    assert packed.shape == codes.shape
    assert packed.nbytes == len(codes) * -(-codes.shape[1] // 8)


@given(code_matrices())
def test_bit_order_is_little(codes):
    """Bit j is byte j // 8, position j % 8, and padding bits are zero."""
    packed = PackedCodes.from_codes(codes).packed
    expected = np.zeros((len(codes), -(-codes.shape[1] // 8)), np.uint8)
    for i, row in enumerate(codes):
        for j, bit in enumerate(row):
            expected[i, j // 8] |= bit << (j % 8)
    assert_array_equal(packed, expected)


@pytest.mark.parametrize(
    "codes",
    [
        [[True, False, True]],
        [[1, -1, 1]],
        [[0.3, -2.0, 1e-30]],
        [[0.3, 0.0, 1e-30]],
        np.array([[1, 0, 1]], np.int8),
    ],
    ids=["bool", "signs", "real", "zero is no bit", "int8"],
)
def test_bits_are_positive_values(codes):
    """Booleans, signs, integers and real values are read by the rule ``> 0``."""
    assert PackedCodes.from_codes(codes).packed.tolist() == [[5]]


def test_indexing_selects_rows(rng):
    """Rows are selected by integers, slices, lists, masks and arrays."""
    codes = rng.randint(2, size=(9, 13))
    packed = PackedCodes.from_codes(codes)
    for rows in (slice(2, 7, 2), [4, 0, 4], np.arange(9) % 2 == 0, np.array([8])):
        assert_array_equal(packed[rows].unpack(), codes[rows])
    assert_array_equal(packed[-1].unpack(), codes[-1:])
    assert_array_equal(packed[np.int64(3), ...].unpack(), codes[3:4])
    assert len(list(packed)) == 9


def test_equality_and_concatenation(rng):
    """Codes are equal if bits and length are; parts join in order."""
    codes = rng.randint(2, size=(9, 13))
    packed = PackedCodes.from_codes(codes)
    assert packed == PackedCodes.from_codes(codes)
    assert packed != PackedCodes.from_codes(np.hstack([codes, np.zeros((9, 1))]))
    assert packed != packed[::-1]
    assert packed != "codes"
    assert PackedCodes.concatenate([packed[:2], packed[2:2], packed[2:]]) == packed


@pytest.mark.parametrize("n_bits", [1, 8, 13, 64])
@pytest.mark.parametrize(
    ("mmap_mode", "n_samples"), [(None, 0), (None, 9), ("r", 0), ("r", 1), ("r", 9)]
)
def test_files_keep_codes(mmap_mode, n_bits, n_samples, tmp_path, rng):
    """Saved codes are loaded the same, in memory or mapped."""
    codes = PackedCodes.from_codes(rng.randint(2, size=(n_samples, n_bits)))
    codes.save(tmp_path / "my codes")
    loaded = PackedCodes.load(tmp_path / "my codes", mmap_mode=mmap_mode)
    assert loaded == codes
    assert isinstance(loaded.packed.base, np.memmap) == (mmap_mode == "r")


def test_strided_codes_are_saved_whole(tmp_path, rng):
    """A view of every second row is saved as those rows."""
    codes = PackedCodes.from_codes(rng.randint(2, size=(10, 12)))[::2]
    codes.save(tmp_path / "codes.npy")
    assert PackedCodes.load(tmp_path / "codes.npy") == codes


def test_failed_save_keeps_the_old_file(tmp_path, rng, monkeypatch):
    """A save that fails half way leaves the file as it was, and nothing beside it."""
    codes = PackedCodes.from_codes(rng.randint(2, size=(10, 12)))
    codes.save(tmp_path / "codes.npy")

    def fail(writer):
        writer._file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(CodesWriter, "finish", fail)
    with pytest.raises(OSError, match="no space left"):
        codes[:3].save(tmp_path / "codes.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["codes.npy"]
    assert PackedCodes.load(tmp_path / "codes.npy") == codes


def test_saving_over_a_link_changes_the_file_behind_it(tmp_path, rng):
    """Links and permissions of a file that is saved again stay as they are."""
    codes = PackedCodes.from_codes(rng.randint(2, size=(10, 12)))
    codes[:2].save(tmp_path / "codes")
    (tmp_path / "codes").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "codes")
    codes.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert PackedCodes.load(tmp_path / "codes") == codes
    assert (tmp_path / "codes").stat().st_mode & 0o777 == 0o600


def test_arrays_of_packed_codes_are_the_codes(rng):
    """NumPy unpacks codes where it needs an array, and never shares their memory."""
    codes = rng.randint(2, size=(5, 12))
    packed = PackedCodes.from_codes(codes)
    assert_array_equal(np.asarray(packed), codes)
    assert np.asarray(packed, dtype=float).dtype == float
    assert PackedCodes.from_codes(packed) is packed
    with pytest.raises(ValueError, match="always copies"):
        np.asarray(packed, copy=False)


def test_files_are_plain_numpy(tmp_path, rng):
    """NumPy opens a file without sklhash; the bytes are the codes."""
    codes = PackedCodes.from_codes(rng.randint(2, size=(10, 12)))
    codes.save(tmp_path / "codes.npy")
    rows = np.load(tmp_path / "codes.npy", allow_pickle=False)
    (field,) = rows.dtype.names
    assert field.startswith("sklhash1_bits12_crc")
    assert_array_equal(rows[field], codes.packed)


def test_pickling(rng):
    """Codes can be pickled."""
    codes = PackedCodes.from_codes(rng.randint(2, size=(10, 12)))
    assert pickle.loads(pickle.dumps(codes)) == codes


def test_scikit_learn_splits_packed_codes(digits):
    """Packed codes go through train_test_split and cross-validation as rows do."""
    X, y = digits
    codes = ITQ(16, random_state=0).fit(X).encode(X)
    gallery, queries, y_gallery, y_queries = train_test_split(codes, y, random_state=0)
    score = HammingRetriever().fit(gallery, y_gallery).score(queries, y_queries)
    assert score > 0.5
    unpacked = cross_val_score(HammingRetriever(), codes.unpack(), y, cv=3)
    assert_array_equal(cross_val_score(HammingRetriever(), codes, y, cv=3), unpacked)
