"""The methods of packed codes that hand them to other engines and stores, and back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklhash.code_files import check_n_bits, written_whole

from ._arrow import from_arrow, read_parquet, to_arrow, write_parquet
from ._faiss import from_faiss, to_faiss
from ._milvus import milvus_collection, milvus_rows
from ._postgres import bit_strings, write_copy
from ._qdrant import qdrant_collection, qdrant_points
from ._usearch import to_usearch


class Exports:
    """What :class:`sklhash.PackedCodes` can do with other packages.

    Attributes
    ----------
    packed : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8
    n_bits : int
    """

    __slots__ = ()

    packed: NDArray[np.uint8]
    n_bits: int

    if TYPE_CHECKING:

        def __init__(self, packed: NDArray[np.uint8], n_bits: int) -> None: ...

    def to_faiss(
        self, description: str = "BFlat", *, ids: ArrayLike | None = None
    ) -> Any:
        """Make a binary index of FAISS that holds the codes.

        Parameters
        ----------
        description : str, default='BFlat'
            Kind of index, as `faiss.index_binary_factory` reads it. ``'BFlat'``
            searches all codes and finds the neighbours that
            :class:`~sklhash.HammingRetriever` finds; ``'BIVF256'`` and ``'BHNSW32'``
            are faster in large galleries and miss some. FAISS lets an inverted file
            look into the nearest of its lists only: in 100,000 codes of 64 bits
            ``'BIVF256'`` found 42 % of the 10 nearest if they were learned, and 11 %
            if they were random (``benchmarks/exports.py``). Raise ``index.nprobe``,
            which is 1. An index that has to be trained is trained on the codes.
        ids : array-like of shape (n_samples,), of int >= 0, default=None
            Numbers that searches give instead of positions.

        Returns
        -------
        index : faiss.IndexBinary
            Of ``8 * ceil(n_bits / 8)`` bits: FAISS takes whole bytes. The bits added
            are zero in all codes, so distances are the same. FAISS has its own order
            among equal distances, and its `range_search` takes distances ``< radius``:
            give it the radius + 1.

        Raises
        ------
        ImportError
            If FAISS is not installed.
        TypeError
            If `description` is no string, or `ids` are no integers.
        ValueError
            If FAISS makes no such index of these codes, or `ids` do not fit them.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import ITQ
        >>> X, y = load_digits(return_X_y=True)
        >>> codes = ITQ(n_bits=31, random_state=0).fit(X).encode(X)
        >>> distances, positions = codes.to_faiss().search(codes[:1].packed, 3)
        >>> y[positions]
        array([[0, 0, 0]])
        """
        return to_faiss(self.packed, description, ids)

    @classmethod
    def from_faiss(cls, index: Any, n_bits: int) -> Self:
        """Take the codes out of a binary index of FAISS.

        Parameters
        ----------
        index : faiss.IndexBinary
            Flat or HNSW, or an inverted file after its `make_direct_map`; hash tables
            do not give their codes back. What an ID map holds comes in the order in
            which it was added.
        n_bits : int
            Code length; FAISS knows the number of bytes only.

        Returns
        -------
        PackedCodes

        Raises
        ------
        ImportError
            If FAISS is not installed.
        TypeError
            If `index` is no binary index.
        ValueError
            If its codes have another length, or it cannot give them back.

        Examples
        --------
        >>> from sklhash import PackedCodes
        >>> codes = PackedCodes.from_codes([[1, 0, 1], [0, 1, 1]])
        >>> PackedCodes.from_faiss(codes.to_faiss(), n_bits=3) == codes
        True
        """
        n_bits = check_n_bits(n_bits)
        return cls(from_faiss(index, n_bits), n_bits)

    def to_usearch(
        self, *, ids: ArrayLike | None = None, n_jobs: int | None = None, **options: Any
    ) -> Any:
        """Make an index of USearch that holds the codes.

        Parameters
        ----------
        ids : array-like of shape (n_samples,), of int >= 0, default=None
            Keys of the codes; None for their positions.
        n_jobs : int, default=None
            Threads, as in joblib. With several, the graph differs from run to run.
        **options
            More arguments of `usearch.index.Index`, such as `connectivity`.
            The index is a new one of the codes, so there is no `path`, `view`,
            `ndim`, `metric` or `dtype`.

        Returns
        -------
        index : usearch.index.Index
            A graph. Its distances are bits, as float32. ``index.search(queries.packed,
            k, exact=True)`` looks at all codes and finds the neighbours that
            :class:`~sklhash.HammingRetriever` finds, but for the order among equal
            distances; without `exact` it is faster in large galleries and misses some.

        Raises
        ------
        ImportError
            If USearch is not installed.
        TypeError
            If `ids` are no integers, or an option is none of the above.
        ValueError
            If `ids` do not fit the codes.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import ITQ
        >>> X, y = load_digits(return_X_y=True)
        >>> codes = ITQ(n_bits=31, random_state=0).fit(X).encode(X)
        >>> found = codes.to_usearch().search(codes[:2].packed, 3, exact=True)
        >>> y[found.keys]
        array([[0, 0, 0],
               [1, 1, 1]])
        """
        return to_usearch(self.packed, ids, n_jobs, options)

    def to_pgvector(
        self,
        file: Any,
        *,
        ids: ArrayLike | None = None,
        format: Literal["binary", "text"] = "binary",
    ) -> None:
        """Write what PostgreSQL's COPY reads into a ``bigint`` and a ``bit(n_bits)``.

        pgvector searches such a column by ``<~>``, the Hamming distance, from version
        0.7 on.

        Parameters
        ----------
        file : object with a method `write` that takes bytes
            A file opened in binary mode, or a COPY of psycopg. It is written in
            blocks.
        ids : array-like of shape (n_samples,), of int, default=None
            Values of the ``bigint``; None for positions.
        format : {'binary', 'text'}, default='binary'
            Binary is for ``COPY items (id, code) FROM STDIN WITH (FORMAT binary)``,
            text for the same without ``WITH``: a line is an id, a tab, and the bits.

        Raises
        ------
        TypeError
            If `ids` are no integers, or `file` cannot be written to.
        ValueError
            If `ids` do not fit the codes, or `format` is none of the above.

        See Also
        --------
        to_bit_strings : Codes to ask for.

        Examples
        --------
        >>> from io import BytesIO
        >>> from sklhash import PackedCodes
        >>> file = BytesIO()
        >>> codes = PackedCodes.from_codes([[1, 0, 1], [0, 1, 1]])
        >>> codes.to_pgvector(file, ids=[7, 8], format="text")
        >>> print(file.getvalue().decode().expandtabs(2))
        7 101
        8 011
        <BLANKLINE>
        """
        write_copy(file, self.packed, self.n_bits, ids, format)

    def to_bit_strings(self) -> list[str]:
        """Give each code as a string of zeros and ones, as SQL's type ``bit`` takes it.

        Returns
        -------
        strings : list of str
            Character j is bit j.

        Examples
        --------
        >>> from sklhash import PackedCodes
        >>> PackedCodes.from_codes([[1, 0, 1], [0, 1, 1]]).to_bit_strings()
        ['101', '011']
        """
        strings = bit_strings(self.packed, self.n_bits)
        return [string.decode() for string in strings]

    def to_qdrant(
        self,
        *,
        ids: ArrayLike | None = None,
        payloads: Iterable[Mapping[str, Any]] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Give the codes as points of Qdrant.

        Parameters
        ----------
        ids : array-like of shape (n_samples,), of int >= 0, default=None
            None for positions.
        payloads : iterable of n_samples dicts, default=None
            What to keep with each code.

        Returns
        -------
        points : iterator of dict
            In the form of Qdrant's REST interface; qdrant-client's ``PointStruct``
            takes the same. A vector has a number 0 or 1 for each bit.

        Raises
        ------
        TypeError
            If `ids` are no integers, or a payload is no dict.
        ValueError
            If there is not one of them for each code.

        See Also
        --------
        qdrant_collection : The collection to put them into.

        Examples
        --------
        >>> from sklhash import PackedCodes
        >>> next(PackedCodes.from_codes([[1, 0, 1]]).to_qdrant(ids=[7]))
        {'id': 7, 'vector': [1, 0, 1]}
        """
        return qdrant_points(self.packed, self.n_bits, ids, payloads)

    def qdrant_collection(self) -> dict[str, Any]:
        """Give the settings of a collection of Qdrant that takes the codes.

        Returns
        -------
        settings : dict
            What Qdrant's REST interface takes. There is no Hamming distance; between
            vectors of zeros and ones the Manhattan distance is the same.

        Examples
        --------
        >>> from sklhash import PackedCodes
        >>> PackedCodes.from_codes([[1, 0, 1]]).qdrant_collection()
        {'vectors': {'size': 3, 'distance': 'Manhattan', 'datatype': 'uint8'}}
        """
        return qdrant_collection(self.n_bits)

    def to_milvus(self, *, ids: ArrayLike | None = None) -> Iterator[dict[str, Any]]:
        """Give the codes as rows of Milvus.

        Parameters
        ----------
        ids : array-like of shape (n_samples,), of int, default=None
            None for positions.

        Returns
        -------
        rows : iterator of dict
            With an ``id`` and a ``code`` of bytes, as pymilvus's ``insert`` takes them.

        Raises
        ------
        TypeError
            If `ids` are no integers.
        ValueError
            If `ids` do not fit the codes.

        See Also
        --------
        milvus_collection : The collection to put them into.

        Examples
        --------
        >>> from sklhash import PackedCodes
        >>> next(PackedCodes.from_codes([[1, 0, 0, 0, 0, 0, 1]]).to_milvus(ids=[7]))
        {'id': 7, 'code': b'A'}
        """
        return milvus_rows(self.packed, ids)

    def milvus_collection(self) -> dict[str, Any]:
        """Give the fields and the index of a collection of Milvus that takes the codes.

        Returns
        -------
        settings : dict
            ``'fields'`` is a list of what pymilvus's ``add_field`` takes, ``'index'``
            what its ``add_index`` takes. Milvus counts whole bytes; the bits added are
            zero in all codes, so distances are the same.

        Examples
        --------
        >>> from sklhash import PackedCodes
        >>> settings = PackedCodes.from_codes([[1, 0, 1]]).milvus_collection()
        >>> settings["fields"][1]
        {'field_name': 'code', 'datatype': 100, 'dim': 8}
        >>> settings["index"]["metric_type"]
        'HAMMING'
        """
        return milvus_collection(self.n_bits)

    def to_arrow(self, *, ids: ArrayLike | None = None) -> Any:
        """Make an Arrow table of the codes.

        Parameters
        ----------
        ids : array-like of shape (n_samples,), of int, default=None
            A column ``id``; None for none.

        Returns
        -------
        table : pyarrow.Table
            Its column ``code`` is binary of fixed size, ``ceil(n_bits / 8)`` bytes, and
            tells `n_bits` in its metadata. It shares the memory of the codes.

        Raises
        ------
        ImportError
            If pyarrow is not installed.
        TypeError
            If `ids` are no integers.
        ValueError
            If `ids` do not fit the codes.

        Examples
        --------
        >>> from sklhash import PackedCodes
        >>> codes = PackedCodes.from_codes([[1, 0, 0, 0, 0, 0, 1]])
        >>> codes.to_arrow(ids=[7]).to_pylist()
        [{'id': 7, 'code': b'A'}]
        """
        return to_arrow(self.packed, self.n_bits, ids)

    @classmethod
    def from_arrow(cls, table: Any, *, n_bits: int | None = None) -> Self:
        """Read the codes of an Arrow table.

        Parameters
        ----------
        table : pyarrow.Table, or what it can be made of, such as a polars.DataFrame
            Its column ``code`` holds the bytes, as binary of any kind.
        n_bits : int, default=None
            None to read it from the column's metadata, which :meth:`to_arrow` writes.
            Other programs drop it, so give it for a table that comes from them.

        Returns
        -------
        PackedCodes
            It shares the memory of a column that is in one piece.

        Raises
        ------
        ImportError
            If pyarrow is not installed.
        TypeError
            If no table can be made of `table`.
        ValueError
            If there is no such column, a row is null, or a row holds anything but a
            code of this length.

        Examples
        --------
        >>> from sklhash import PackedCodes
        >>> codes = PackedCodes.from_codes([[1, 0, 1], [0, 1, 1]])
        >>> PackedCodes.from_arrow(codes.to_arrow()) == codes
        True
        """
        n_bits = None if n_bits is None else check_n_bits(n_bits)
        return cls(*from_arrow(table, n_bits))

    def to_parquet(
        self, path: str | os.PathLike[str], *, ids: ArrayLike | None = None
    ) -> None:
        """Write the codes to a Parquet file, as the table that :meth:`to_arrow` makes.

        A file of that name is replaced only once the new one is complete.

        Parameters
        ----------
        path : str or path-like
        ids : array-like of shape (n_samples,), of int, default=None
            A column ``id``; None for none.

        Raises
        ------
        ImportError
            If pyarrow is not installed.
        OSError
            If the file cannot be written.
        TypeError
            If `ids` are no integers.
        ValueError
            If `ids` do not fit the codes, or `path` is a folder or a device.

        Examples
        --------
        >>> import tempfile
        >>> from sklhash import PackedCodes
        >>> codes = PackedCodes.from_codes([[1, 0, 1], [0, 1, 1]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     codes.to_parquet(f"{folder}/codes.parquet")
        ...     loaded = PackedCodes.from_parquet(f"{folder}/codes.parquet")
        >>> loaded == codes
        True
        """
        with written_whole(path) as part:
            write_parquet(part, self.packed, self.n_bits, ids)

    @classmethod
    def from_parquet(
        cls, path: str | os.PathLike[str], *, n_bits: int | None = None
    ) -> Self:
        """Read the codes of a Parquet file.

        Parameters
        ----------
        path : str or path-like
        n_bits : int, default=None
            As in :meth:`from_arrow`.

        Returns
        -------
        PackedCodes

        Raises
        ------
        ImportError
            If pyarrow is not installed.
        OSError
            If the file cannot be opened.
        ValueError
            If it is no regular file, holds no codes, as in :meth:`from_arrow`, or is
            damaged.
        """
        n_bits = None if n_bits is None else check_n_bits(n_bits)
        return cls(*read_parquet(path, n_bits))
