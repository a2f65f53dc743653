"""Write the frozen files of estimators again, and print what a test expects of them.

    python tests/frozen/make.py FOLDER

Only for a new format, and into another folder: files that older versions wrote are kept
to be loaded by newer ones.
"""

import sys
import warnings
from pathlib import Path

import joblib
import numpy as np

import sklhash
from sklhash import HammingRetriever
from sklhash.estimator_files import save_estimator

NET = {"hidden_units": (3,), "max_epochs": 1, "batch_size": 32}
OPTIONS = {
    "AnchorGraphHashing": {"n_anchors": 9, "n_neighbors": 3},
    "KernelSupervisedHashing": {"n_anchors": 9, "max_samples": 40},
    "SupervisedDiscreteHashing": {"n_anchors": 9},
    "SSDHHasher": NET,
    "SoftPairwiseHasher": NET,
    "UHGAHasher": NET,
}
#: Rows that are hashed: the same on every machine.
ROWS = np.sin(np.arange(1.0, 61.0)).reshape(10, 6)


def hasher_names():
    """Names of all public hashers."""
    return [n for n in sklhash.__all__ if hasattr(getattr(sklhash, n), "encode")]


def make_estimators():
    """Fit each hasher, and retrievers, on a few rows."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((60, 6)), np.arange(60) % 3
    X[:, :3] += 2 * np.eye(3)[y]
    made = {}
    for name in hasher_names():
        if name != "HammingRetriever":
            kind, options = getattr(sklhash, name), OPTIONS.get(name, {})
            hasher = kind(n_bits=5, **options)
            if "random_state" in hasher.get_params():
                hasher.set_params(random_state=0)
            made[name] = hasher.fit(X, y)
    for name, rerank in [("HammingRetriever", None), ("reranking", "euclidean")]:
        retriever = HammingRetriever(made["ITQ"], n_neighbors=3, rerank=rerank)
        made[name] = retriever.fit(X, np.array(["a", "b", "c"])[y])
    return made


def answer(estimator):
    """Codes of the rows in hexadecimal digits, or their neighbours and labels."""
    if not isinstance(estimator, HammingRetriever):
        return estimator.encode(ROWS).packed.tobytes().hex()
    positions = estimator.kneighbors(ROWS[:4], return_distance=False)
    return f"{positions.tolist()} {''.join(estimator.predict(ROWS))}"


def main(folder):
    warnings.simplefilter("ignore")  # one epoch teaches little
    for name, estimator in make_estimators().items():
        if hasattr(estimator, "decision_function"):
            assert abs(estimator.decision_function(ROWS)).min() > 1e-6
        save_estimator(estimator, folder / f"{name}_1.skops")
        joblib.dump(estimator, folder / f"{name}_1.joblib", compress=3)
        print(f'    "{name}": "{answer(estimator)}",')


if __name__ == "__main__":
    main(Path(sys.argv[1]))
