"""Exports of codes: what FAISS, USearch and Arrow hold and find; what is written."""

import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from store_codes import (
    KINDS,
    LENGTHS,
    K,
    assert_nearest,
    assert_within,
    gallery_and_queries,
    radius_of,
)
from test_codes import code_matrices

from sklhash import PackedCodes

each_gallery = pytest.mark.parametrize("n_bits", LENGTHS)
each_kind = pytest.mark.parametrize("kind", KINDS)
SMALL = PackedCodes.from_codes(np.random.RandomState(0).randint(2, size=(300, 31)))


@pytest.fixture
def faiss():
    """FAISS on one thread: it brings an OpenMP of its own."""
    faiss = pytest.importorskip("faiss")
    faiss.omp_set_num_threads(1)
    return faiss


@pytest.fixture
def usearch():
    return pytest.importorskip("usearch.index")


@pytest.fixture
def pa():
    return pytest.importorskip("pyarrow")


@pytest.fixture
def parquet():
    return pytest.importorskip("pyarrow.parquet")


# FAISS


@each_gallery
@each_kind
def test_faiss_finds_the_same(kind, n_bits, faiss):
    """A flat index has the retriever's neighbours, and within radius + 1 its radius."""
    gallery, queries = gallery_and_queries(kind, n_bits)
    index = gallery.to_faiss()
    assert index.d == 8 * gallery.packed.shape[1]
    assert_nearest(kind, n_bits, *index.search(queries.packed, K))
    radius = radius_of(kind, n_bits)
    ends, distances, positions = index.range_search(queries.packed, radius + 1)
    cuts = ends[1:-1].astype(np.intp)
    assert_within(kind, n_bits, np.split(distances, cuts), np.split(positions, cuts))


@pytest.mark.parametrize("description", ["BFlat", "BIVF4", "BHNSW8", "IDMap2,BFlat"])
def test_faiss_gives_codes_back(description, faiss):
    """Codes are those that went in, whatever kind of index held them."""
    ids = np.arange(300) * 7 if "IDMap" in description else None
    index = SMALL.to_faiss(description.removeprefix("IDMap2,"), ids=ids)
    if description == "BIVF4":
        with pytest.raises(ValueError, match=r"IndexBinaryIVF does not .*direct map"):
            PackedCodes.from_faiss(index, n_bits=31)
        index.make_direct_map()
    assert PackedCodes.from_faiss(index, n_bits=31) == SMALL


@pytest.mark.parametrize("description", ["BFlat", "BIVF4", "BHNSW8", "BHash8"])
def test_faiss_finds_ids(description, faiss):
    """With ids, searches give these, in every kind of index."""
    ids = np.random.RandomState(0).permutation(10**6)[:300]
    index = SMALL.to_faiss(description, ids=ids.tolist())
    assert_array_equal(index.search(SMALL.packed, 1)[1][:, 0], ids)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"description": "Flat"}, r"^FAISS makes no index 'Flat' of 300 codes of 32 b"),
        ({"description": "Flat"}, r"bits: 'index' failed: .* such as 'BFlat', and ids"),
        ({"description": "IDMap2,BFlat"}, r"and ids go by ids=$"),
        ({"description": ""}, r"names of binary indexes begin with B"),
        (
            {"description": "BIVF512"},
            r"'BIVF512' of 300 codes .*\(512\); name fewer li",
        ),
        ({"description": "BHNSW0"}, "'BHNSW0': the numbers of HNSW begin at 2"),
        ({"description": "BHNSW1"}, "'BHNSW1': the numbers of HNSW begin at 2"),
        ({"description": "BHNSW 00"}, "the numbers of HNSW begin at 2"),
        ({"description": "BHNSW4294967296"}, "the numbers of HNSW begin at 2"),
        ({"description": "BIVF4_HNSW0"}, "the numbers of HNSW begin at 2"),
        ({"description": "BIVF0"}, "the numbers of IVF begin at 1"),
        ({"description": "BIVF-3"}, "the numbers of IVF begin at 1"),
        ({"description": "BHash0"}, "the numbers of Hash begin at 1"),
        ({"description": "BHash4x0"}, "the numbers of Hash begin at 1"),
        ({"description": "BHash33"}, "the keys of a hash table have at most 32 of the"),
        ({"description": "BHash2x33"}, "have at most 32 of the codes' 32 bits"),
        ({"ids": [-1, *range(299)]}, r"ids must be in \[0, \d+\]; got -1"),
    ],
)
def test_faiss_refuses(arguments, message, faiss):
    """What FAISS cannot make is told, with FAISS's own reason."""
    with pytest.raises(ValueError, match=message):
        SMALL.to_faiss(**arguments)


