"""How packages that are optional are imported."""

from importlib import import_module
from typing import Any


def require(module: str, extra: str, purpose: str) -> Any:
    """Import an optional package, or say how to get it.

    Parameters
    ----------
    module : str
        What is imported, such as ``'pyarrow.parquet'``.
    extra : str
        The extra of sklhash that installs it.
    purpose : str
        What needs it, such as ``'PackedCodes.to_faiss'``.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # it is installed, and misses something itself
        raise ImportError(
            f'{purpose} needs {package}: pip install "sklhash[{extra}]"'
        ) from error
