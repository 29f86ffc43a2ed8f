"""Blocks hold all rows in order, and a memory map gives its pages back after each."""

from pathlib import Path

import numpy as np
import pytest

from featx.features.blocks import row_blocks


@pytest.mark.parametrize("shape", [(10, 4), (10, 2, 2, 1)])
def test_blocks_hold_all_rows_or_some(shape):
    X = np.arange(40, dtype=np.float32).reshape(shape)
    rows, values = zip(*row_blocks(X, most=3), strict=True)
    assert [len(each) for each in rows] == [3, 3, 3, 1]
    assert np.array_equal(np.concatenate(values), X.reshape(10, 4))
    some = np.array([1, 4, 7, 9])
    rows, values = zip(*row_blocks(X, some, most=3), strict=True)
    assert np.concatenate(rows).tolist() == some.tolist()
    assert np.array_equal(np.concatenate(values), X.reshape(10, 4)[some])


def test_a_block_is_a_copy():
    X = np.zeros((4, 3), np.float32)
    for _, values in row_blocks(X):
        values += 1
    assert not X.any()


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_what_was_written_to_a_memory_map_stays(tmp_path, mode):
    np.save(tmp_path / "X.npy", np.ones((6, 3), np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode=mode)
    if mode != "r":
        X[2] = 5
    for _ in row_blocks(X[1:], most=2):
        pass
    assert X.sum() == (18 if mode == "r" else 30)


def resident(path):
    """Return the bytes of a mapped file that are in the memory of this process."""
    inside, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux says it")
def test_pages_of_a_memory_map_do_not_stay_in_memory(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, np.ones((4096, 256), np.float32))
    X = np.load(path, mmap_mode="r")
    assert X.sum(dtype=float) == 4096 * 256
    assert resident(path) >= 4 << 20  # a sum reads it as ever
    assert {resident(path) for _ in row_blocks(X, most=256)} == {0}
