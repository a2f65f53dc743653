"""Hashers as ONNX files."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sklhash._extras import require
from sklhash.code_files import written_whole

from ._conversion import to_torch

#: Types that the rows given to an ONNX file may have.
DTYPES = {"float64": torch.float64, "float32": torch.float32, "uint8": torch.uint8}


def to_onnx(
    hasher: Any,
    path: str | os.PathLike[str],
    *,
    output: str = "codes",
    dtype: str = "float64",
) -> None:
    """Write a fitted hasher to an ONNX file, which gives the same codes.

    The file is whole, with all weights, and runs without sklhash and PyTorch, as in
    ONNX Runtime. Its input is ``rows``, batches of any size; its output has the name of
    `output`. The code length is in its metadata, ``n_bits``. Needs the extra ``onnx``.

    Parameters
    ----------
    hasher : estimator
        As in :func:`~sklhash.to_torch`.
    path : str or path
        Whatever its suffix, the format is ONNX's binary one. An existing file is
        replaced, once the new one is whole.
    output : {'codes', 'projections', 'packed'}, default='codes'
        As in :func:`~sklhash.to_torch`.
    dtype : {'float64', 'float32', 'uint8'}, default='float64'
        Of the rows that the file takes. It computes in the precision of
        :func:`~sklhash.to_torch` whatever this is.

    Raises
    ------
    ImportError
        If onnx or onnxscript is not installed.
    TypeError
        If the formula of the estimator, or of a step before it, is not known here.
    ValueError
        If `output` or `dtype` is none of these.
    sklearn.exceptions.NotFittedError

    Notes
    -----
    What :func:`~sklhash.to_torch` says of rounding holds here, too: the runtime adds up
    in its own order. The file is at most 2 GiB large; for a larger network call
    :func:`torch.onnx.export` on the module.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import ITQ
    >>> from sklhash import to_onnx
    >>> X, _ = load_digits(return_X_y=True)
    >>> itq = ITQ(n_bits=16, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "itq.onnx"
    ...     to_onnx(itq, path, dtype="float32")
    ...     path.stat().st_size < 30_000
    True
    """
    onnx = require("onnx", "onnx", "to_onnx")
    require("onnxscript", "onnx", "to_onnx")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {tuple(DTYPES)}; got {dtype!r}")
    module = to_torch(hasher, output=output)
    with torch.device("cpu"), _quiet_exporter():
        rows = torch.zeros(2, *module.shape, dtype=DTYPES[dtype])
        model = _export(module, rows)
    for node in model.graph.node:
        node.ClearField("metadata_props")  # names of files on this machine
    onnx.helper.set_model_props(model, {"n_bits": str(module.n_bits)})
    with written_whole(path) as part:
        onnx.save(model, part, format="protobuf")


def _export(module: Any, rows: torch.Tensor) -> Any:
    program: Any = torch.onnx.export(
        module,
        (rows,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("n_samples")},),
        input_names=["rows"],
        output_names=[module.output],
        verbose=False,
    )
    return program.model_proto


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Leave out what PyTorch 2.13 says of itself, and of operators of torchvision's."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")

    def is_of_us(record: logging.LogRecord) -> bool:
        return "torchvision is not installed" not in record.getMessage()

    message = r"`isinstance\(treespec, LeafSpec\)` is deprecated"
    logger.addFilter(is_of_us)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message, FutureWarning)
            yield
    finally:
        logger.removeFilter(is_of_us)
