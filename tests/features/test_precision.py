"""bfloat16 where the processor has it, float32 elsewhere, and never one under the other's name."""

from __future__ import annotations

import fakes
import numpy as np
import pytest

import featx
from featx.backbones.engines.choice import ENGINES, EngineSpec, registered
from featx.errors import RecipeMismatchError
from featx.features.options import settle
from featx.features.recipe import RecipePart
from featx.features.request import Request
from featx.features.run import run as run_requests
from featx.images.folder import ImageFolder


class Rounded(fakes.FakeEngine):
    """The fake engine, whose vectors show the precision."""

    def __init__(self, request):
        super().__init__(request)
        if request.cut.precision == "bfloat16":
            self.offset += np.float32(0.25)


@pytest.fixture
def fake_engine():
    with fakes.install(Rounded):
        yield fakes.FakeEngine


def opened() -> list[str]:
    """The precisions that engines were opened for."""
    return [request.cut.precision for request in fakes.FakeEngine.opened]


def part(backbone, **options) -> RecipePart:
    (one,) = Request.of(backbone, settle(options)).recipe.parts
    return one


def test_fast_is_scaled_decoding_and_bfloat16(backbone):
    slow, fast = part(backbone), part(backbone, fast=True)
    assert (slow.square.decode, slow.cut.precision) == ("full", "float32")
    assert (fast.square.decode, fast.cut.precision) == ("scaled", "bfloat16")
    assert fast == part(backbone, decode="scaled", precision="bfloat16")
    for decode, precision in (("full", "float32"), ("scaled", "float32"), ("full", "bfloat16")):
        other = part(backbone, decode=decode, precision=precision)
        assert (other.square.decode, other.cut.precision) == (decode, precision)
        assert other != fast


def test_a_processor_without_bfloat16_says_float32_in_the_recipe(backbone, native, photos, caplog):
    native("float32")
    assert part(backbone, precision="bfloat16") == part(backbone)
    caplog.clear()
    features = featx.embed(photos, backbone, precision="bfloat16", progress=False)
    assert [record.getMessage() for record in caplog.records] == [
        "this processor does not compute in bfloat16: float32 is used instead"
    ]
    assert features.recipe.settings["precision"] == "float32"
    assert opened() == ["float32"]
    again = featx.embed(photos, backbone, progress=False)
    assert opened() == ["float32"], "the vectors of a run in float32 are in the cache"
    assert again.X.tobytes() == features.X.tobytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_that_was_chosen_is_asked_what_it_computes_in(backbone, photos, engine):
    asked = []

    def computes_in(precision):
        asked.append(precision)
        return True

    with registered(EngineSpec(engine, Rounded, suits=lambda: True, computes_in=computes_in)):
        featx.embed(photos, backbone, precision="bfloat16", engine=engine, progress=False)
    assert set(asked) == {"bfloat16"}
    assert opened() == ["bfloat16"]


def test_vectors_of_two_precisions_never_meet_in_the_cache(backbone, photos):
    one = featx.embed(photos, backbone, progress=False)
    other = featx.embed(photos, backbone, precision="bfloat16", progress=False)
    assert opened() == ["float32", "bfloat16"]
    assert np.array_equal(other.X, one.X + np.float32(0.25))
    for precision, expected in (("float32", one), ("bfloat16", other)):
        again = featx.embed(photos, backbone, precision=precision, progress=False)
        assert again.X.tobytes() == expected.X.tobytes(), precision
    assert opened() == ["float32", "bfloat16"]


def test_a_recipe_from_another_machine_is_run_in_what_this_one_has(backbone, native, photos):
    there = Request.of(backbone, settle({"fast": True}))
    native("float32")
    here = Request.again(there.backbones, there.recipe, views=0, engine="auto")
    (features,) = run_requests(ImageFolder.of(photos), [here], settle({"progress": False}))
    assert opened() == ["float32"]
    settings = features.recipe.settings
    assert (settings["precision"], settings["decode"]) == ("float32", "scaled")


def test_a_model_learned_in_bfloat16_predicts_where_there_is_none(
    backbone, native, photos, tmp_path
):
    model = featx.train(photos, "knn", backbone=backbone, fast=True, progress=False)
    assert model.recipe.settings["precision"] == "bfloat16"
    model.save(tmp_path / "fruit.featx")
    new = fakes.draw_folder(tmp_path / "new", each=2, start=100)
    expected = ["blue", "blue", "green", "green", "red", "red"]
    there = featx.load(tmp_path / "fruit.featx", backbone=backbone)
    assert there.predict(new, progress=False).tolist() == expected

    native("float32")
    here = featx.load(tmp_path / "fruit.featx", backbone=backbone)
    assert here.recipe == model.recipe
    assert here.predict(new, progress=False).tolist() == expected
    assert here.evaluate(new, progress=False).accuracy == 1.0
    features = here.features(new, progress=False)
    settings = features.recipe.settings
    assert (settings["precision"], settings["decode"]) == ("float32", "scaled")
    assert here.predict(features).tolist() == expected
    assert opened() == ["bfloat16", "float32"], "the first one is still open"
    assert fakes.FakeEngine.embedded == 18 + 6 + 6, "each set of vectors once"
    with pytest.raises(RecipeMismatchError, match="decode full, expected scaled"):
        here.predict(featx.embed(new, backbone, progress=False))


def test_features_may_be_learned_from_in_one_precision_and_predicted_in_the_other(backbone, photos):
    one = featx.embed(photos, backbone, progress=False)
    other = featx.embed(photos, backbone, precision="bfloat16", progress=False)
    for learned, new in ((one, other), (other, one)):
        assert featx.train(learned, "knn").predict(new).tolist() == one.y.tolist()


# -- A word on what would be faster --------------------------------------------------------------


@pytest.fixture
def pictures():
    """Return a function that draws as many tiny pictures, no two alike."""

    def draw(count):
        rows = np.arange(count)
        return np.stack([rows // 256, rows % 256], axis=1).astype(np.uint8)[:, None, :, None]

    return draw


HINT = (
    "--fast (in Python fast=True) is several times faster on this processor, for nearly the same "
    "features"
)


def test_a_run_of_two_thousand_pictures_hears_once_of_what_is_faster(backbone, pictures, caplog):
    options = {"batch_size": 500, "progress": False}
    featx.embed(pictures(2000), backbone, **options)
    assert [record.getMessage() for record in caplog.records] == [HINT]
    caplog.clear()
    featx.embed(pictures(2001), backbone, **options)
    assert caplog.records == [], "only one picture was missing"


@pytest.mark.parametrize(
    ("count", "precisions", "options"),
    [
        (1999, ("float32", "bfloat16"), {}),
        (2000, ("float32",), {}),
        (2000, ("float32", "bfloat16"), {"precision": "bfloat16"}),
        (2000, ("float32", "bfloat16"), {"fast": True}),
    ],
    ids=["few", "nothing is faster", "in bfloat16", "fast already"],
)
def test_who_would_gain_little_hears_nothing(
    backbone, pictures, native, caplog, count, precisions, options
):
    native(*precisions)
    featx.embed(pictures(count), backbone, batch_size=500, progress=False, **options)
    assert caplog.records == []
