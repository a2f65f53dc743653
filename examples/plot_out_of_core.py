"""
==========================================
Rows on disk, codes on disk, search anyway
==========================================

The rows need not fit into memory, and neither need their codes. A hasher reads a memory
map in batches, writes codes into another, and galleries are searched shard by shard.
The answers are the same as if all had been in memory.
"""

# %%
# Rows in a file
# --------------
# A file of 40,000 rows of 64 floats: noisy points around a hundred centres. It is
# written chunk by chunk, as a stream would be.

import tempfile
from pathlib import Path

import numpy as np

folder = tempfile.TemporaryDirectory()
path = Path(folder.name)

n_rows, n_features, n_chunks = 40_000, 64, 8
rng = np.random.RandomState(0)
centres = rng.standard_normal((100, n_features))
rows = np.lib.format.open_memmap(
    path / "rows.npy", mode="w+", dtype=np.float32, shape=(n_rows, n_features)
)
chunks = [slice(start, start + 5000) for start in range(0, n_rows, 5000)]
group = rng.randint(len(centres), size=n_rows)
for chunk in chunks:
    noise = rng.standard_normal((5000, n_features))
    rows[chunk] = centres[group[chunk]] + 0.7 * noise
rows.flush()

# %%
# Learn from chunks
# -----------------
# ``partial_fit`` keeps what it needs of each chunk, a covariance and a sample of rows,
# and learns from that; no chunk is needed twice. Within float rounding, the directions
# are those of a fit to all rows at once, whatever the chunks.

from sklhash import ITQ

X = np.load(path / "rows.npy", mmap_mode="r")
hasher = ITQ(32, random_state=0)
for chunk in chunks:
    hasher.partial_fit(X[chunk])

# %%
# Encode from map to map
# ----------------------
# ``encode`` reads batches of 8192 rows, and ``out`` says where the codes go: four bytes
# a row instead of 256.

from sklhash import PackedCodes

packed = np.lib.format.open_memmap(
    path / "packed.npy", mode="w+", dtype=np.uint8, shape=(n_rows, 4)
)
codes = hasher.encode(X, out=packed)
print(f"{X.nbytes / 1e6:.1f} MB of rows, {codes.nbytes / 1e6:.2f} MB of codes")

# %%
# Shards
# ------
# ``save`` writes codes without pickles, ``load`` can map them. Each of the four files
# could lie on a machine of its own; here they lie side by side.

shards = []
for i, part in enumerate(np.array_split(np.arange(n_rows), 4)):
    shards.append(path / f"shard{i}.npy")
    codes[part].save(shards[-1])
print(PackedCodes.load(shards[0], mmap_mode="r"))

# %%
# One search, three ways
# ----------------------
# In the whole gallery; in all shards by one call; and in each shard by itself, the
# answers merged afterwards, as several machines would do it.

from sklhash import HammingRetriever, merge_neighbors, search_shards

queries = hasher.encode(X[:200])
whole = HammingRetriever().fit(codes).kneighbors(queries, n_neighbors=10)
together = search_shards(queries, shards, n_neighbors=10)
parts = [
    HammingRetriever()
    .fit(PackedCodes.load(shard, mmap_mode="r"))
    .kneighbors(queries, n_neighbors=10)
    for shard in shards
]
merged = merge_neighbors(parts, [n_rows // 4] * 4)

# %%
# How the answers come together
# -----------------------------
# Left: what the rows take on disk, and what their codes take. Right: the ten nearest
# codes to one query in each shard, by their distances in bits, and below the merged
# answer, in the colours of the shards it is from.

import matplotlib.pyplot as plt
from matplotlib.colors import ListedColormap

query = 2
shard_of = merged[1][query] // (n_rows // 4)
cells = np.vstack([np.full((4, 10), np.arange(4)[:, None]), shard_of])
distances = np.vstack([*(part[0][query] for part in parts), merged[0][query]])

fig, (left, right) = plt.subplots(
    1, 2, figsize=(10, 3.6), width_ratios=[1, 2], layout="constrained"
)
sizes = {"rows\n64 floats": X.nbytes / 1e6, "codes\n32 bits": codes.nbytes / 1e6}
bars = left.bar(list(sizes), list(sizes.values()), color=["0.6", "#d55e00"])
left.bar_label(bars, fmt="%.2f MB", padding=2)
left.set(ylabel="size, MB", title=f"{n_rows:,} rows", ylim=(0, 12))

colors = ListedColormap(["#56b4e9", "#e69f00", "#66c2a0", "#e3a3c8"])
right.pcolormesh(cells, cmap=colors, edgecolors="white", linewidth=2)
right.axhline(4, color="black", linewidth=1.5)
for (row, column), distance in np.ndenumerate(distances):
    right.text(column + 0.5, row + 0.5, distance, ha="center", va="center")
right.invert_yaxis()
right.set_yticks(np.arange(5) + 0.5, [*(shard.name for shard in shards), "merged"])
right.set_xticks(np.arange(10) + 0.5, range(1, 11))
right.tick_params(length=0)
right.spines[:].set_visible(False)
right.set(xlabel="place in the ranking", title="Distances of the nearest codes, bits")
plt.show()

# %%
# What this shows
# ---------------
# The three searches agree to the last position, and the codes written to disk are those
# that ``encode`` gives in memory. Fitted to all rows at once, ITQ gives the same codes
# but for a few bits.

for answer in (together, merged):
    np.testing.assert_array_equal(answer[0], whole[0])
    np.testing.assert_array_equal(answer[1], whole[1])
assert codes == hasher.encode(np.array(X))
at_once = ITQ(32, random_state=0).fit(X).transform(X)
assert np.mean(at_once != codes.unpack()) < 0.01
assert np.mean(group[whole[1]] == group[:200, None]) > 0.95

del X, rows, packed, codes, whole, parts
folder.cleanup()
