"""Codes and code files that are refused, and forms that codes keep their bits in."""

import pickle
from contextlib import suppress

import numpy as np
import pytest
from bad_input import CODES, PACKED, PACKED_8, TYPE_OR_VALUE, N, cases, each
from scipy.sparse import csr_array

from sklhash import PackedCodes


def bytes_of(*shape, dtype=np.uint8, value=1):
    return np.full(shape, value, dtype)


ONE_BYTE = bytes_of(2, 1)
FLOAT = r"packed must be a uint8 array; got float64.*from_codes"
INIT = [
    ("list", ([[1]], 8), r"must be a uint8 array; got list", TypeError),
    ("none", (None, 8), r"must be a uint8 array; got NoneType", TypeError),
    ("float", (bytes_of(2, 1, dtype=float), 8), FLOAT, TypeError),
    ("int8", (bytes_of(2, 1, dtype=np.int8), 8), r"got int8", TypeError),
    ("sparse", (csr_array(ONE_BYTE), 8), r"uint8 array; got", TypeError),
    ("one_dim", (bytes_of(2), 8), r"shape \(n_samples, 1\) for n_bits=8; got \(2,\)"),
    ("width", (bytes_of(2, 2), 8), r"for n_bits=8; got \(2, 2\)"),
    ("padding", (bytes_of(2, 1, value=128), 7), r"bits set beyond n_bits=7"),
    ("n_bits_float", (ONE_BYTE, 8.0), r"n_bits must be an integer; got 8.0", TypeError),
    ("n_bits_str", (ONE_BYTE, "8"), r"n_bits .* got '8'", TypeError),
    ("n_bits_bool", (ONE_BYTE, True), r"n_bits .* got True", TypeError),
    ("n_bits_zero", (ONE_BYTE, 0), r"n_bits must be in \[1, 65535\]; got 0"),
    ("n_bits_huge", (ONE_BYTE, 10**9), r"n_bits .* got 1000000000"),
]
FROM_CODES = [
    ("nan", [[np.nan, 1]], r"Input codes contains NaN"),
    ("inf", [[np.inf, 1]], r"Input codes contains infinity"),
    ("strings", [["a", "b"]], r"bytes/strings.*numeric values"),
    ("complex", [[1j]], r"Complex data not supported"),
    ("objects", [[object()]], r"codes|must be .*number", TYPE_OR_VALUE),
    ("none_inside", [[None, 1]], r"codes|must be .*number", TYPE_OR_VALUE),
    ("one_dim", [1, 0], r"Expected 2D array, got 1D array"),
    ("three_dim", np.ones((1, 1, 1)), r"Found array with dim 3"),
    ("zero_columns", np.ones((3, 0)), r"0 feature\(s\)"),
    ("too_wide", np.ones((1, 70_000)), r"codes have 70000 columns, but 65535 bits at"),
    ("sparse", csr_array(CODES), r"Sparse data was passed for codes", TypeError),
    ("none", None, r"Expected 2D array"),
]
CONCATENATE = [
    ("nothing", ([],), r"needs one or more PackedCodes"),
    ("lengths", ([PACKED, PACKED_8],), r"got n_bits \[6, 8\]"),
    ("arrays", ([CODES, CODES],), r"takes PackedCodes; got ndarray", TypeError),
    ("one_array", ([PACKED, CODES],), r"takes PackedCodes; got ndarray", TypeError),
]
INDEX = [
    ("column", (0, 1), r"indexed by rows only"),
    ("columns", (slice(None), slice(2)), r"indexed by rows only"),
    ("name", "a", r"integers"),
    ("float", 1.5, r"integers"),
    ("outside", N, r"index 30 is out of bounds"),
    ("short_mask", np.ones(4, bool), r"boolean index did not match"),
    ("new_axis", None, r"indexed by rows only"),
]


