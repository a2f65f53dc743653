"""Time exact search by multi-index hashing against scanning, and against faiss.

Three kinds of 64-bit codes are searched for the k nearest, k = 1, 10 and 100, one query
at a time and 100 together, on one thread:

* *fitted*: codes that ITQ gives. The hasher is fitted on rows of a data set, which is
  enlarged by sampling around its rows: a gallery row is a row drawn at random plus
  Gaussian noise of a tenth of each feature's standard deviation. Queries are rows that
  were held out, as they are. Data sets are npz files named by `--data`, with arrays X,
  db_idx and query_idx, or base and query; otherwise rows are generated.
* *mixture*: signs of random projections of a Gaussian mixture, as learned codes look.
* *uniform*: fair coins, which tables cannot help: ``auto`` has to notice.

All are compared alternately: faiss's flat index (if faiss is installed), ``brute``, and
``auto`` after it has settled. Printed are medians of times a query, and of their
ratios. How much tables save depends on the distance of the neighbours, and on how many
codes there are. Run

    python benchmarks/multi_index.py --codes 1e7 --seconds 3 --data sift.npz

for the sizes that matter; without arguments it runs in seconds.
"""

import argparse
import itertools
import time

import numpy as np

from sklhash import ITQ, HammingRetriever, PackedCodes

try:
    import faiss
except ImportError:
    faiss = None

N_BITS, N_QUERIES, CHUNK, NOISE = 64, 300, 100_000, 0.1


def read_rows(path):
    """Give the rows of a data set, and those held out as queries."""
    with np.load(path, allow_pickle=False) as data:
        if "X" in data:
            return data["X"][data["db_idx"]], data["X"][data["query_idx"]]
        return data["base"], data["query"]


def generated_rows(rng):
    """Draw rows from a mixture whose features have less and less variance."""
    centres = rng.standard_normal((200, 64), dtype=np.float32)
    rows = centres[rng.integers(200, size=20_000 + N_QUERIES)]
    rows += rng.standard_normal(rows.shape, dtype=np.float32)
    rows *= np.linspace(2, 0.2, 64, dtype=np.float32)
    return rows[:-N_QUERIES], rows[-N_QUERIES:]