def test_keys_of_hash_tables_have_64_bits(faiss):
    """Longer codes have no longer keys, and the longest key is taken."""
    codes = PackedCodes.from_codes(np.random.RandomState(0).randint(2, size=(50, 128)))
    found = codes.to_faiss("BHash64").search(codes.packed, 1)[1]
    assert_array_equal(found[:, 0], np.arange(50))
    with pytest.raises(ValueError, match="at most 64 of the codes' 128 bits"):
        codes.to_faiss("BHash65")


@pytest.mark.parametrize("description", [None, b"BFlat", 5])
def test_names_of_indexes_are_strings(description, faiss):
    """Anything else is told before FAISS sees it."""
    with pytest.raises(TypeError, match="description must be a string such as 'BFlat'"):
        SMALL.to_faiss(description)


def test_from_faiss_refuses(faiss):
    """Indexes that are not binary, of other lengths, or without codes are refused."""
    index = SMALL.to_faiss()
    with pytest.raises(TypeError, match="binary index of FAISS; got IndexFlatL2"):
        PackedCodes.from_faiss(faiss.IndexFlatL2(4), n_bits=31)
    with pytest.raises(ValueError, match="index holds codes of 32 bits, but n_bits=64"):
        PackedCodes.from_faiss(index, n_bits=64)
    with pytest.raises(ValueError, match="bits set beyond n_bits=30"):
        PackedCodes.from_faiss(index, n_bits=30)
    with pytest.raises(ValueError, match="IndexBinaryHash does not give its codes"):
        PackedCodes.from_faiss(SMALL.to_faiss("BHash8"), n_bits=31)


# USearch


@each_gallery
@each_kind
def test_usearch_finds_the_same(kind, n_bits, usearch):
    """An exact search has the retriever's neighbours, in bits."""
    gallery, queries = gallery_and_queries(kind, n_bits)
    index = gallery.to_usearch(connectivity=4, expansion_add=4)
    found = index.search(queries.packed, K, exact=True, threads=1)
    assert_nearest(kind, n_bits, found.distances, found.keys)
    every = index.search(queries.packed, len(gallery), exact=True, threads=1)
    inside = every.distances <= radius_of(kind, n_bits)
    pairs = [
        (distances[near], keys[near])
        for distances, keys, near in zip(
            every.distances, every.keys, inside, strict=True
        )
    ]
    assert_within(kind, n_bits, *zip(*pairs, strict=True))


def test_usearch_keeps_ids_and_options(usearch):
    """Keys are the ids given, and options reach USearch."""
    ids = np.arange(300) * 3
    index = SMALL.to_usearch(ids=ids, connectivity=8)
    assert index.connectivity == 8
    found = index.search(SMALL.packed, 1, exact=True, threads=1)
    assert_array_equal(found.keys[:, 0], ids)


@pytest.mark.parametrize("option", ["path", "view", "ndim", "metric", "dtype"])
def test_usearch_makes_a_new_index_of_bits(option, usearch, tmp_path):
    """An option that would load another index, or measure otherwise, is refused."""
    SMALL[:5].to_usearch().save(tmp_path / "index")
    with pytest.raises(TypeError, match=f"it takes no '{option}'; .* method save"):
        SMALL.to_usearch(**{option: tmp_path / "index"})


