"""Approximate neighbours against exact ones: recall, time, memory and size of an index.

`python -m tests.benchmarks.neighbours BASE.npz --rows 1000000 --folder /tmp/large` makes so many
features up from real ones (each a mixture of three of them with log-normal noise, in a file of
8 kB a row at 2048 columns, which is removed again), makes an index, and looks for the ten nearest
of 200 further ones. Without --rows the features themselves are searched, but for 200 of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

import featx
from featx.similarity.index import open_index
from featx.similarity.search import nearest
from featx.similarity.space import Space
from tests.benchmarks.peak import peak_bytes

QUERIES, N = 200, 10
BLOCK = 4096


def mixtures(base: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Make features up: (n, columns), float32."""
    shares = random.dirichlet([1, 1, 1], n).astype(np.float32)
    mixed = sum(shares[:, k, None] * base[random.integers(0, len(base), n)] for k in range(3))
    noise = random.standard_normal(mixed.shape, dtype=np.float32)
    return np.asarray(mixed * np.exp(0.5 * noise))


def made_up(base: np.ndarray, rows: int, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write features into a file, and return them mapped, and queries."""
    random = np.random.default_rng(0)
    shape = (rows, base.shape[1])
    X = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, rows, BLOCK):
        end = min(start + BLOCK, rows)
        X[start:end] = mixtures(base, end - start, random)
    X.flush()
    return np.load(file, mmap_mode="r"), mixtures(base, QUERIES, random)


def measured(X: np.ndarray, queries: np.ndarray, folder: Path) -> dict[str, object]:
    """Search by both ways, and compare what they find."""
    own = np.full(len(queries), -1)
    before = peak_bytes()
    began, used = time.perf_counter(), time.process_time()
    open_index(X, folder, progress=True)
    built, built_cpu = time.perf_counter() - began, time.process_time() - used
    peak = peak_bytes()
    began = time.perf_counter()
    index = open_index(X, folder, progress=True)
    opened = time.perf_counter() - began
    space = Space.of(X)
    index.nearest(X, space, queries[:5], own[:5], N)
    began, used = time.perf_counter(), time.process_time()
    found = index.nearest(X, space, queries, own, N)
    search, search_cpu = time.perf_counter() - began, time.process_time() - used
    began, used = time.perf_counter(), time.process_time()
    exact = nearest(X, space, queries, own, N)
    compared, compared_cpu = time.perf_counter() - began, time.process_time() - used
    shared = [len(set(a) & set(b)) for a, b in zip(found.rows, exact.rows, strict=True)]
    [file] = folder.glob("*.usearch")
    return {
        "rows": len(X),
        "columns": X.shape[1],
        "recall": round(float(np.mean(shared)) / N, 4),
        "all_ten": round(float(np.mean([each == N for each in shared])), 3),
        "similarity_of_first_and_tenth": np.median(exact.similarity[:, [0, -1]], axis=0).tolist(),
        "build_seconds": round(built, 1),
        "build_processor_seconds": round(built_cpu, 1),
        "peak_megabytes_before_and_after": [before >> 20, peak >> 20],
        "index_megabytes": round(file.stat().st_size / 1e6),
        "open_seconds": round(opened, 2),
        "query_milliseconds": round(1000 * search / len(queries), 2),
        "query_processor_milliseconds": round(1000 * search_cpu / len(queries), 2),
        "exact_seconds_for_all_queries": round(compared, 2),
        "exact_processor_seconds_for_all_queries": round(compared_cpu, 2),
    }


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("features", metavar="FEATURES", help="a file of features")
    parser.add_argument("--rows", type=int, help="so many, made up of these")
    parser.add_argument("--folder", help="where there is room")
    asked = parser.parse_args()
    base = featx.Features.load(asked.features).matrix
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        if asked.rows:
            X, queries = made_up(base, asked.rows, Path(folder) / "x.npy")
        else:
            order = np.random.default_rng(0).permutation(len(base))
            X, queries = base[order[QUERIES:]], base[order[:QUERIES]]
        print(json.dumps(measured(X, queries, Path(folder) / "index"), indent=2))


if __name__ == "__main__":
    main()
