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


def find_method(
    method: str | tuple[str, int],
    n_bits: int | None,
    references: tuple[str, ...],
    lengths: tuple[int, ...],
) -> tuple[str, int | None]:
    """Give a method's name and code length.

    Parameters
    ----------
    method : str, or tuple (name, n_bits)
    n_bits : int or None
        Of a hasher given by name alone; None for the only one of `lengths`.
    references : tuple of str
    lengths : tuple of int

    Returns
    -------
    name : str
    n_bits : int or None
        None for references.

    Raises
    ------
    TypeError
        If it is neither a name nor a pair.
    """
    if isinstance(method, str):
        if method in references:
            return method, None
        is_open = n_bits is None and len(lengths) == 1
        return method, lengths[0] if is_open else n_bits
    if not isinstance(method, (tuple, list)) or len(method) != 2:
        raise TypeError(
            f"a method is given by its name, or as (name, n_bits); got {method!r}"
        )
    return method[0], method[1]


def check_method(
    method: tuple[str, int | None],
    hashers: tuple[str, ...],
    references: tuple[str, ...],
    lengths: tuple[int, ...],
) -> None:
    """Refuse what was not compared.

    Parameters
    ----------
    method : tuple (name, n_bits)
    hashers, references : tuple of str
    lengths : tuple of int

    Raises
    ------
    ValueError
        If there is no such hasher or reference, or not with so many bits.
    """
    name, n_bits = method
    if name not in (*hashers, *references):
        names = ", ".join(map(repr, (*hashers, *references)))
        raise ValueError(f"no method is called {name!r}: use one of {names}")
    there = (None,) if name in references else lengths
    if n_bits not in there:
        raise ValueError(
            f"n_bits of {name!r} must be {' or '.join(map(str, there))}; got {n_bits}"
        )