def test_usearch_graph_is_the_same_each_time(usearch):
    """On one thread, the default, codes make one graph."""
    first, second = (bytes(SMALL.to_usearch().save()) for _ in range(2))
    assert first == second


# PostgreSQL: what is written. Servers read it in test_stores.py.


@given(code_matrices(), st.data())
def test_copy_is_written_as_postgresql_documents_it(codes, data):
    """Binary and text rows are those that plain loops write."""
    numbers = st.integers(-(2**63), 2**63 - 1)
    ids = data.draw(
        st.lists(numbers, min_size=len(codes), max_size=len(codes), unique=True)
    )
    binary = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
    text = b""
    for key, row in zip(ids, codes.tolist(), strict=True):
        bits = "".join(map(str, row))
        left = [int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8)]
        binary += struct.pack(">hiqii", 2, 8, key, 4 + len(left), len(bits))
        binary += bytes(left)
        text += f"{key}\t{bits}\n".encode()
    packed = PackedCodes.from_codes(codes)
    assert written(packed, ids=ids) == binary + struct.pack(">h", -1)
    assert written(packed, ids=ids, format="text") == text


def written(codes, **arguments):
    """Give what `to_pgvector` writes."""
    file = io.BytesIO()
    codes.to_pgvector(file, **arguments)
    return file.getvalue()


@pytest.mark.parametrize("format", ["binary", "text"])
def test_copy_is_written_in_blocks(format, monkeypatch):
    """Blocks change nothing of what is written, and each write is a block at most."""
    whole = written(SMALL, format=format)
    monkeypatch.setattr("sklhash.exports._blocks.BLOCK_BYTES", 7 * 31)
    parts = []
    SMALL.to_pgvector(type("Copy", (), {"write": parts.append}), format=format)
    assert b"".join(parts) == whole
    assert max(map(len, parts)) <= 7 * 50


WRITERS = {
    "binary": lambda codes, sink: codes.to_pgvector(sink),
    "text": lambda codes, sink: codes.to_pgvector(sink, format="text"),
    "qdrant": lambda codes, sink: [None for _ in codes.to_qdrant()],
    "milvus": lambda codes, sink: [None for _ in codes.to_milvus()],
}


@pytest.mark.parametrize("writer", WRITERS)
def test_long_codes_take_no_more_memory_than_short_ones(writer):
    """Blocks are of bytes, not of rows: 66 MB of text, and 2 MB at a time."""
    codes = PackedCodes(np.zeros((1000, 8192), np.uint8), 65_535)
    sink = type("Nowhere", (), {"write": staticmethod(len)})
    tracemalloc.start()
    try:
        WRITERS[writer](codes, sink)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def test_bit_strings_show_the_bits():
    """Character j is bit j."""
    strings = SMALL.to_bit_strings()
    assert [list(map(int, s)) for s in strings] == SMALL.unpack().tolist()


def test_copy_refuses_a_format_before_it_writes():
    """An unknown format is told, and nothing is written."""
    file = io.BytesIO()
    with pytest.raises(ValueError, match="format must be 'binary' or 'text'; got 'csv"):
        SMALL.to_pgvector(file, format="csv")
    with pytest.raises(ValueError, match="ids must differ"):
        SMALL.to_pgvector(file, ids=[1] * 300)
    assert not file.getvalue()
    with pytest.raises(TypeError, match=r"such as open\(path, 'wb'\); got str"):
        SMALL.to_pgvector("codes.copy")


# Qdrant and Milvus: what is given. Engines read it in test_stores.py.


@given(code_matrices())
def test_points_of_qdrant(codes):
    """A point is an id, a number for each bit, and its payload."""
    packed = PackedCodes.from_codes(codes)
    payloads = [{"row": i} for i in range(len(codes))]
    expected = [
        {"id": 10 * i, "vector": row, "payload": {"row": i}}
        for i, row in enumerate(codes.tolist())
    ]
    ids = [10 * i for i in range(len(codes))]
    assert list(packed.to_qdrant(ids=ids, payloads=payloads)) == expected
    assert [point["vector"] for point in packed.to_qdrant()] == codes.tolist()
    assert packed.qdrant_collection()["vectors"]["size"] == codes.shape[1]


