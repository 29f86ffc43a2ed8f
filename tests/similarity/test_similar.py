"""Similar pictures are found by features, exactly, whatever the query is."""

from __future__ import annotations

import os
from dataclasses import replace

import fakes
import numpy as np
import pytest

import featx
from featx.errors import ImageSourceError, OptionError, RecipeMismatchError
from featx.features.matrix import as_paths
from featx.similarity.search import nearest
from featx.similarity.space import Space


def made(n=60, columns=12, seed=0, recipe=fakes.RECIPE) -> featx.Features:
    """Make features of three classes up, of pictures that are named by the seed."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    X = 5 + random.normal(size=(3, columns))[labels] + 0.3 * random.normal(size=(n, columns))
    features = fakes.as_features(X, [("cat", "dog", "owl")[each] for each in labels], recipe)
    return replace(features, paths=as_paths([f"{seed}/{path}" for path in features.paths]))


def by_hand(X, query) -> np.ndarray:
    """Return the cosine of each row with a query, both less the mean of the rows."""
    centred, asked = X - X.mean(axis=0), query - X.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1) * np.linalg.norm(asked)
    return centred @ asked / lengths


def test_the_most_similar_rows_come_first_with_the_cosine_without_the_mean():
    features, query = made(), made(4, seed=1)
    found = featx.similar(query, features, 5)
    for row, asked in enumerate(query.X):
        expected = by_hand(features.X.astype(float), asked.astype(float))
        order = np.argsort(-expected)[:5]
        assert found.found[row].tolist() == order.tolist()
        np.testing.assert_allclose(found.similarity[row], expected[order], atol=1e-5)
        assert found.found_paths[row].tolist() == features.paths[order].tolist()
        assert found.found_labels[row].tolist() == features.y[order].tolist()
    assert (len(found), found.n_searched) == (4, 60)


def test_many_queries_and_rows_are_compared_in_blocks_as_all_at_once():
    random = np.random.default_rng(0)
    X = random.normal(size=(5000, 2100)).astype(np.float32)  # more than one block of rows
    queries = np.concatenate([X[:3] + 0.1, random.normal(size=(1100, 2100)).astype(np.float32)])
    space = Space.of(X)
    own = np.full(len(queries), -1)
    own[0] = 0
    found = nearest(X, space, queries, own, 3)
    products = space.unit(queries) @ space.unit(X).T
    products[0, 0] = -2
    expected = np.argsort(-products, axis=1)[:, :3]
    assert (found.rows == expected).all()
    np.testing.assert_allclose(
        found.similarity, np.take_along_axis(products, expected, 1), atol=1e-5
    )


def test_a_row_is_left_out_of_its_own_answer_and_its_copy_is_not():
    features = made()
    X = features.X.copy()
    X[7] = X[4]
    features = replace(features, X=X)
    found = featx.similar(features.paths[4], features, 3)
    assert found.paths.tolist() == [features.paths[4]]
    assert found.found[0, 0] == 7
    assert found.similarity[0, 0] == pytest.approx(1, abs=1e-6)
    assert 4 not in found.found[0]


def test_there_are_no_more_answers_than_rows():
    features = made(3)
    found = featx.similar(features, features, 10)
    assert found.found.shape == (3, 3)
    assert (found.found[:, 2] == -1).all()
    assert np.isnan(found.similarity[:, 2]).all()
    assert found.found_paths[0, 2] is None
    assert len(found.rows) == 6
    alone = featx.similar(features.select([0]), features.select([0]))
    assert alone.rows == []


def test_rows_that_are_no_numbers_are_never_similar():
    features = made()
    features.X[5] = np.nan
    features.X[6, 0] = np.inf
    found = featx.similar(made(2, seed=1), features, 60)
    assert not {5, 6} & set(found.found.ravel().tolist())
    assert (found.found[:, 58:] == -1).all()
    assert np.isfinite(found.similarity[:, :58]).all()


def test_pictures_are_embedded_like_the_features(fake_engine, photos, new_photos):
    features = featx.embed(photos)
    embedded = fake_engine.embedded
    found = featx.similar(new_photos, features, 6)
    assert fake_engine.embedded == embedded + 6
    expected = [[os.path.basename(os.path.dirname(path))] * 6 for path in found.paths]
    assert found.found_labels.tolist() == expected


def test_pictures_that_are_among_the_features_need_no_network(
    fake_engine, photos, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    featx.embed("photos").save("photos.npz")
    opened = len(fake_engine.opened)
    for query in ("photos/red", photos / "red" / "000.png", [str(photos / "blue" / "001.png")]):
        found = featx.similar(query, "photos.npz", 2)
        for path, label in zip(found.paths, found.found_labels, strict=True):
            assert set(label) == {os.path.basename(os.path.dirname(path))}
    assert len(fake_engine.opened) == opened


def test_a_row_is_known_by_other_ways_to_write_its_path(fake_engine, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    features = featx.embed(".", progress=False)
    assert features.paths[0].startswith("./")
    features.save("../photos.npz")
    for among in (features, "../photos.npz"):
        for query in (".", photos, f"../{photos.name}", f"{photos}/../{photos.name}"):
            found = featx.similar(query, among, n=1, progress=False)
            assert (found.found[:, 0] != range(len(features))).all()


def test_a_picture_in_memory_is_not_the_row_of_the_same_name(fake_engine, tmp_path):
    pixels, labels = fakes.draw_array()
    features = featx.embed(pixels, labels=labels)
    own = featx.similar(pixels, features, 1)
    assert (own.found[:, 0] != np.arange(len(pixels))).all()
    features.save(tmp_path / "x.npz")
    again = featx.similar(pixels[::-1].copy(), tmp_path / "x.npz", 1)
    np.testing.assert_allclose(again.similarity, 1, atol=1e-5)


def test_files_that_cannot_be_read_are_told_and_the_others_searched(fake_engine, photos, tmp_path):
    features = featx.embed(photos)
    good, bad = fakes.draw(tmp_path / "a.png", (200, 0, 0)), tmp_path / "b.png"
    bad.write_text("no picture")
    with pytest.warns(featx.ImageSourceWarning, match=r"b\.png"):
        found = featx.similar([good, bad], features, 2)
    assert found.paths.tolist() == [str(good)]
    assert [each.path for each in found.failed] == [str(bad)]
    assert "failed: " in found.summary
    with pytest.raises(ImageSourceError, match=r"cannot be read \(.*b\.png"):
        featx.similar(bad, features)


def test_what_cannot_be_compared_is_refused():
    features = made()
    other = made(recipe=fakes.recipe("xception"))
    elsewhere = made(recipe=None)
    with pytest.raises(RecipeMismatchError, match="the features of the query were made by another"):
        featx.similar(other, features)
    with pytest.raises(RecipeMismatchError, match="the features of the query carry no recipe"):
        featx.similar(elsewhere, features)
    with pytest.raises(RecipeMismatchError, match="among which to look carry no recipe"):
        featx.similar(features, elsewhere)
    with pytest.raises(RecipeMismatchError, match=r"12 columns, .* have 5: expected"):
        featx.similar(elsewhere, made(columns=5, recipe=None))
    with pytest.raises(RecipeMismatchError, match=r"'new\.jpg' cannot be embedded like them: give"):
        featx.similar("new.jpg", elsewhere)
    assert featx.similar(elsewhere.paths[0], elsewhere, 1).found.shape == (1, 1)
    assert len(featx.similar(elsewhere, elsewhere, 1)) == 60


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_n_is_a_whole_number_from_1(n):
    with pytest.raises(OptionError, match=r"expected how many pictures to find"):
        featx.similar(made(), made(), n)


def test_there_is_something_to_search(tmp_path):
    with pytest.raises(OptionError, match="no features to search"):
        featx.similar(made(), made().select([]))
    with pytest.raises(ImageSourceError, match="holds no features"):
        featx.similar(made(), tmp_path)


def test_other_weights_than_those_of_the_features_are_refused(fake_engine, photos, tmp_path):
    weights = tmp_path / "resnet50.h5"
    weights.write_bytes(b"first")
    features = featx.embed(photos, "resnet50", weights=weights)
    new = fakes.draw(tmp_path / "a.png", (200, 0, 0))
    weights.rename(tmp_path / "moved.h5")
    assert len(featx.similar(new, features, 1, weights=tmp_path / "moved.h5")) == 1
    weights.write_bytes(b"second")
    with pytest.raises(RecipeMismatchError, match="the features were made by resnet50 weights"):
        featx.similar(new, features)


def test_results_are_plain_values_a_table_and_a_drawing(fake_engine, photos):
    features = featx.embed(photos)
    found = featx.similar(photos / "red", features, 2)
    assert [each["path"] for each in found.to_dict()["queries"]] == found.paths.tolist()
    assert found.to_frame().shape == (12, 4)
    assert found.to_frame()["label"].tolist() == ["red"] * 12
    figure = found.plot()
    shown = [ax.get_title() for ax in figure.axes]
    assert len(shown) == 6 * 3
    assert shown[0] == os.path.basename(found.paths[0])
    assert shown[1] == f"red\n{found.cells[0][-1]}"
    assert repr(found) == "Similar(2 to each of 6 pictures)"
    assert found.paths[0] in found._repr_html_()
