"""Names that a comparison is asked for."""

from __future__ import annotations


def find_hasher(hashers: tuple[str, ...], name: str | None) -> str:
    """Give a hasher's name, the only one's for None.

    Parameters
    ----------
    hashers : tuple of str
    name : str or None

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such hasher, or None and several.
    """
    if name is None and len(hashers) == 1:
        return hashers[0]
    if name is None or name not in hashers:
        names = ", ".join(map(repr, hashers))
        raise ValueError(f"name one of the hashers {names}; got {name!r}")
    return name


def find_metric(metrics: tuple[str, ...], metric: str | None) -> str:
    """Give a metric's name, the first one's for None.

    Parameters
    ----------
    metrics : tuple of str
    metric : str or None

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the comparison has no such metric.
    """
    if metric is None:
        return metrics[0]
    if metric not in metrics:
        raise ValueError(
            "metric must be one of those that were compared, "
            f"{', '.join(map(repr, metrics))}; got {metric!r}"
        )
    return metric
