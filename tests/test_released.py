"""Files of featx 0.1.0 mean what they meant: recipes, cached and saved features, models."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import fakes
import numpy as np
import pytest

import featx
from featx.backbones.backbone import Backbone
from featx.features.formats import FORMAT, SUFFIXES
from featx.features.matrix import Features, as_paths
from featx.features.options import settle
from featx.features.recipe import Recipe, RecipePart
from featx.features.request import Request
from featx.features.store.cache import contents
from featx.features.store.store import FeatureStore
from featx.images.decode import Outcome

RELEASED = Path(__file__).parent / "released"
RECIPES = json.loads((RELEASED / "recipes.json").read_text())

pytestmark = pytest.mark.filterwarnings("ignore:the weights of")


# -- Recipes -------------------------------------------------------------------------------------


def name_of(row) -> str:
    name = row["backbone"] if isinstance(row["backbone"], str) else row["backbone"]["name"]
    return " ".join([name, *(f"{key}={value}" for key, value in row["options"].items())])


@pytest.mark.parametrize("row", RECIPES, ids=name_of)
def test_the_same_options_are_the_same_recipe(row, fake_engine):
    """On a machine that computes in both precisions, as the one that wrote them did."""
    backbone = row["backbone"]
    if isinstance(backbone, dict):
        backbone = Backbone(**backbone, preprocess=np.asarray)
    request = Request.of(backbone, settle(row["options"]))
    assert request.views == row["views"]
    assert request.recipe.fingerprint == row["fingerprint"]
    assert request.recipe.to_dict() == row["recipe"]
    assert str(request.recipe) == row["text"]
    parts = [part for _, part in request.parts]
    assert [part.fingerprint for part in parts] == [each["fingerprint"] for each in row["parts"]]
    assert [part.to_dict() for part in parts] == [each["recipe"] for each in row["parts"]]
    assert [str(part) for part in parts] == [each["text"] for each in row["parts"]]


@pytest.mark.parametrize("row", RECIPES, ids=name_of)
def test_a_recipe_that_was_written_is_read(row):
    recipe = Recipe.from_dict(row["recipe"])
    assert recipe.fingerprint == row["fingerprint"]
    assert str(recipe) == row["text"]
    assert recipe.to_dict() == row["recipe"]
    assert list(recipe.to_dict()) == list(row["recipe"]), "in another order than in older files"
    for each in row["parts"]:
        part = RecipePart.from_dict(each["recipe"])
        assert (part.fingerprint, str(part)) == (each["fingerprint"], each["text"])
        assert list(part.to_dict().items()) == list(each["recipe"].items())


# -- The cache -----------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path):
    """A copy of the cache, as it may be written to."""
    return Path(shutil.copytree(RELEASED / "cache", tmp_path / "cache"))


def shards(cache: Path) -> list[Path]:
    return sorted(cache.glob("features/*/*.arrow"))


def test_nothing_of_an_older_cache_is_embedded_again(cache, fruit):
    before = shards(cache)
    options = {"input_size": 8, "views": 1, "cache": cache, "progress": False}
    features = featx.embed(fruit / "test", "pixels", **options)
    X, view = np.load(RELEASED / "pixels.npy")
    assert {outcome.status for outcome in features.outcomes} == {"cached"}
    assert (len(features), features.X.dtype) == (len(X), np.float32)
    assert np.array_equal(features.X, X)
    assert np.array_equal(features.views[0], view)
    assert shards(cache) == before
    folder = cache / "features" / features.recipe.fingerprint
    speed = json.loads((folder / "speed.json").read_text())["images_per_second"]
    assert features.images_per_second == speed


def test_an_older_cache_is_sound_and_says_what_it_holds(cache):
    held = contents(cache)
    X, _ = np.load(RELEASED / "pixels.npy")
    assert [each.damages for each in held] == [(), ()]
    assert [each.rows for each in held] == [len(X), len(X)]
    line = "pixels, none pooling, 8 px squash bilinear, weights pixels-1"
    assert {each.text for each in held} == {line, line.replace(", weights", ", view 1/1, weights")}
    for each in held:
        part = RecipePart.from_dict(each.settings)
        assert part.fingerprint == each.fingerprint
        assert len(FeatureStore(cache, part)) == len(X)


# -- Saved features ------------------------------------------------------------------------------

PATHS = [f"photos/{name}/{number}.jpg" for name in ("ant", "bee") for number in range(3)]
OUTCOMES = (
    *(
        Outcome("cached", notes=("rotated as EXIF says", "alpha on white") * (row == 1), path=path)
        for row, path in enumerate(PATHS)
    ),
    Outcome("failed", reason="empty file", path="photos/ant/9.jpg"),
)
ONE = fakes.recipe("resnet50", "0" * 64, 224)
TWO = fakes.recipe("xception", "1" * 64, 299, "tf/1")
PIXELS = fakes.recipe("pixels", "pixels-1", 8, pooling="none")
CALIBRATION = "acde4e37f9b4b3ed2d510550c91b495cab524b6ef2762124ea6d41b49c1c0fa5"
INT8 = fakes.recipe("resnet50", "0" * 64, 224, precision="int8", calibration=CALIBRATION)
BOTH = Recipe(ONE.parts + TWO.parts)
TABLE = np.round(np.random.default_rng(0).normal(size=(6, 5)), 3).astype(np.float32)


def test_files_of_every_format_are_held():
    assert {f"one{suffix}" for suffix in SUFFIXES} <= {
        path.name for path in (RELEASED / "features").iterdir()
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saved_features_are_loaded_with_all_that_describes_them(suffix):
    features = Features.load(RELEASED / "features" / f"one{suffix}")
    assert (features.X.shape, features.X.dtype) == ((6, 5), np.float32)
    assert np.array_equal(features.X, TABLE)
    assert features.paths.tolist() == PATHS
    assert features.y.tolist() == ["ant"] * 3 + ["bee"] * 3
    assert features.outcomes == OUTCOMES
    assert features.recipe == ONE
    assert (features.n_other, features.weights, features.views) == (2, "imagenet", ())
    assert features.images_per_second == 31.5


def test_saved_features_of_joined_networks_are_loaded_with_their_view():
    features = Features.load(RELEASED / "features" / "joined.npz")
    assert np.array_equal(features.X, TABLE)
    assert np.array_equal(features.views, [TABLE + 1])
    assert features.paths.tolist() == PATHS
    assert features.y.tolist() == ["ant"] * 3 + ["bee"] * 3
    assert features.outcomes == OUTCOMES
    assert features.recipe == BOTH
    assert (features.n_other, features.weights) == (0, "random")
    assert math.isnan(features.images_per_second)


def test_a_table_that_r_edited_is_loaded_with_what_describes_its_rows():
    with pytest.warns(UserWarning, match="holds 3 of the 6 rows that were saved"):
        features = Features.load(RELEASED / "features" / "edited.csv")
    rows = [4, 0, 2]
    assert np.array_equal(features.X, TABLE[rows])
    assert features.paths.tolist() == [PATHS[row] for row in rows]
    assert features.y.tolist() == ["bee", "ant", "ant"]
    assert features.outcomes == tuple(OUTCOMES[row] for row in sorted(rows))
    assert features.recipe == ONE


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saved_features_of_format_2_are_loaded_with_their_name_and_views(suffix):
    features = Features.load(RELEASED / "features" / f"two{suffix}")
    assert np.array_equal(features.X, TABLE)
    assert np.array_equal(features.views[0], TABLE + 1)
    assert features.paths.tolist() == PATHS
    assert features.y.tolist() == ["ant"] * 3 + ["bee"] * 3
    assert (features.outcomes, features.recipe, features.name) == (OUTCOMES, ONE, "clip")


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_saved_features_of_format_3_are_loaded_with_their_calibration(suffix):
    features = Features.load(RELEASED / "features" / f"int8{suffix}")
    assert np.array_equal(features.X, TABLE)
    assert features.recipe == INT8
    (calibration,) = features.calibrations
    assert calibration.digest == CALIBRATION
    assert (calibration.network, calibration.n_pictures) == ("resnet50", 128)
    assert [each.high.tolist() for each in calibration.ranges] == [[2.75]]


def test_saved_maps_are_loaded_in_their_shape():
    features = Features.load(RELEASED / "features" / "map.npz")
    assert np.array_equal(features.X, TABLE.reshape(6, 1, 5, 1))
    assert features.paths.tolist() == PATHS
    assert (features.y, features.recipe, features.outcomes) == (None, None, ())


@pytest.mark.parametrize("name", ["one.csv", "one.npy"])
def test_features_are_saved_again_byte_for_byte(name, tmp_path):
    before = RELEASED / "features"
    Features.load(before / name).save(tmp_path / name)
    assert (tmp_path / name).read_bytes() == (before / name).read_bytes()
    again, once = (
        json.loads((folder / f"{name}.json").read_bytes()) for folder in (tmp_path, before)
    )
    for key in ("rows", "description_checksum", "pictures"):  # what later formats have
        again.pop(key, None)
    assert (again.pop("format"), once.pop("format")) == (FORMAT, 1)
    del again["checksum"], once["checksum"]
    assert json.dumps(again) == json.dumps(once)


# -- Models --------------------------------------------------------------------------------------

MODELS = RELEASED / "models"
EXPECTED = json.loads((MODELS / "expected.json").read_text())
RECIPE_OF = {"joined_views": BOTH, "cnn": PIXELS, "int8": INT8}
NAMES = [
    pytest.param(name, marks=pytest.mark.keras) if name == "cnn" else name for name in EXPECTED
]


def new_features(recipe: Recipe, views: int) -> Features:
    """Put the rows together that the older version predicted the labels of."""
    inputs = np.load(MODELS / "inputs.npz")
    new = inputs["pixels"] if recipe.backbone == "pixels" else inputs["new"]
    paths = as_paths([f"{row}.jpg" for row in range(len(new))])
    return Features(new, None, paths, recipe=recipe, views=(new + 0.1, new)[:views])


def test_models_of_every_format_are_held():
    files = {path.stem: fakes.about(path)["format"] for path in MODELS.glob("*.featx")}
    assert files.keys() == EXPECTED.keys()
    assert set(files.values()) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_predicts_what_it_predicted(name):
    model = featx.load(MODELS / f"{name}.featx")
    features = new_features(model.recipe, model.views)
    assert model.predict(features).tolist() == EXPECTED[name]["predict"]
    assert model.predict_proba(features) == pytest.approx(
        np.array(EXPECTED[name]["proba"]), rel=0, abs=1e-6
    )
    strange, expected = model.predictions(features).unfamiliarity, EXPECTED[name]
    assert (strange is None) == ("unfamiliarity" not in expected)
    assert strange is None or strange == pytest.approx(expected["unfamiliarity"], abs=1e-4)


def test_a_model_of_format_5_has_its_card_and_an_older_one_what_can_be_known():
    card = featx.load(MODELS / "card.featx").card
    assert (card.classifier, card.date) == ("logistic", "2026-11-27")
    assert card.counts == {"ant": 6, "bee": 6, "cat": 6}
    assert card.to_dict() == fakes.about(MODELS / "card.featx")["card"]
    assert card.measured.method == "tested on 9 other pictures"
    assert card.validation.method.endswith("5 folds, 2 times, 9 groups kept together")
    assert card.versions.keys() >= {"featx", "scikit-learn"}
    older = featx.load(MODELS / "familiar.featx").card
    assert (older.counts, older.measured, older.date) == (None, None, None)
    assert older.versions == {
        "scikit-learn": fakes.about(MODELS / "familiar.featx")["scikit-learn"]
    }


def test_a_model_of_format_5_finds_the_nearest_of_the_pictures_that_it_keeps():
    examples = featx.load(MODELS / "pictures.featx").examples
    assert examples.labels == ("ant", "ant", "bee", "bee", "cat", "cat")
    assert [each.pixels.shape for each in examples.nearest(np.ones((1, 9)), 6)[0]] == [
        (6, 8, 3)
    ] * 6
    nearest = examples.nearest(new_features(ONE, 0), 2)
    for found, expected in zip(nearest, EXPECTED["pictures"]["nearest"], strict=True):
        assert [each.label for each in found] == [label for label, _ in expected]
        assert [each.similarity for each in found] == pytest.approx([each for _, each in expected])


@pytest.mark.parametrize("name", NAMES)
def test_a_model_says_of_itself_what_it_said_and_is_saved_as_such(name, tmp_path):
    about = fakes.about(MODELS / f"{name}.featx")
    model = featx.load(MODELS / f"{name}.featx")
    assert model.recipe == RECIPE_OF.get(name, ONE)
    assert model.recipe.to_dict() == about["recipe"]
    assert list(model.classes) == about["classes"] == ["ant", "bee", "cat"]
    assert model.views == about.get("views", 0) == (2 if name == "joined_views" else 0)
    assert (model.rejection is not None) == ("rejection" in about) == (name == "reject")
    assert [each.digest for each in model.calibrations] == [CALIBRATION] * (name == "int8")
    model.save(tmp_path / "again.featx")
    again = fakes.about(tmp_path / "again.featx")
    assert again | {"scikit-learn": None} == about | {"scikit-learn": None}
    features = new_features(model.recipe, model.views)
    assert featx.load(tmp_path / "again.featx").predict_proba(features) == pytest.approx(
        model.predict_proba(features), rel=0, abs=1e-9
    )
