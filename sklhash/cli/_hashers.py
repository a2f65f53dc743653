"""The hashers by the names that they have on the command line."""

from __future__ import annotations

import ast
from typing import Any

from ._errors import CommandError, did_you_mean

#: Name: class in sklhash, parameters, title, whether it learns from labels.
HASHERS: dict[str, tuple[str, dict[str, Any], str, bool]] = {
    "lsh": ("RandomHyperplaneHashing", {}, "random hyperplanes", False),
    "pcah": ("PCAHashing", {}, "signs of principal components", False),
    "pca-rr": ("PCAHashing", {"rotation": "random"}, "PCA, rotated at random", False),
    "isohash": ("IsotropicHashing", {}, "isotropic hashing", False),
    "itq": ("ITQ", {}, "iterative quantization", False),
    "cca-itq": ("ITQ", {"projection": "cca"}, "iterative quantization, CCA", True),
    "sh": ("SpectralHashing", {}, "spectral hashing", False),
    "sph": ("SphericalHashing", {}, "spherical hashing", False),
    "dsh": ("DensitySensitiveHashing", {}, "density sensitive hashing", False),
    "agh": ("AnchorGraphHashing", {}, "anchor graph hashing", False),
    "ksh": ("KernelSupervisedHashing", {}, "kernel supervised hashing", True),
    "sdh": ("SupervisedDiscreteHashing", {}, "supervised discrete hashing", True),
    "idhn": ("SoftPairwiseHasher", {}, "soft pairwise network", True),
    "uhga": ("UHGAHasher", {}, "unsupervised network", False),
    "ssdh": ("SSDHHasher", {}, "semantic structure network", False),
}

#: Parameters that have options of their own.
OPTIONS = {"n_bits": "--bits", "random_state": "--seed"}


def split_list(texts: list[str]) -> list[str]:
    """Split what was given with commas, with spaces, or with both.

    Parameters
    ----------
    texts : list of str

    Returns
    -------
    names : list of str
    """
    names = (name.strip() for text in texts for name in text.split(","))
    return [name for name in names if name]


def lower_name(spec: str) -> str:
    """Write the name of a hasher, but not its parameters, in lower case."""
    name, colon, params = spec.partition(":")
    return name.lower() + colon + params


def make_hasher(spec: str, **params: Any) -> Any:
    """Build a hasher from its name and, after colons, parameters.

    Parameters
    ----------
    spec : str
        Such as ``itq`` or ``itq:max_iter=100:tol=1e-3``.
    **params : dict
        Further parameters.

    Returns
    -------
    hasher : estimator

    Raises
    ------
    CommandError
        If there is no such hasher or parameter, or a value is out of its range.
    """
    class_name, own, _, _ = _entry(spec)
    hasher = _class(spec, class_name)(**own)
    settings = dict(map(_setting, spec.split(":")[1:]))
    for name in settings:
        if name in OPTIONS:
            raise CommandError(f"{spec!r}: {name} is set by {OPTIONS[name]}")
        if name not in hasher.get_params(deep=False):
            known = sorted(hasher.get_params(deep=False))
            raise CommandError(
                f"{spec!r}: {class_name} has no parameter {name!r}; "
                f"{did_you_mean(name, known)}it has {', '.join(known)}"
            )
    hasher.set_params(**settings, **params)
    try:
        hasher._validate_params()
    except ValueError as error:
        raise CommandError(f"{spec!r}: {error}") from error
    return hasher


def build(spec: str, *, scale: bool = False, **params: Any) -> Any:
    """Build a hasher, on standardised features if that is wanted.

    Parameters
    ----------
    spec : str
    scale : bool, default=False
    **params : dict
        Of the hasher.

    Returns
    -------
    estimator
        The hasher, or a pipeline that ends in it.
    """
    hasher = make_hasher(spec, **params)
    if not scale:
        return hasher
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), hasher)


def as_python(spec: str, n_bits: int, seed: int) -> tuple[str, str]:
    """Write what builds a hasher.

    Parameters
    ----------
    spec : str
    n_bits, seed : int

    Returns
    -------
    class_name : str
    call : str
    """
    class_name, own, _, _ = _entry(spec)
    params = own | dict(map(_setting, spec.split(":")[1:])) | {"random_state": seed}
    given = "".join(f", {name}={value!r}" for name, value in params.items())
    return class_name, f"{class_name}({n_bits}{given})"


def title(spec: str) -> str:
    """Describe a hasher in a few words."""
    return _entry(spec)[2]


def needs_labels(spec: str) -> bool:
    """Tell whether a hasher learns from labels."""
    return _entry(spec)[3]


def check_labels_given(specs: list[str], labels: Any) -> None:
    """Refuse hashers that learn from labels where there are none.

    Parameters
    ----------
    specs : list of str
    labels : array-like or None

    Raises
    ------
    CommandError
    """
    learners = [spec for spec in specs if needs_labels(spec)]
    if labels is None and learners:
        raise CommandError(
            f"{', '.join(learners)} learn{'s' * (len(learners) == 1)} from labels, and "
            "there are none: give --labels, or choose hashers that need none"
        )


def describe_all() -> str:
    """List all names for a help text."""
    lines = [
        f"  {name:9}{entry[2]}{' (learns from labels)' if entry[3] else ''}"
        for name, entry in HASHERS.items()
    ]
    return "\n".join(lines)


def _entry(spec: str) -> tuple[str, dict[str, Any], str, bool]:
    name = spec.split(":")[0].lower()
    if name not in HASHERS:
        raise CommandError(
            f"unknown hasher {name!r}: {did_you_mean(name, HASHERS)}there are "
            f"{', '.join(HASHERS)}"
        )
    return HASHERS[name]


def _class(spec: str, name: str) -> Any:
    import sklhash

    try:
        return getattr(sklhash, name)
    except ModuleNotFoundError as error:  # networks need more than others
        raise CommandError(
            f"{spec!r} needs {error.name}: pip install {error.name}, or choose another "
            "hasher"
        ) from error


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise CommandError(
            f"{text!r} sets no parameter: write NAME:PARAMETER=VALUE, such as "
            "itq:max_iter=100"
        )
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value  # a word, such as range=quantile
