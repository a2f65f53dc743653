"""Search on PyTorch's devices: the same answers as the search on the processor.

Here the device is the processor; `test_gpu.py` runs the same on a GPU.
"""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklhash.hamming import _torch, top_k, within_radius
from sklhash.hamming._torch import DeviceGallery, top_k_on_device


def draw_codes(rng, n_samples, n_bytes, n_distinct=None):
    """Draw codes, of which few are distinct if that is asked for."""
    if n_distinct is None:
        return rng.randint(256, size=(n_samples, n_bytes)).astype(np.uint8)
    few = rng.randint(256, size=(n_distinct, n_bytes)).astype(np.uint8)
    return few[rng.randint(n_distinct, size=n_samples)]


def naive_top_k(queries, gallery, k):
    """Sort all positions by (distance, position)."""
    distances, positions = [], []
    for query in queries:
        bits = [
            sum(int(a ^ b).bit_count() for a, b in zip(query, code, strict=True))
            for code in gallery
        ]
        ranking = sorted(range(len(gallery)), key=lambda i: (bits[i], i))[:k]
        distances.append([bits[i] for i in ranking])
        positions.append(ranking)
    return np.array(distances), np.array(positions)


def assert_same(found, expected):
    for part, other in zip(found, expected, strict=True):
        assert part.dtype == other.dtype
        assert_array_equal(part, other)


@pytest.fixture
def small_blocks(monkeypatch):
    """Make many blocks of little data."""
    monkeypatch.setattr(_torch, "BLOCK_PAIRS", 60)
    monkeypatch.setattr(_torch, "BLOCK_QUERIES", 3)
    monkeypatch.setattr(_torch, "SIGNS", 640)
    monkeypatch.setattr(_torch, "ANSWERS", 50)
    monkeypatch.setattr(_torch, "UPLOAD_BYTES", 64)


searches = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "n_queries": st.integers(1, 9),
        "n_gallery": st.integers(1, 40),
        "n_bytes": st.integers(1, 9),
        "n_distinct": st.sampled_from([None, 1, 3]),
    }
)


def draw(seed, n_queries, n_gallery, n_bytes, n_distinct):
    rng = np.random.RandomState(seed)
    codes = draw_codes(rng, n_queries + n_gallery, n_bytes, n_distinct)
    return codes[:n_queries], codes[n_queries:]


@given(searches, st.data())
def test_top_k_is_naive_search(search, data):
    """Distances, positions and their order are those of sorting everything."""
    queries, gallery = draw(**search)
    k = data.draw(st.integers(1, len(gallery)))
    found = top_k_on_device(queries, gallery, k, device="cpu")
    assert_same(found, top_k(queries, gallery, k))
    for part, expected in zip(found, naive_top_k(queries, gallery, k), strict=True):
        assert_array_equal(part, expected)


@pytest.mark.parametrize("seed", range(20))
def test_many_blocks(seed, small_blocks):
    """Blocks of queries and chunks of the gallery change nothing."""
    rng = np.random.RandomState(seed)
    queries, gallery = draw(seed, 11, 57, 1 + seed % 9, [None, 2][seed % 2])
    for k in (1, 2, 30, 57):
        found = top_k_on_device(queries, gallery, k, device="cpu")
        assert_same(found, top_k(queries, gallery, k))
    held, radius = DeviceGallery(gallery, "cpu"), rng.randint(8)
    expected = within_radius(queries, gallery, radius)
    assert_same(held.within_radius(queries, radius), expected)


@given(searches, st.one_of(st.integers(0, 80), st.sampled_from([0.5, 2.9, np.inf])))
def test_radius_search(search, radius):
    """All codes up to a radius, none or everything included, are found in order."""
    queries, gallery = draw(**search)
    found = DeviceGallery(gallery, "cpu").within_radius(queries, radius)
    assert_same(found, within_radius(queries, gallery, radius))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("n_bytes", [1, 255, 256, 257, 1000, 8192])
