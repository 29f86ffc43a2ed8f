"""Views go along with their pictures; vectors of several networks or layers are joined."""

from __future__ import annotations

import json
from collections import Counter

import fakes
import numpy as np
import pytest
from PIL import Image, ImageOps

import featx
from featx.backbones.backbone import Backbone
from featx.errors import OptionError, RecipeMismatchError
from featx.features.formats import SUFFIXES
from featx.features.options import settle
from featx.features.recipe import Recipe, join
from featx.features.request import Request
from featx.features.store.cache import contents
from featx.files import cache_folder

pytestmark = pytest.mark.filterwarnings("ignore:the weights of")

OPTIONS = {"weights": "random", "progress": False}


@pytest.fixture
def photos(tmp_path):
    return fakes.draw_folder(tmp_path / "photos", each=3)


def joined(*recipes: Recipe) -> Recipe:
    """Return the recipe of several networks, one after the other."""
    return Recipe(tuple(part for recipe in recipes for part in recipe.parts))


# -- Views ---------------------------------------------------------------------------------------


def test_a_view_is_the_vector_of_the_picture_that_it_shows(photos, fake_engine, tmp_path):
    features = featx.embed(photos, "resnet50", views=1, **OPTIONS)
    mirrored = []
    for number, path in enumerate(features.paths):
        file = tmp_path / f"{number}.png"
        with Image.open(path) as image:
            ImageOps.mirror(image).save(file)
        mirrored.append(file)
    expected = featx.embed(mirrored, "resnet50", **OPTIONS)
    assert len(features.views) == 1
    assert np.allclose(features.views[0], expected.X, atol=1)  # squares of uneven sides
    assert features.X.tobytes() == featx.embed(photos, "resnet50", **OPTIONS).X.tobytes()


def test_views_are_cached_and_more_of_them_cost_only_what_is_new(photos, fake_engine, tmp_path):
    counts = []
    for views in (2, 2, 3, 0):
        before = fake_engine.embedded
        features = featx.embed(photos, "resnet50", views=views, **OPTIONS)
        assert len(features.views) == views
        counts.append(fake_engine.embedded - before)
    assert counts == [3 * 9, 0, 9, 0]


def test_a_picture_counts_as_embedded_where_anything_of_it_was(photos, fake_engine):
    def statuses(*words, **options):
        features = featx.embed(photos, *words, **options, **OPTIONS)
        return {outcome.status for outcome in features.outcomes}

    assert statuses("resnet50") == {"embedded"}
    assert statuses("resnet50", views=1) == {"embedded"}
    assert statuses("resnet50", views=1) == {"cached"}
    assert statuses("resnet50+xception") == {"embedded"}
    assert statuses("resnet50+xception") == {"cached"}


def test_views_share_one_engine(photos, fake_engine):
    featx.embed(photos, "resnet50", views=3, **OPTIONS)
    assert len(fake_engine.opened) == 1


def test_views_follow_a_selection_of_rows_and_a_picture_that_fails(photos, fake_engine):
    (photos / "blue" / "001.png").write_bytes(b"")
    features = featx.embed(photos, "resnet50", views=2, **OPTIONS)
    assert [view.shape for view in features.views] == [features.X.shape] * 2
    some = features.select([4, 1])
    assert some.views[1].tobytes() == features.views[1][[4, 1]].tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_views_survive_a_file_as_further_rows_of_the_same_paths(
    photos, fake_engine, tmp_path, suffix
):
    features = featx.embed(photos, "resnet50", views=2, **OPTIONS)
    features.save(tmp_path / f"all{suffix}")
    loaded = featx.Features.load(tmp_path / f"all{suffix}")
    assert loaded.paths.tolist() == features.paths.tolist()
    assert loaded.y.tolist() == features.y.tolist()
    assert np.array_equal(loaded.X, features.X)
    assert np.array_equal(loaded.views, features.views)


@pytest.mark.parametrize("views", [-1, 65, 1.5, "2"])
def test_a_number_of_views_that_cannot_be_is_told(photos, fake_engine, views):
    with pytest.raises(OptionError, match="expected a whole number from 0 to 64"):
        featx.embed(photos, "resnet50", views=views, **OPTIONS)