def test_payloads_are_checked_before_points_are_made():
    """Too few payloads, and what is no dict, are refused at the call."""
    with pytest.raises(ValueError, match="one dict for each of 300 codes; got 1"):
        SMALL.to_qdrant(payloads=[{}])
    with pytest.raises(TypeError, match="payloads must be dicts; got str"):
        SMALL.to_qdrant(payloads="a" * 300)
    with pytest.raises(ValueError, match=r"ids must be in \[0, "):
        SMALL.to_qdrant(ids=np.arange(-1, 299))


@given(code_matrices())
def test_rows_of_milvus(codes):
    """A row is an id and the bytes; the field has the bits of whole bytes."""
    packed = PackedCodes.from_codes(codes)
    rows = list(packed.to_milvus())
    assert [row["id"] for row in rows] == list(range(len(codes)))
    assert b"".join(row["code"] for row in rows) == packed.packed.tobytes()
    field = packed.milvus_collection()["fields"][1]
    assert field["dim"] == 8 * packed.packed.shape[1]


# Arrow and Parquet


@given(code_matrices(), st.booleans())
def test_arrow_gives_codes_back(codes, with_ids):
    """Tables, their slices and tables in pieces hold the codes; ids stand beside."""
    pa = pytest.importorskip("pyarrow")
    packed = PackedCodes.from_codes(codes)
    ids = range(5, 5 + len(codes)) if with_ids else None
    table = packed.to_arrow(ids=ids)
    assert PackedCodes.from_arrow(table) == packed
    assert PackedCodes.from_arrow(table.slice(1, 3)) == packed[1:4]
    assert PackedCodes.from_arrow(pa.concat_tables([table[2:], table])) == (
        PackedCodes.concatenate([packed[2:], packed])
    )
    assert table.column_names == (["id", "code"] if with_ids else ["code"])
    if with_ids:
        assert table["id"].to_pylist() == list(ids)


def test_arrow_copies_nothing(pa):
    """A table and the codes of a table share the memory of the codes."""
    table = SMALL.to_arrow()
    assert np.shares_memory(PackedCodes.from_arrow(table).packed, SMALL.packed)


def test_parquet_gives_codes_back(tmp_path, pa, parquet):
    """Codes come back from a file, whole or in row groups, with an id beside."""
    path = tmp_path / "codes.parquet"
    SMALL.to_parquet(path, ids=np.arange(300) - 5)
    assert PackedCodes.from_parquet(path) == SMALL
    assert parquet.read_table(path)["id"].to_pylist() == list(range(-5, 295))
    parquet.write_table(SMALL.to_arrow(), path, row_group_size=7)
    assert PackedCodes.from_parquet(str(path)) == SMALL
    assert [file.name for file in tmp_path.iterdir()] == ["codes.parquet"]


def test_polars_reads_and_gives_codes(tmp_path, pa):
    """Polars reads the file; it drops the length, which can be given instead."""
    pl = pytest.importorskip("polars")
    SMALL.to_parquet(tmp_path / "codes.parquet", ids=range(300))
    frame = pl.read_parquet(tmp_path / "codes.parquet")
    assert frame["code"].to_list() == [row.tobytes() for row in SMALL.packed]
    assert PackedCodes.from_arrow(frame, n_bits=31) == SMALL
    near = frame.filter(pl.col("id") >= 250)
    assert PackedCodes.from_arrow(near, n_bits=31) == SMALL[250:]
    with pytest.raises(ValueError, match=r"does not tell its n_bits.*give n_bits="):
        PackedCodes.from_arrow(frame)


def column(pa, values, kind, n_bits=b"31", name="code"):
    """Make a table of one column, which tells `n_bits`."""
    field = pa.field(name, kind, metadata={b"sklhash.n_bits": n_bits})
    return pa.table([pa.array(values, kind)], schema=pa.schema([field]))