def fitted_codes(rows, queries, n, rng):
    """Encode queries, and n rows sampled around the rows, by ITQ fitted to the rows."""
    rows = rows.astype(np.float32)
    hasher = ITQ(N_BITS, random_state=0).fit(rows[:50_000])
    scale = NOISE * rows.std(axis=0)
    gallery = np.empty((n, N_BITS // 8), np.uint8)
    for start in range(0, n, CHUNK):
        part = rows[rng.integers(len(rows), size=min(CHUNK, n - start))]
        part += scale * rng.standard_normal(part.shape, dtype=np.float32)
        gallery[start : start + CHUNK] = hasher.encode(part).packed
    return hasher.encode(queries[:N_QUERIES].astype(np.float32)).packed, gallery


def mixture_codes(n, rng):
    """Take the signs of 64 random projections of 1,000 Gaussian clusters."""
    projections = rng.standard_normal((64, N_BITS), dtype=np.float32)
    centres = rng.standard_normal((1000, 64), dtype=np.float32)
    codes = np.empty((n + N_QUERIES, N_BITS // 8), np.uint8)
    for start in range(0, len(codes), CHUNK):
        size = min(CHUNK, len(codes) - start)
        part = 0.3 * rng.standard_normal((size, 64), dtype=np.float32)
        part += centres[rng.integers(1000, size=size)]
        codes[start : start + CHUNK] = PackedCodes.from_codes(part @ projections).packed
    return codes[:N_QUERIES], codes[N_QUERIES:]


def uniform_codes(n, rng):
    """Draw every bit by a fair coin."""
    codes = rng.integers(256, size=(n + N_QUERIES, N_BITS // 8), dtype=np.uint8)
    return codes[:N_QUERIES], codes[N_QUERIES:]


def search_of(retriever):
    """Search the public way, validation included."""
    return lambda packed, k: retriever.kneighbors(PackedCodes(packed, N_BITS), k)


def settle(search, n_gallery, queries, k, batch, seconds):
    """Search until 'auto' has chosen: it scans, builds tables, and tries them."""
    stop = time.perf_counter() + seconds / 10 + n_gallery / 2.5e6
    for start in itertools.count(0, batch):
        search(queries[np.arange(start, start + batch) % len(queries)], k)
        if start >= 100 and time.perf_counter() > stop:
            break


def compare(name, queries, gallery, seconds):
    """Time all searches of a gallery, and print what they take."""
    searches = {
        algorithm: HammingRetriever(algorithm=algorithm).fit(
            PackedCodes(gallery, N_BITS)
        )
        for algorithm in ("brute", "auto")
    }
    peers = {key: search_of(retriever) for key, retriever in searches.items()}
    if faiss is not None:
        faiss.omp_set_num_threads(1)
        flat = faiss.IndexBinaryFlat(N_BITS)
        flat.add(gallery)
        peers = {"faiss": flat.search, **peers}
    for batch in (1, 100):
        for k in (1, 10, 100):
            settle(peers["auto"], len(gallery), queries, k, batch, seconds)
            times = measure(peers, queries, k, batch, seconds)
            report(name, len(gallery), batch, k, times)
    print(
        f"{name}: tables of {searches['auto'].index_nbytes_ / 2**20:.0f} MiB",
        flush=True,
    )


def measure(peers, queries, k, batch, seconds):
    """Time all in turn, starting with another one each time; check the distances.

    A turn is one batch, or a run of 20 single queries.
    """
    times, names, kth = {name: [] for name in peers}, list(peers), []
    stop = time.perf_counter() + seconds
    for turn in range(9):
        rows = np.arange(turn * max(batch, 20), (turn + 1) * max(batch, 20))
        parts = np.split(queries[rows % len(queries)], max(1, 20 // batch))
        answers = {}
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.thread_time()
            found = [peers[name](part, k)[0] for part in parts]
            times[name].append((time.thread_time() - start) / len(rows))
            answers[name] = np.vstack(found)
        for distances in answers.values():
            np.testing.assert_array_equal(distances, answers["brute"])
        kth.append(answers["brute"][:, -1].mean())
        if time.perf_counter() > stop and turn >= 2:
            break
    return {name: np.array(spent) for name, spent in times.items()} | {"kth": kth}


def report(name, n, batch, k, times):
    """Print medians of times in microseconds, and of ratios."""
    parts = [
        f"{peer} {1e6 * np.median(times[peer]):.1f} us, ratio to auto "
        f"{np.median(times[peer] / times['auto']):.2f}"
        for peer in times
        if peer not in ("auto", "kth")
    ]
    print(
        f"{name:8} n={n:.0e} {batch:3} together, k={k:3}, k-th at "
        f"{np.mean(times['kth']):4.1f} bits: auto {1e6 * np.median(times['auto']):.1f} "
        f"us; {'; '.join(parts)}",
        flush=True,
    )


def main():
    """Compare all kinds of codes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", nargs="+", default=[None], help="npz files with rows")
    parser.add_argument("--codes", type=float, nargs="+", default=[530_000])
    parser.add_argument("--kinds", nargs="+", default=["fitted", "mixture", "uniform"])
    parser.add_argument("--seconds", type=float, default=0.3, help="of a row, about")
    options = parser.parse_known_args()[0]
    for n in map(int, options.codes):
        rng = np.random.default_rng(0)
        for path in options.data if "fitted" in options.kinds else []:
            rows, held_out = read_rows(path) if path else generated_rows(rng)
            codes = fitted_codes(rows, held_out, n, rng)
            compare("fitted", *codes, options.seconds)
        for kind, make in ("mixture", mixture_codes), ("uniform", uniform_codes):
            if kind in options.kinds:
                compare(kind, *make(n, rng), options.seconds)


if __name__ == "__main__":
    main()
