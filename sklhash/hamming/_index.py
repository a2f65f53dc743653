"""A gallery that is searched again and again: by scanning it, or by tables of it."""

from __future__ import annotations

from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np

from . import _multi_index
from ._answers import TopK, WithinRadius
from ._blocks import Packed
from ._checks import check_codes, check_k, check_n_bits, check_packed, check_radius
from ._multi_index import MAX_TABLE_BITS, MAX_TABLE_CODES, Tables, as_words
from ._numba import kernels_work
from ._threads import n_threads
from ._trials import N_SCANS, N_TRIES, Trials

ALGORITHMS = ("auto", "brute", "multi_index")

#: What 'auto' asks for before it thinks of tables: words of 64 bits in the gallery,
#: gallery codes for each neighbour wanted, and at most so much memory for the tables.
MIN_WORDS, MIN_CODES_PER_NEIGHBOUR, MAX_BYTES = 2**19, 1000, 2**31
#: Queries that 'auto' searches before it thinks again.
BLOCK_QUERIES = 512
#: Queries from which a scan is bound by computing, not by reading the gallery.
MANY_QUERIES = 8
#: Estimated seconds for a code in one table to be built.
BUILD_COST = 5e-8
#: Words of 64 bits that a scan compares in a nanosecond, for few and many queries.
SCAN_RATES = 5.0, 15.0
#: Part of a scan's cost that a query may spend in the tables before it is given up.
BUDGET = 0.6
#: Typed loosely: their keys are an array, or a list of arrays.
Search = Any