def test_arrow_reads_no_codes(pa):
    """A column of no rows may have lost its type, as in pandas; one of nulls is bad."""
    empty = pa.table({"code": pa.nulls(0)})
    assert PackedCodes.from_arrow(empty, n_bits=31).shape == (0, 31)
    with pytest.raises(ValueError, match="'code' has 2 rows that are null"):
        PackedCodes.from_arrow(pa.table({"code": pa.nulls(2)}), n_bits=31)


def dictionary(pa, keys, values):
    """Make a table whose column is encoded by a dictionary."""
    return pa.table({"code": pa.DictionaryArray.from_arrays(keys, values)})


@pytest.mark.parametrize("kind", ["binary", "large_binary", "binary_view", "fixed"])
@pytest.mark.parametrize("encoded", [False, True])
def test_arrow_reads_binary_of_any_kind(kind, encoded, pa):
    """Other programs store codes as they like, in a dictionary or not."""
    kind = pa.binary(4) if kind == "fixed" else getattr(pa, kind)()
    values = pa.array([row.tobytes() for row in SMALL.packed], kind)
    if encoded:
        keys = pa.array(range(299, -1, -1), pa.int32())
        values = pa.DictionaryArray.from_arrays(keys, values)
    codes = PackedCodes.from_arrow(pa.table({"code": values}), n_bits=31)
    assert codes == (SMALL[::-1] if encoded else SMALL)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda pa: column(pa, [b"abc\0"], pa.binary(4), name="x"), r"columns \['x'\]"),
        (lambda pa: column(pa, [b"abc\0", None], pa.binary(4)), "1 rows that are null"),
        (
            lambda pa: dictionary(pa, [0, 1], [b"abc\0", None]),
            "'code' has 1 rows that are null",
        ),
        (lambda pa: dictionary(pa, [0, None], [b"abc\0"]), "has 1 rows that are null"),
        (lambda pa: dictionary(pa, [0], ["abcd"]), "is dictionary<values=string"),
        (lambda pa: column(pa, ["abcd"], pa.string()), "is string$"),
        (lambda pa: column(pa, ["abcd"], pa.large_string()), "is large_string$"),
        (lambda pa: column(pa, [b"abc\x80"], pa.binary(4)), "set beyond n_bits=31"),
        (lambda pa: column(pa, [b"abc"], pa.binary(3)), "4 bytes a row .*binary.3."),
        (lambda pa: column(pa, [b"abc\0", b"a"], pa.binary()), "4 bytes a row .*bina"),
        (lambda pa: column(pa, [1, 2], pa.int64()), "is int64"),
        (lambda pa: column(pa, [[1.0]], pa.list_(pa.float32())), "is list"),
        (lambda pa: column(pa, [b"abc\0"], pa.binary(4), b"-1"), "n_bits=b'-1', which"),
        (lambda pa: column(pa, [b""], pa.binary(), b"0"), "n_bits=b'0', which is no"),
        (
            lambda pa: column(pa, [b"a"], pa.binary(), b"99999"),
            r"must hold 12500 bytes a row",
        ),
        (lambda pa: SMALL.to_arrow().append_column("code", [[0] * 300]), "one column"),
    ],
    ids=[
        "other name", "null", "null value", "null key", "text values", "text",
        "large text", "padding", "narrow", "ragged", "numbers", "lists",
        "negative", "zero", "huge", "twice",
    ],
)  # fmt: skip
def test_arrow_refuses_what_is_not_ours(make, message, pa):
    """Tables that hold no codes of one length are told from those that do."""
    table = make(pa)
    told = b"sklhash.n_bits" in (table.schema.field(-1).metadata or {})
    with pytest.raises(ValueError, match=message):
        PackedCodes.from_arrow(table, n_bits=None if told else 31)