# -- Joined vectors ------------------------------------------------------------------------------


def test_joined_vectors_are_those_of_each_network_brought_to_length_1(photos, fake_engine):
    features = featx.embed(photos, "resnet50+xception", **OPTIONS)
    parts = featx.embed(photos, ["resnet50", "xception"], **OPTIONS)
    expected = [each.X / np.linalg.norm(each.X, axis=1, keepdims=True) for each in parts]
    assert np.array_equal(features.X, np.concatenate(expected, axis=1))
    assert features.X.dtype == np.float32
    assert features.recipe == joined(*(each.recipe for each in parts))
    assert features.recipe.backbone == "resnet50+xception"


def test_joined_networks_use_the_cache_of_each_part_and_decode_once(photos, fake_engine, touched):
    featx.embed(photos, "resnet50", **OPTIONS)
    touched.clear()
    before = fake_engine.embedded
    featx.embed(photos, "resnet50+xception", **OPTIONS)
    assert fake_engine.embedded - before == 9, "xception alone"
    assert Counter(what for what, _ in touched) == {"read": 9, "decoded": 9}
    assert set(touched.values()) == {1}, touched
    assert len(contents(cache_folder())) == 2


def test_layers_of_one_network_are_joined(photos, fake_engine):
    features = featx.embed(photos, "resnet50", layer="conv3_block4_out+conv4_block6_out", **OPTIONS)
    assert features.X.shape == (9, 18)
    assert features.recipe.backbone == "resnet50"
    assert features.recipe.layer == "conv3_block4_out+conv4_block6_out"


def test_views_are_joined_as_the_pictures_are(photos, fake_engine):
    features = featx.embed(photos, "resnet50+xception", views=1, **OPTIONS)
    parts = featx.embed(photos, ["resnet50", "xception"], views=1, **OPTIONS)
    assert np.array_equal(features.views[0], join([each.views[0] for each in parts]))


def test_a_vector_of_zeros_stays_one():
    assert join([np.zeros((2, 3), np.float32), np.ones((2, 1), np.float32)])[0].tolist() == [
        *(0, 0, 0),
        1,
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet50+"}, "backbone 'resnet50\\+': expected different names"),
        ({"backbone": "vgg16+vgg16"}, "expected different names"),
        ({"backbone": "vgg16+vgg61"}, "unknown backbone 'vgg61'"),
        ({"backbone": "vgg16+vgg19", "pooling": "none"}, "cannot be joined"),
        ({"backbone": "vgg16+vgg19", "layer": "a+b"}, "not both"),
    ],
)
def test_what_cannot_be_joined_is_told_before_anything_is_embedded(fake_engine, options, message):
    backbone = options.pop("backbone")
    with pytest.raises(featx.FeatxError, match=message):
        Request.of(backbone, settle({"weights": "random", **options}))


def test_a_recipe_of_several_parts_survives_json_and_files(photos, fake_engine, tmp_path):
    features = featx.embed(photos, "resnet50+xception", **OPTIONS)
    recipe = features.recipe
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    features.save(tmp_path / "joined.npz")
    assert featx.Features.load(tmp_path / "joined.npz").recipe == recipe


def test_features_of_other_parts_are_refused_with_both_named():
    one, two, three = (fakes.recipe(name, input_size=32) for name in ("fox", "owl", "cat"))
    both = joined(one, two)
    both.require(joined(one, two), "these")
    with pytest.raises(RecipeMismatchError, match="backbone cat, expected owl"):
        both.require(joined(one, three), "these")
    with pytest.raises(RecipeMismatchError, match="expected fox"):
        both.require(one, "these")
    with pytest.raises(RecipeMismatchError, match="expected fox"):
        one.require(both, "these")
    assert both.fingerprint != joined(two, one).fingerprint


def test_a_network_of_ones_own_has_views_too(photos, fake_engine):
    own = Backbone("own", "1" * 64, 16, 8, "none/1", preprocess=np.asarray)
    assert len(featx.embed(photos, own, views=2, progress=False).views) == 2