def test_long_codes(n_bytes, dtype, rng, monkeypatch):
    """Codes of more bits than half precision counts are compared exactly, in it too."""
    monkeypatch.setattr(_torch, "_dtype", lambda device: dtype)
    gallery = draw_codes(rng, 50, n_bytes)
    gallery[7], gallery[8] = ~gallery[0], gallery[0]
    queries = np.vstack([gallery[:3], ~gallery[:2]])
    for codes in (queries, gallery):
        codes[:, -1] &= 127  # a padding bit: 65,535 bits are the most
    found = top_k_on_device(queries, gallery, 50, device="cpu")
    assert_same(found, top_k(queries, gallery, 50))
    assert found[0][0, -1] == 8 * n_bytes - 1


@pytest.mark.parametrize("n_bits", [1, 8, 64, 2048, 65_536])
def test_keys_fit(n_bits):
    """Keys of the farthest code at the last place are positive numbers of 31 bits."""
    shift = 31 - n_bits.bit_length()
    assert shift >= 1
    assert (n_bits << shift) + 2**shift - 1 < 2**31
    if n_bits <= _torch.PART_BITS:
        assert int(np.float16(n_bits)) == n_bits


def test_gallery_is_copied_once(rng, monkeypatch):
    """A gallery that has been copied is searched again and again."""
    queries, gallery = draw_codes(rng, 5, 8), draw_codes(rng, 100, 8)
    held = DeviceGallery(gallery, "cpu")
    uploaded, upload = [], _torch._upload
    monkeypatch.setattr(
        _torch,
        "_upload",
        lambda packed, device: uploaded.append(len(packed)) or upload(packed, device),
    )
    for k in (1, 10):
        assert_same(held.top_k(queries, k), top_k(queries, gallery, k))
    assert uploaded == [5, 5]
    gallery[:] = 0  # the copy is its own
    assert held.top_k(queries, 1)[0].max() > 0


def test_galleries_grow(rng):
    """Codes that are appended stand behind those that were there."""
    queries, gallery = draw_codes(rng, 5, 3), draw_codes(rng, 100, 3, 7)
    held = DeviceGallery(gallery[:40], "cpu")
    held.extend(gallery[40:41])
    held.extend(gallery[41:])
    assert len(held) == 100
    assert_same(held.top_k(queries, 30), top_k(queries, gallery, 30))


def test_codes_in_a_mapped_file(rng, tmp_path):
    """Codes that cannot be written to are copied without a word."""
    gallery = draw_codes(rng, 100, 5)
    np.save(tmp_path / "codes.npy", gallery)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    with warnings.catch_warnings(action="error"):
        found = top_k_on_device(mapped[::7], mapped, 3, device="cpu")
    assert_same(found, top_k(gallery[::7], gallery, 3))


def test_galleries_are_not_pickled(rng):
    """What lies on a device stays there."""
    held = DeviceGallery(draw_codes(rng, 3, 2), "cpu")
    with pytest.raises(TypeError, match="DeviceGallery cannot be pickled"):
        pickle.dumps(held)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
def test_device_that_is_missing(rng):
    """A GPU that PyTorch does not find is refused by name."""
    codes = draw_codes(rng, 3, 2)
    with pytest.raises(ValueError, match=r"device='cuda' cannot be used here: .*'cpu'"):
        top_k_on_device(codes, codes, 1, device="cuda")


def test_device_that_is_none(rng):
    """A name that PyTorch does not know is refused."""
    codes = draw_codes(rng, 3, 2)
    with pytest.raises(ValueError, match="device='gpu' cannot be used here"):
        top_k_on_device(codes, codes, 1, device="gpu")


def test_torch_is_not_loaded_by_import():
    """The module is imported without PyTorch."""
    program = "import sys, sklhash.hamming._torch; print('torch' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    ).stdout
    assert output.strip() == "False"
