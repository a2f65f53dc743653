"""Numbers and names as people read them."""

from __future__ import annotations

import sys
from contextlib import suppress

import numpy as np

PAPER_NAMES = {"map": "mAP", "ndcg": "nDCG", "acg": "ACG", "wap": "WAP"}


def say(text: str) -> None:
    """Tell the user something that is no result."""
    with suppress(OSError):  # nobody may be there to read it
        print(f"sklhash: {text}", file=sys.stderr)


def bytes_in_words(n_bytes: float) -> str:
    """Give a size in the unit that suits it, of powers of ten.

    Parameters
    ----------
    n_bytes : float

    Returns
    -------
    text : str
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def seconds_in_words(seconds: float) -> str:
    """Give a time in the unit that suits it.

    Parameters
    ----------
    seconds : float

    Returns
    -------
    text : str
    """
    if not np.isfinite(seconds):
        return "–"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds / 60:,.0f} min"


def score_in_words(mean: float, sd: float | None = None, digits: int = 3) -> str:
    """Give a score without its leading zero, and its spread.

    Parameters
    ----------
    mean : float
    sd : float, default=None
        Left out if there is none.
    digits : int

    Returns
    -------
    text : str
    """
    if mean != mean:
        return "–"
    text = _number(mean, digits)
    return text if sd is None or sd != sd else f"{text} ± {_number(sd, digits)}"


def metric_in_words(metric: str) -> str:
    """Write a metric as papers do.

    Parameters
    ----------
    metric : str
        Such as ``"ndcg@100"``.

    Returns
    -------
    text : str
    """
    name, at, k = metric.partition("@")
    return PAPER_NAMES.get(name, name) + at + k


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    text = text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
    return text.replace("-", "−")
