"""
===========================================
Search texts by meaning, in 64 bits a text
===========================================

Latent semantic analysis turns texts into a few dozen numbers, and a hasher turns those
into bits. Here the texts are scikit-learn's own documentation, which lies on every
machine that runs this: the question is put in plain words, and the answer is a function
or a class.
"""

# %%
# Texts
# -----
# Of each public class and function of scikit-learn, what its docstring says before it
# comes to the parameters.

import inspect

from sklearn.utils.discovery import all_estimators, all_functions


def description(thing):
    """Give the first paragraphs of a docstring on one line."""
    text = (inspect.getdoc(thing) or "").split("Parameters\n---")[0]
    return " ".join(text.split())


texts = {name: description(thing) for name, thing in all_estimators() + all_functions()}
texts = {name: text for name, text in texts.items() if text}
names = list(texts)
print(f"{len(names)} texts, {sum(len(t.split()) for t in texts.values())} words")

# %%
# From words to 64 numbers
# ------------------------
# Rare words weigh more, 64 dimensions keep what words have in common, and each text is
# scaled to length one.

from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

semantics = make_pipeline(
    TfidfVectorizer(sublinear_tf=True, stop_words="english", min_df=2),
    TruncatedSVD(64, random_state=0),
    Normalizer(),
)
X = semantics.fit_transform(list(texts.values()))  # (n_texts, 64)

# %%
# Ask
# ---
# The retriever finds the 50 nearest codes and orders them by the cosine of the 64
# numbers.

from sklhash import ITQ, HammingRetriever

itq = ITQ(64, random_state=0)
search = HammingRetriever(itq, rerank="cosine", n_candidates=50).fit(X)
questions = [
    "how good is a ranking",
    "impute missing values",
    "clusters of any shape, found by density",
    "draw a confusion matrix",
]
answers = {}
for question in questions:
    positions = search.kneighbors(
        semantics.transform([question]), n_neighbors=5, return_distance=False
    )
    answers[question] = [names[i] for i in positions[0]]
    print(f"{question}?\n    {', '.join(answers[question])}")

# %%
# How much is lost?
# -----------------
# The reference are the ten texts of highest cosine. Recall@10 is the share of them that
# the search finds.

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sklhash import RandomHyperplaneHashing

nearest = NearestNeighbors(n_neighbors=10, metric="cosine").fit(X)
exact = nearest.kneighbors(return_distance=False)


def recall(hasher, **options):
    """Give the share of the exact neighbours that a retriever finds."""
    found = HammingRetriever(hasher, **options).fit(X).kneighbors()[1]
    hits = [np.isin(row, truth).mean() for row, truth in zip(found, exact, strict=True)]
    return np.mean(hits)


lengths = [16, 32, 64]
shortlist = {"rerank": "cosine", "n_candidates": 50}
recalls = {
    "ITQ, 50 candidates by cosine": [
        recall(ITQ(n, random_state=0), **shortlist) for n in lengths
    ],
    "ITQ, codes alone": [recall(ITQ(n, random_state=0)) for n in lengths],
    "random hyperplanes, codes alone": [
        recall(RandomHyperplaneHashing(n, random_state=0)) for n in lengths
    ],
}

# %%
# What the search compares
# ------------------------
# Below: the code of a question and the six nearest codes, bit by bit. Bits that differ
# are orange; the distance is their number.

import matplotlib.pyplot as plt
from matplotlib.colors import ListedColormap

question = questions[0]
code = search.encode(semantics.transform([question]))
by_codes = HammingRetriever().fit(search.gallery_codes_)
distances, positions = by_codes.kneighbors(code, n_neighbors=6)
bits = np.vstack([code.unpack(), search.gallery_codes_[positions[0]].unpack()])
picture = np.where(bits == bits[0], bits, 2)
labels = [
    f"“{question}?”",
    *(f"{names[i]}, {d}" for i, d in zip(positions[0], distances[0], strict=True)),
]

fig, (top, bottom) = plt.subplots(
    2, 1, figsize=(9.5, 6.5), height_ratios=[1.3, 1], layout="constrained"
)
for (name, values), style in zip(recalls.items(), ["o-", "s--", "^:"], strict=True):
    top.plot(lengths, values, style, label=name)
top.set_xscale("log", base=2)
top.set_xticks(lengths, [str(n_bits) for n_bits in lengths])
top.set(xlabel="bits per code", ylabel="recall@10", ylim=(0, 1.03))
top.set_title("Texts of highest cosine that are found")
top.legend(loc="lower right")
bottom.pcolormesh(
    picture,
    cmap=ListedColormap(["0.93", "0.45", "#e69f00"]),
    edgecolors="white",
    linewidth=1,
)
bottom.invert_yaxis()
bottom.set_yticks(np.arange(len(labels)) + 0.5, labels)
bottom.tick_params(left=False)
bottom.spines[:].set_visible(False)
bottom.set(xticks=[], title="Codes, 64 bits: name and distance in bits")
plt.show()

# %%
# What this shows
# ---------------
# Eight bytes a text find seven in ten of what 64 floats find, and a shortlist of a
# tenth of the texts nearly all of it. ITQ loses less than random hyperplanes do here.
# The search knows nothing of grammar: it finds texts that share words, or whose words
# go together elsewhere.

assert {"dcg_score", "ndcg_score"} & set(answers["how good is a ranking"])
assert any("Imputer" in name for name in answers["impute missing values"])
assert "DBSCAN" in answers["clusters of any shape, found by density"]
reranked, codes, hyperplanes = (np.array(values) for values in recalls.values())
assert np.all(reranked > codes + 0.05)
assert np.all(codes > hyperplanes + 0.05)
assert reranked[-1] > 0.9