class GalleryIndex:
    """Exact search of one gallery by Hamming distance, made for many calls.

    Answers do not depend on the algorithm, nor on the calls before. Tables are built in
    the first search that wants them. The gallery is not copied.

    Parameters
    ----------
    packed : ndarray of shape (n_gallery, n_bytes), dtype uint8
        The gallery; it must not be changed in place.
    n_bits : int
        Code length.
    algorithm : {'auto', 'brute', 'multi_index'}, default='auto'
        ``'brute'`` compares with the whole gallery. ``'multi_index'`` looks queries up
        in tables of substrings of the codes (multi-index hashing [1]_), and compares
        those with the whole gallery for which that is estimated to be cheaper; codes of
        more than 256 bits are always compared. ``'auto'`` measures both: it builds
        tables of a large gallery (half a million words of 64 bits at least, 2 GiB of
        tables at most) once comparing has taken the time that building them is
        estimated to take, and uses them while a search is faster by them. Without
        compiled kernels, where numba is missing or switched off, all compare.

    Attributes
    ----------
    nbytes : int
        Memory of the tables; 0 before they are built.

    Notes
    -----
    Tables of m substrings of about log2(n_gallery) bits (16 at least, 24 at most) take
    m (4 + 8 W) bytes a code for codes of W = 1 or 2 words of 64 bits, which are copied
    into the order of the tables, and 4 m bytes for longer ones, plus 4.125 * 2**width
    bytes for each substring. Codes that are one substring are not copied, 4 bytes a
    code; those of 3 or 4 words whose bytes are no multiple of 8 are copied once, 8 W
    bytes. 10,000,000 codes of 64 bits thus take 0.4 GB in three tables.

    Times are measured, so which queries 'auto' looks up in tables may differ from run
    to run; the answers do not. Objects may be used by several threads; pickles hold the
    gallery without its tables.

    References
    ----------
    .. [1] M. Norouzi, A. Punjani, D. J. Fleet, "Fast search in Hamming space with
       multi-index hashing", CVPR 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sklhash.hamming import GalleryIndex
    >>> gallery = np.array([[0b0111], [0b0001], [0b0000]], np.uint8)
    >>> index = GalleryIndex(gallery, n_bits=4)
    >>> index.top_k(np.array([[0b0011]], np.uint8), 2)
    (array([[1, 1]], dtype=int32), array([[0, 1]]))
    """

    def __init__(self, packed: Packed, *, n_bits: int, algorithm: str = "auto") -> None:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be in {ALGORITHMS}; got {algorithm!r}")
        check_packed(packed, "packed")
        check_n_bits(n_bits, packed)
        self.n_bits, self.algorithm = n_bits, algorithm
        # Replaced as a whole, so that a search sees tables that fit the gallery.
        self._state: tuple[Packed, Tables | None] = packed, None
        self._trials: dict[Any, Trials] = {}
        self._debt = 0.0  # seconds of scanning codes that are in no table
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "packed": self.packed,
            "n_bits": self.n_bits,
            "algorithm": self.algorithm,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        # mypy fears for subclasses with another signature; there are none.
        self.__init__(**state)  # type: ignore[misc]

    @property
    def packed(self) -> Packed:
        """The gallery: ndarray of shape (n_gallery, n_bytes), dtype uint8."""
        return self._state[0]

    @property
    def nbytes(self) -> int:
        """Memory of the tables now."""
        packed, tables = self._state
        return 0 if tables is None else _multi_index.nbytes(tables, packed)

    def extend(self, packed: Packed) -> None:
        """Take a gallery that has grown: all rows of the old one, then new ones.

        New rows are compared with each query until that has taken the time that
        building the tables anew is estimated to take.

        Parameters
        ----------
        packed : ndarray of shape (n_gallery, n_bytes), dtype uint8
            The whole gallery; the first rows are those known already.

        Raises
        ------
        ValueError
            If there are fewer rows than before, or of another length.
        """
        check_packed(packed, "packed")
        with self._lock:
            old, tables = self._state
            if len(packed) < len(old) or packed.shape[1:] != old.shape[1:]:
                raise ValueError(
                    f"packed has shape {packed.shape}, which does not extend the "
                    f"gallery of shape {old.shape}: give the old rows and the new ones"
                )
            self._state = packed, tables
            self._trials = {}

    def top_k(self, queries: Packed, k: int, *, n_jobs: int | None = None) -> Any:
        """Find the k nearest gallery codes, as :func:`sklhash.hamming.top_k` does.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_bytes), dtype uint8
        k : int
            1 to n_gallery.
        n_jobs : int, default=None
            Threads, as in joblib.

        Returns
        -------
        distances : ndarray of shape (n_queries, k), dtype int32
            In bits, ascending.
        positions : ndarray of shape (n_queries, k), dtype intp
            Equal distances are ordered by position.
        """
        check_codes(queries, self.packed)
        check_k(k, len(self.packed))
        return self._search(TopK(k), queries, n_jobs)

    def within_radius(
        self, queries: Packed, radius: float, *, n_jobs: int | None = None
    ) -> Any:
        """Find all codes within a radius: :func:`sklhash.hamming.within_radius`.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_bytes), dtype uint8
        radius : int or float
            In bits, inclusive.
        n_jobs : int, default=None
            Threads, as in joblib.

        Returns
        -------
        indptr : ndarray of shape (n_queries + 1,), dtype intp
            The answers of query i stand at ``indptr[i]:indptr[i + 1]``.
        distances : ndarray of shape (n_found,), dtype int32
            In bits, ascending for each query.
        positions : ndarray of shape (n_found,), dtype intp
            Equal distances are ordered by position.
        """
        check_codes(queries, self.packed)
        check_radius(radius)
        return self._search(WithinRadius(radius), queries, n_jobs)

    def _search(self, search: Search, queries: Packed, n_jobs: Any) -> Any:
        if len(queries) == 0 or not self._tables_may_pay(search):
            return search.scan(queries, self.packed, n_jobs)
        if self.algorithm == "multi_index":
            return self._search_tables(search, queries, n_jobs)
        if len(queries) <= BLOCK_QUERIES:
            return self._search_auto(search, queries, n_jobs)
        return search.join(
            [
                self._search_auto(search, queries[i : i + BLOCK_QUERIES], n_jobs)
                for i in range(0, len(queries), BLOCK_QUERIES)
            ]
        )

    def _tables_may_pay(self, search: Search) -> bool:
        n_codes, n_words = len(self.packed), -(-self.n_bits // 64)
        possible = self.n_bits <= MAX_TABLE_BITS and 0 < n_codes <= MAX_TABLE_CODES
        if self.algorithm == "brute" or not possible:
            return False
        if self.algorithm == "auto" and (
            n_codes * n_words < MIN_WORDS
            or n_codes < MIN_CODES_PER_NEIGHBOUR * search.n_wanted
            or _multi_index.table_bytes(n_codes, self.n_bits) > MAX_BYTES
        ):
            return False
        return kernels_work()

    def _search_tables(
        self, search: Search, queries: Packed, n_jobs: int | None
    ) -> Any:
        """Look all queries up, within what a scan is estimated to cost."""
        if self._state[1] is None or self._debt > self._build_cost():
            self._build(n_jobs, wait=True)
        words = len(self.packed) * -(-self.n_bits // 64)
        rate = SCAN_RATES[len(queries) >= MANY_QUERIES]
        trials = Trials(words / rate / 1e9, N_SCANS, n_looked=N_TRIES)
        return self._answer(search, queries, n_jobs, trials)

    def _search_auto(self, search: Search, queries: Packed, n_jobs: int | None) -> Any:
        """Search by what has been the cheaper, and note what it costs."""
        if self._debt > self._build_cost():
            self._build(n_jobs, wait=False)
        size = min(len(queries), MANY_QUERIES).bit_length()
        key = search.kind, size, n_threads(n_jobs)
        trials = self._trials.setdefault(key, Trials())
        return self._answer(search, queries, n_jobs, trials)

    def _answer(
        self,
        search: Search,
        queries: Packed,
        n_jobs: int | None,
        trials: Trials,
    ) -> Any:
        """Look up the queries for which trials speak for it, and scan for others."""
        packed, tables = self._state
        n_looked = 0 if tables is None else trials.n_for_tables(len(queries))
        if tables is None or n_looked == 0:
            return self._scan(search, queries, packed, n_jobs, trials)
        if n_looked < len(queries):
            parts = queries[:n_looked], queries[n_looked:]
            return search.join(
                [self._answer(search, part, n_jobs, trials) for part in parts]
            )
        start = perf_counter()
        budget = 1e9 * BUDGET * trials.scan_cost
        keys, answered = search.look_up(tables, as_words(queries), budget, n_jobs)
        done, left = np.flatnonzero(answered), np.flatnonzero(~answered)
        n_known = int(tables.n_codes)
        if len(left):
            keys = search.select(keys, done)
        if n_known < len(packed) and len(done):
            new = self._scan(search, queries[done], packed[n_known:], n_jobs, None)
            keys = search.merge(keys, new, n_known)
        trials.note_tables(perf_counter() - start, len(queries), len(left))
        if len(done) == 0:
            return self._scan(search, queries, packed, n_jobs, trials)
        scanned = None
        if len(left):
            scanned = self._scan(search, queries[left], packed, n_jobs, trials)
        return search.assemble(done, keys, left, scanned)

    def _scan(
        self,
        search: Search,
        queries: Packed,
        packed: Packed,
        n_jobs: int | None,
        trials: Trials | None,
    ) -> Any:
        """Compare with all codes given, and note what it costs."""
        start = perf_counter()
        answers = search.scan(queries, packed, n_jobs)
        seconds = perf_counter() - start
        if trials is not None:
            trials.note_scan(seconds, len(queries))
        gallery, tables = self._state
        n_new = len(gallery) - (0 if tables is None else int(tables.n_codes))
        self._debt += seconds * min(1, n_new / len(packed))
        return answers

    def _build(self, n_jobs: int | None, wait: bool) -> None:
        """Build tables of the whole gallery, unless another thread is at it."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            packed, tables = self._state
            if tables is None or len(packed) > int(tables.n_codes):
                tables = _multi_index.build(packed, self.n_bits, n_jobs)
                # Whoever measures look-ups shall not measure the loading of the kernel.
                _multi_index.look_up(tables, as_words(packed[:1]), 1)
                self._state = packed, tables
                for trials in list(self._trials.values()):
                    trials.forget_tables()
            self._debt = 0.0
        finally:
            self._lock.release()

    def _build_cost(self) -> float:
        n_codes = len(self.packed)
        return BUILD_COST * n_codes * len(_multi_index.substrings(n_codes, self.n_bits))