def test_given_and_told_lengths_must_agree(pa):
    """A length that the table contradicts, or none at all, is refused."""
    with pytest.raises(ValueError, match="'code' holds 31 bits; got n_bits=32"):
        PackedCodes.from_arrow(SMALL.to_arrow(), n_bits=32)
    with pytest.raises(ValueError, match=r"n_bits must be in \[1, 65535\]; got 0"):
        PackedCodes.from_arrow(SMALL.to_arrow(), n_bits=0)
    with pytest.raises(TypeError, match="n_bits must be an integer; got '31'"):
        PackedCodes.from_parquet("any", n_bits="31")


def test_damaged_parquet_files_are_told(tmp_path, parquet):
    """Cut, empty and changed files are ValueErrors with the file's name."""
    path = tmp_path / "codes.parquet"
    SMALL.to_parquet(path)
    whole = path.read_bytes()
    place = whole.find(SMALL.packed[:8].tobytes())
    assert place > 0
    changed = bytearray(whole)
    changed[place] ^= 1
    for content in [b"", b"PAR1", whole[:-9], whole[50:], b"x" * 300, bytes(changed)]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"codes.parquet' holds no packed codes"):
            PackedCodes.from_parquet(path)
    with pytest.raises(FileNotFoundError):
        PackedCodes.from_parquet(tmp_path / "none.parquet")


@pytest.mark.parametrize("kind", ["folder", "device", "pipe"])
def test_parquet_files_are_files(kind, tmp_path, pa):
    """A pipe is not waited for."""
    path = {"folder": tmp_path, "device": os.devnull, "pipe": tmp_path / "pipe"}[kind]
    if kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes on this system")
        os.mkfifo(path)
    with pytest.raises(ValueError, match="is no regular file: name one"):
        PackedCodes.from_parquet(path)
    with pytest.raises(ValueError, match="is a folder or a device: name a file"):
        SMALL.to_parquet(path)


@pytest.mark.parametrize("path", [None, 1, b"codes.parquet", io.BytesIO()])
def test_parquet_files_have_names(path, pa):
    """What is read takes the paths that what is written takes, and no others."""
    with pytest.raises(TypeError, match=r"str|path"):
        PackedCodes.from_parquet(path)
    with pytest.raises(TypeError, match=r"str|path"):
        SMALL.to_parquet(path)


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bits_of_parquet_files_are_value_errors(seed, tmp_path, parquet):
    """A changed file is read or refused: no other exception, codes of some length."""
    path = tmp_path / "codes.parquet"
    SMALL.to_parquet(path)
    whole = path.read_bytes()
    rng = np.random.RandomState(seed)
    n_refused = 0
    for _ in range(100):
        content = bytearray(whole)
        for place in rng.randint(len(whole), size=rng.randint(1, 4)):
            content[place] ^= 1 << rng.randint(8)
        path.write_bytes(content)
        try:
            codes = PackedCodes.from_parquet(path)
        except ValueError:
            n_refused += 1
        else:
            assert 1 <= codes.n_bits <= 65_535
    assert n_refused > 50


def test_failed_parquet_leaves_the_old_file(tmp_path, parquet, monkeypatch):
    """What stood there stays, whole, if writing fails."""
    path = tmp_path / "codes.parquet"
    SMALL.to_parquet(path)
    with pytest.raises(ValueError, match="ids must be one integer"):
        SMALL[:7].to_parquet(path, ids=[1])
    assert PackedCodes.from_parquet(path) == SMALL
    assert len(list(tmp_path.iterdir())) == 1


# All of them

