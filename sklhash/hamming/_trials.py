"""What scans and look-ups in tables have cost, and which of them is to be preferred."""

from __future__ import annotations

from dataclasses import dataclass

#: Scans that are timed, and queries that are tried in the tables, before one of them is
#: preferred; and scanned queries after which the tables are tried again.
N_SCANS, N_TRIES, N_RETRY = 2, 32, 4096
#: Share of a scan's cost up to which tables are preferred: between other work, which
#: leaves them less of the cache, they lose more than a scan does.
MARGIN = 0.75


@dataclass
class Trials:
    """Costs of searches that are alike, in seconds.

    Parameters
    ----------
    scan_cost : float
        Of a query: the least seen, as other load only adds to it.
    n_scans : int
        Scans that were timed.
    table_cost : float
        Of all queries looked up; scans for those given up are not in it.
    n_looked, n_given_up : int
        Queries looked up, and those of them that had to be scanned after all.
    n_scanned : int
        Queries scanned since the tables were tried.
    """

    scan_cost: float = 0.0
    n_scans: int = 0
    table_cost: float = 0.0
    n_looked: int = 0
    n_given_up: int = 0
    n_scanned: int = 0

    def note_scan(self, seconds: float, n_queries: int) -> None:
        """Take the time of a scan for some queries into account."""
        cost = seconds / n_queries
        self.scan_cost = min(cost, self.scan_cost) if self.n_scans else cost
        self.n_scans += 1
        self.n_scanned += n_queries

    def note_tables(self, seconds: float, n_queries: int, n_given_up: int) -> None:
        """Take the time of looking some queries up into account."""
        # A look-up that other load interrupted shall not decide alone.
        self.table_cost += min(seconds, 2 * self.scan_cost * n_queries)
        self.n_looked += n_queries
        self.n_given_up += n_given_up

    def forget_tables(self) -> None:
        """Try the tables anew."""
        self.table_cost, self.n_looked, self.n_given_up, self.n_scanned = 0.0, 0, 0, 0

    def n_for_tables(self, n_queries: int) -> int:
        """Tell how many of the next queries are to be looked up in the tables."""
        if self.n_scans < N_SCANS:
            return 0
        if self.n_scanned >= N_RETRY:
            self.forget_tables()
        if self.n_looked < N_TRIES:
            return min(n_queries, N_TRIES - self.n_looked)
        cost = self.table_cost + self.n_given_up * self.scan_cost
        return n_queries if cost < MARGIN * self.n_looked * self.scan_cost else 0
