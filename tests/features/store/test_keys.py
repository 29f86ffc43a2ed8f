"""Keys are found where they are, whatever else is there."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.features.store.keys import KeyTable, KeyTables, as_keys
from featx.features.store.shard import held_shard

few_words = st.lists(st.sampled_from([b"\0" * 8, b"a" * 8, b"b" * 8]), min_size=4, max_size=4)
alike = few_words.map(b"".join)  # many of these have the same number


def shard(keys, notes=None):
    vectors = np.zeros((len(keys), 1), np.float32)
    return held_shard("held", keys, notes or [""] * len(keys), vectors)


def places(found, count):
    """Return the number of the shard and the row of each key."""
    assert len(found.numbers) == count
    return list(zip(found.numbers.tolist(), found.rows.tolist(), strict=True))


@given(st.lists(st.lists(alike, max_size=6), max_size=5), st.lists(alike, max_size=9))
def test_the_first_row_of_a_key_is_found_and_no_other_key(shards, asked):
    truth = {}
    for number, keys in enumerate(filter(None, shards)):
        for row, key in enumerate(keys):
            truth.setdefault(key, (number, row))
    expected = [truth.get(key, (-1, -1)) for key in asked]
    wanted = as_keys([key.hex() for key in asked])
    held = tuple(shard(keys) for keys in shards if keys)
    assert places(KeyTable(held).find(wanted), len(asked)) == expected
    tables = KeyTables()
    for count in range(len(held) + 1):
        found = tables.find(held[:count], wanted)
    assert places(found, len(asked)) == expected
    of_shards = {id(each): positions.tolist() for each, positions in found.by_shard()}
    for number, each in enumerate(held):
        here = [place for place, (at, _) in enumerate(expected) if at == number]
        assert of_shards.get(id(each), []) == here


def test_shards_that_come_and_go_are_followed():
    tables = KeyTables()
    shards = [shard([hashlib.sha256(b"%d" % number).digest()]) for number in range(50)]
    asked = as_keys([hashlib.sha256(b"%d" % number).hexdigest() for number in range(50)])
    for last in (10, 11, 12, 50, 30):
        numbers = tables.find(tuple(shards[:last]), asked).numbers
        assert numbers.tolist() == [*range(last)] + [-1] * (50 - last)
    kept = (*shards[:3], *shards[7:])
    numbers = tables.find(kept, asked).numbers
    assert numbers.tolist() == [0, 1, 2, -1, -1, -1, -1, *range(3, 46)]


@pytest.mark.parametrize("digests", [["00"], ["00" * 31, "00" * 34], ["no digest"]])
def test_what_is_no_digest_is_refused(digests):
    with pytest.raises(ValueError, match=r"digests of another length|hexadecimal"):
        as_keys(digests)