TARGETS = {
    "faiss": lambda codes, **ids: codes.to_faiss(**ids),
    "usearch": lambda codes, **ids: codes.to_usearch(**ids),
    "pgvector": written,
    "qdrant": lambda codes, **ids: list(codes.to_qdrant(**ids)),
    "milvus": lambda codes, **ids: list(codes.to_milvus(**ids)),
    "arrow": lambda codes, **ids: codes.to_arrow(**ids),
}
each_target = pytest.mark.parametrize("target", TARGETS)
PACKAGES = {"faiss": "faiss", "usearch": "usearch.index", "arrow": "pyarrow"}


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([1, 2], ValueError, r"one integer for each of 3 codes; got .* shape \(2,\)"),
        ([[1, 2, 3]], ValueError, r"shape \(1, 3\)"),
        ("abc", TypeError, "ids must be a list or an array of integers; got str"),
        ({1, 2, 3}, TypeError, "ids must be a list or an array of integers; got set"),
        (iter([1, 2, 3]), TypeError, "a list or an array of integers; got list_itera"),
        ([1.0, 2.0, 3.0], TypeError, "ids must be integers; got 1.0"),
        ([1, 2.5, 3], TypeError, "ids must be integers; got 2.5"),
        (np.array([1.0, 2.0, 3.0]), TypeError, "ids must be integers; got 1.0"),
        ([1, None, 3], TypeError, "ids must be integers; got None"),
        (np.ma.array([1, 2, 3], mask=[0, 1, 0]), ValueError, "some are masked"),
        ([True, False, True], TypeError, "got dtype bool"),
        (["1", "2", "3"], TypeError, "got dtype <U1"),
        ([1, 2, 2**64], ValueError, r"ids must be in \[.*; got 18446744073709551616"),
        ([0, 1, 2**63], ValueError, r"ids must be in \[.*; got 9223372036854775808"),
        (
            [-1, 2, 2**63],
            ValueError,
            r"ids must be in \[.*; got (-1|9223372036854775808)",
        ),
        (
            np.uint64([1, 2, 2**63]),
            ValueError,
            r"\[.*, 9223372036854775807\]; got 92233720368547",
        ),
        ([5, 7, 5], ValueError, "ids must differ; got 5 more than once"),
    ],
)
@each_target
def test_wrong_ids_are_refused(target, ids, error, message):
    """Ids are integers of 64 bits, one for each code, and differ."""
    pytest.importorskip(PACKAGES.get(target, "numpy"))
    with pytest.raises(error, match=message):
        TARGETS[target](SMALL[:3], ids=ids)


@each_target
def test_codes_of_any_layout_are_exported(target, tmp_path):
    """Slices, Fortran order, read-only arrays and maps are exported as their copies."""
    pytest.importorskip(PACKAGES.get(target, "numpy"))
    SMALL.save(tmp_path / "codes.npy")
    backwards = PackedCodes(SMALL.packed[::-2], 31)
    read_only = SMALL.packed[::-2].copy()
    read_only.flags.writeable = False
    mapped = PackedCodes.load(tmp_path / "codes.npy", mmap_mode="r")
    plain, *others = (
        TARGETS[target](codes)
        for codes in [
            SMALL[np.arange(299, -1, -2)],
            backwards,
            PackedCodes(np.asfortranarray(SMALL.packed[::-2]), 31),
            PackedCodes(read_only, 31),
            PackedCodes(mapped.packed[::-2], 31),
        ]
    )
    for other in others:
        if target == "faiss":
            packed = [PackedCodes.from_faiss(index, 31) for index in (plain, other)]
            assert packed[0] == packed[1]
        elif target == "usearch":
            assert plain.save() == other.save()
        else:
            assert plain == other


@each_target
def test_no_codes_are_exported(target):
    """An empty gallery is an empty index, table or file."""
    pytest.importorskip(PACKAGES.get(target, "numpy"))
    exported = TARGETS[target](SMALL[:0], ids=[])
    if target == "faiss":
        assert len(PackedCodes.from_faiss(exported, 31)) == 0
    elif target == "pgvector":
        assert len(exported) == 21
    else:
        assert len(exported) == 0


@pytest.mark.parametrize(
    ("target", "extra"),
    [("faiss", "faiss"), ("usearch", "usearch"), ("arrow", "arrow")],
)
def test_missing_packages_are_named(target, extra, monkeypatch):
    """Without the package, the message has the line that installs it."""
    monkeypatch.setitem(__import__("sys").modules, PACKAGES[target], None)
    with pytest.raises(ImportError, match=rf'pip install "sklhash\[{extra}\]"'):
        TARGETS[target](SMALL)