@each(
    *cases("init", PackedCodes, INIT),
    *cases(
        "from_codes",
        PackedCodes.from_codes,
        [(kind, (codes,), *rest) for kind, codes, *rest in FROM_CODES],
    ),
    *cases("concatenate", PackedCodes.concatenate, CONCATENATE),
    *cases(
        "index",
        PACKED.__getitem__,
        [(kind, (index,), message, IndexError) for kind, index, message in INDEX],
    ),
    *cases("codes", lambda: hash(PACKED), [("hash", (), r"unhashable", TypeError)]),
)
def test_bad_codes_are_refused(case):
    """What holds no codes of one length is refused with what is wrong."""
    case.check()


def save_array(path, array):
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=True)


def save_archive(path):
    with open(path, "wb") as file:
        np.savez(file, codes=PACKED.packed)


def save_rows(path, n_bits, width, dtype=np.uint8):
    """Write a file that looks like one of ours, of a former version."""
    save_array(path, np.zeros(4, [(f"bits{n_bits}", dtype, (width,))]))


def save_half(path):
    PACKED.save(path)
    path.write_bytes(path.read_bytes()[:-9])


NO_CODE_FILE = r"expected a file written by PackedCodes\.save"
OBJECTS = np.array([{}], dtype=object)
FILES = {
    "plain_array": (lambda path: save_array(path, CODES), NO_CODE_FILE),
    "archive": (save_archive, NO_CODE_FILE),
    "text": (lambda path: path.write_text("hello\n"), NO_CODE_FILE),
    "empty": (lambda path: path.touch(), NO_CODE_FILE),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(PACKED)), NO_CODE_FILE),
    "pickled_objects": (lambda path: save_array(path, OBJECTS), NO_CODE_FILE),
    "no_bits": (lambda path: save_rows(path, 0, 1), NO_CODE_FILE),
    "width": (lambda path: save_rows(path, 9, 1), r"no 9 bits are in 1 bytes"),
    "floats": (lambda path: save_rows(path, 8, 1, float), NO_CODE_FILE),
    "cut_off": (save_half, r"it should have 222 bytes, but has 213"),
}


@pytest.mark.parametrize(("write", "message"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_load_refuses_other_files(tmp_path, write, message, mmap_mode):
    """Only files that `save` wrote are loaded; no pickle is opened."""
    write(tmp_path / "file")
    with pytest.raises(ValueError, match=message):
        PackedCodes.load(tmp_path / "file", mmap_mode)


@pytest.mark.parametrize("mmap_mode", ["w+", "x"])
def test_load_refuses_mmap_modes_and_keeps_the_file(tmp_path, mmap_mode):
    """A mode that is not offered is named, and the file stays as it is."""
    path = tmp_path / "codes"
    PACKED.save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"mmap_mode must be None, 'r'"):
        PackedCodes.load(path, mmap_mode=mmap_mode)
    assert path.read_bytes() == before


def test_save_on_the_mapped_file_keeps_the_codes(tmp_path):
    """Codes mapped from a file survive being saved to it, or `save` refuses."""
    path = tmp_path / "codes"
    codes = PackedCodes.from_codes(np.tile(CODES, (1000, 1)))
    codes.save(path)
    mapped = PackedCodes.load(path, mmap_mode="r")
    with suppress(ValueError, OSError):  # not shown: reading `mapped` may crash
        mapped.save(path)
    del mapped
    assert PackedCodes.load(path) == codes


@pytest.mark.parametrize("protocol", [0, 1, pickle.HIGHEST_PROTOCOL])
def test_every_pickle_protocol_keeps_the_codes(protocol):
    """Codes survive pickling, also by the protocols that know no slots."""
    assert pickle.loads(pickle.dumps(PACKED, protocol)) == PACKED


def test_as_an_array_codes_are_unpacked():
    """NumPy sees one number a bit, never an array of one object."""
    np.testing.assert_array_equal(np.asarray(PACKED), PACKED.unpack(), strict=True)
    assert np.asarray(PACKED, dtype=np.float32).dtype == np.float32
