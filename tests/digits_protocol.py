"""The protocol that the tests' mAP figures on the digits share."""

import numpy as np
from sklearn.model_selection import train_test_split

from sklhash import HammingRetriever


def mean_map(hasher, X, y, n_splits=5, **retriever_params):
    """Mean mAP over stratified splits, a fifth of the rows as queries.

    The split's number seeds the split and the hasher; a row is relevant to a query of
    its class; the whole ranking counts, averaged over all orders of tied rows.
    """
    scores = []
    for seed in range(n_splits):
        X_gallery, X_query, y_gallery, y_query = train_test_split(
            X, y, test_size=0.2, stratify=y, random_state=seed
        )
        hasher.set_params(random_state=seed)
        retriever = HammingRetriever(hasher, **retriever_params)
        retriever.fit(X_gallery, y_gallery)
        scores.append(retriever.score(X_query, y_query))
    return np.mean(scores)
