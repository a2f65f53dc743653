"""What a comparison found: tidy records, and the tables made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._bootstrap import MAX_BCA, BootstrapInterval, paired_bootstrap
from ._lookup import check_method, find_method, find_metric
from ._summary import Record, summarize
from ._tables import html_table, text_report, text_table

#: A run: name of a hasher or reference, code length (None for floats), split.
Run = tuple[str, int | None, int]
#: For each metric the scores of a run's queries.
RunScores = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class HasherComparison:
    """Scores, times and sizes of several hashers, as from :func:`compare_hashers`.

    Printed, it is a table of the first metric; in a notebook, one of all metrics.

    Parameters
    ----------
    metrics : tuple of str
    n_bits : tuple of int
        Code lengths.
    hashers, references : tuple of str
        Names of the hashers, and of the distances of floats.
    n_splits : int
    complete : bool
        False if the comparison was stopped by Ctrl-C.
    data : dict
        `n_samples`, `n_features`; `n_train`, `n_gallery`, `n_queries`, means over the
        splits; `queries_without_relevant`, summed over the splits, which no mean
        counts; `relevance`, in words; `ties`, `normalize`, `code_distance`.
    records : list of dict
        One a run, ordered by split, hasher and code length, references last: `hasher`,
        `n_bits` (None for references), `split`, each metric, `fit_time` and
        `encode_time` of the gallery in seconds (NaN for references), `bytes_per_item`
        (of codes, packed; of floats, as X holds them: a frame by its columns' types, a
        sparse matrix on average), `error` (None, or why it failed; the scores are NaN
        then).
    query_rows : tuple of ndarray of shape (n_queries,)
        Row numbers of the queries of each split.
    run_scores : dict
        For (hasher, n_bits, split) of each run that did not fail, a dict of each
        metric's scores a query: arrays of shape (n_queries,), dtype float64, NaN for
        queries without a relevant row.

    See Also
    --------
    compare_hashers : Make one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import ITQ, RandomHyperplaneHashing
    >>> from sklhash.model_selection import compare_hashers
    >>> X, y = load_digits(return_X_y=True)
    >>> hashers = {"ITQ": ITQ(), "LSH": RandomHyperplaneHashing()}
    >>> comparison = compare_hashers(hashers, X, y, n_bits=[16, 32], metrics="map")
    >>> print(comparison.table())
    hasher     16 bits       32 bits
    ITQ     0.630 ±0.011  0.659 ±0.005
    LSH     0.352 ±0.035  0.486 ±0.005
    >>> print(comparison.interval("ITQ", "LSH", n_bits=32))
    +0.172 (95 % interval +0.162 to +0.182; 880 queries)
    """

    metrics: tuple[str, ...]
    n_bits: tuple[int, ...]
    hashers: tuple[str, ...]
    references: tuple[str, ...]
    n_splits: int
    complete: bool
    data: dict[str, Any]
    records: list[Record]
    query_rows: tuple[NDArray[np.intp], ...] = field(repr=False)
    run_scores: dict[Run, RunScores] = field(repr=False)

    def summary(self) -> list[Record]:
        """Mean and spread over the splits.

        Returns
        -------
        rows : list of dict
            One for each hasher and code length, and each reference: `hasher`, `n_bits`,
            for each metric its mean and, as ``<metric>_sd``, its standard deviation
            (that of the runs, not an estimate for others), `fit_time`, `encode_time`,
            `bytes_per_item`, `n_runs` (runs that are averaged) and `error` (of the
            first run that failed, or None). NaN where there is no run.
        """
        methods: list[tuple[str, int | None]] = [
            (name, n_bits) for name in self.hashers for n_bits in self.n_bits
        ]
        methods += [(name, None) for name in self.references]
        return summarize(self.records, methods, self.metrics)

    def table(self, metric: str | None = None) -> str:
        """Format one metric: a row a hasher, a column a code length.

        Parameters
        ----------
        metric : str, default=None
            None for the first one.

        Returns
        -------
        str
        """
        return text_table(self, find_metric(self.metrics, metric))

    def __str__(self) -> str:
        return text_report(self)

    def _repr_html_(self) -> str:
        return html_table(self)

    def to_pandas(self, level: str = "summary") -> Any:
        """Turn the results into a pandas frame.

        Parameters
        ----------
        level : {'summary', 'runs'}, default='summary'
            A row for each hasher and code length, or one for each run.

        Returns
        -------
        pandas.DataFrame
            Columns as in `summary` or `records`; `n_bits` is missing for references.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install pandas") from error
        return pd.DataFrame(self._rows(level)).astype({"n_bits": "Int64"})

    def to_polars(self, level: str = "summary") -> Any:
        """Turn the results into a polars frame.

        Parameters
        ----------
        level : {'summary', 'runs'}, default='summary'
            A row for each hasher and code length, or one for each run.

        Returns
        -------
        polars.DataFrame
            Columns as in `summary` or `records`; `n_bits` is null for references.

        Raises
        ------
        ImportError
            If polars is not installed.
        """
        try:
            import polars as pl
        except ImportError as error:
            raise ImportError("to_polars needs polars: pip install polars") from error
        types = {"n_bits": pl.Int64, "error": pl.String}
        # All rows tell the types: the first hundred may miss those of references.
        return pl.DataFrame(
            self._rows(level), schema_overrides=types, infer_schema_length=None
        )

    def _rows(self, level: str) -> list[Record]:
        if level not in ("summary", "runs"):
            raise ValueError(f"level must be 'summary' or 'runs'; got {level!r}")
        return self.summary() if level == "summary" else self.records

    def query_scores(
        self,
        hasher: str,
        n_bits: int | None = None,
        metric: str | None = None,
        split: int | None = None,
    ) -> NDArray[np.float64]:
        """Scores a query of one hasher, or reference.

        Parameters
        ----------
        hasher : str
            Name of a hasher or reference.
        n_bits : int, default=None
            Code length; None for references.
        metric : str, default=None
            None for the first one.
        split : int, default=None
            Number of the split; None for all of them, one after the other.

        Returns
        -------
        scores : ndarray of shape (n_queries,), dtype float64
            In the order of `query_rows`; NaN for queries without a relevant row, and
            for runs that failed or were not reached.
        """
        metric = find_metric(self.metrics, metric)
        check_method((hasher, n_bits), self.hashers, self.references, self.n_bits)
        return np.concatenate(
            [
                self.run_scores[hasher, n_bits, i][metric]
                if (hasher, n_bits, i) in self.run_scores
                else np.full(len(self.query_rows[i]), np.nan)
                for i in self._splits(split)
            ]
        )

    def _splits(self, split: int | None) -> range:
        if split is None:
            return range(self.n_splits)
        if not 0 <= split < self.n_splits:
            raise ValueError(
                f"split must be from 0 to {self.n_splits - 1}; got {split}"
            )
        return range(split, split + 1)

    def interval(
        self,
        first: str | tuple[str, int],
        second: str | tuple[str, int],
        *,
        n_bits: int | None = None,
        metric: str | None = None,
        confidence_level: float = 0.95,
        n_resamples: int = 9999,
        random_state: Any = 0,
    ) -> BootstrapInterval:
        """Confidence interval of the difference of two methods, over queries.

        Parameters
        ----------
        first, second : str, or tuple (name, n_bits)
            A hasher, alone or with its code length, or a reference.
        n_bits : int, default=None
            Code length of a hasher that is given by name alone; may be left out if
            there is but one.
        metric : str, default=None
            None for the first one.
        confidence_level, n_resamples, random_state
            As in :func:`paired_bootstrap`.

        Returns
        -------
        interval : BootstrapInterval
            Over the splits that both methods have scores of. A row that is a query in
            several splits is resampled with all its scores. Each score weighs the same,
            where the tables weigh each split the same: with splits of unequal numbers
            of queries the differences are not quite equal.

            By the method BCa up to 5,000 queries, whose time grows with their square;
            beyond, where skewed differences matter little, by percentiles.

        Raises
        ------
        ValueError
            If there is no such method or metric, the code length is left open, or fewer
            than two queries have scores of both.
        TypeError
            If a method is given otherwise.
        """
        methods = (
            find_method(method, n_bits, self.references, self.n_bits)
            for method in (first, second)
        )
        scores = [self.query_scores(*method, metric) for method in methods]
        rows = np.concatenate(self.query_rows)
        return paired_bootstrap(
            *scores,
            groups=rows,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            method="BCa" if len(np.unique(rows)) <= MAX_BCA else "percentile",
            random_state=random_state,
        )
