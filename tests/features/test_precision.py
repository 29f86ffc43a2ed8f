"""bfloat16 where the processor has it, float32 elsewhere, and never one under the other's name."""

from __future__ import annotations

import fakes
import numpy as np
import pytest

import featx
from featx.errors import RecipeMismatchError
from featx.features import embed as embed_module
from featx.features import plan, running
from featx.features.plan import prepare
from featx.features.running import embed_images
from featx.images.folder import ImageFolder


@pytest.fixture
def processor(monkeypatch):
    """Return a function that says what this processor computes in when asked for bfloat16."""

    def computes_in(precision):
        def settle(asked, engine):
            assert engine in ("openvino", "keras"), engine
            return precision if asked == "bfloat16" else asked

        fakes.settle_precision(monkeypatch, settle)

    computes_in("bfloat16")
    return computes_in


@pytest.fixture
def opened(monkeypatch, fake_engine):
    """The precisions that engines were opened for, whose vectors show it."""
    precisions = []

    def open_engine(backbone, *, precision, **options):
        precisions.append(precision)
        engine = fakes.open_fake(backbone, **options)
        if precision == "bfloat16":
            engine._offset += np.float32(0.25)
        return engine

    monkeypatch.setattr(running, "open_engine", open_engine)
    return precisions


def test_fast_is_scaled_decoding_and_bfloat16(backbone, processor):
    slow, fast = prepare(backbone)[1], prepare(backbone, fast=True)[1]
    assert (slow.decode, slow.precision) == ("full/1", "float32")
    assert (fast.decode, fast.precision) == ("scaled/1", "bfloat16")
    assert fast == prepare(backbone, decode="scaled", precision="bfloat16")[1]
    for decode, precision in (("full", "float32"), ("scaled", "float32"), ("full", "bfloat16")):
        recipe = prepare(backbone, decode=decode, precision=precision)[1]
        assert (recipe.decode, recipe.precision) == (f"{decode}/1", precision)
        assert recipe != fast


def test_a_processor_without_bfloat16_says_float32_in_the_recipe(
    backbone, processor, opened, photos
):
    processor("float32")
    assert prepare(backbone, precision="bfloat16")[1] == prepare(backbone)[1]
    features = featx.embed(photos, backbone, precision="bfloat16", progress=False)
    assert features.recipe.precision == "float32"
    assert opened == ["float32"]
    again = featx.embed(photos, backbone, progress=False)
    assert opened == ["float32"], "the vectors of a run in float32 are in the cache"
    assert again.X.tobytes() == features.X.tobytes()


@pytest.mark.parametrize("engine", ["auto", "openvino", "keras"])
def test_the_engine_that_was_chosen_is_asked_what_it_computes_in(
    backbone, opened, photos, monkeypatch, engine
):
    asked = []
    fakes.settle_precision(monkeypatch, lambda *words: asked.append(words) or words[0])
    for module in (embed_module, plan, running):
        monkeypatch.setattr(module, "choose_engine", lambda name: f"{name}, chosen")
    featx.embed(photos, backbone, precision="bfloat16", engine=engine, progress=False)
    assert set(asked) == {("bfloat16", f"{engine}, chosen")}
    assert opened == ["bfloat16"]


def test_vectors_of_two_precisions_never_meet_in_the_cache(backbone, processor, opened, photos):
    one = featx.embed(photos, backbone, progress=False)
    other = featx.embed(photos, backbone, precision="bfloat16", progress=False)
    assert opened == ["float32", "bfloat16"]
    assert np.array_equal(other.X, one.X + np.float32(0.25))
    for precision, expected in (("float32", one), ("bfloat16", other)):
        again = featx.embed(photos, backbone, precision=precision, progress=False)
        assert again.X.tobytes() == expected.X.tobytes(), precision
    assert opened == ["float32", "bfloat16"]


def test_a_recipe_from_another_machine_is_run_in_what_this_one_has(
    backbone, processor, opened, photos
):
    images, (network, recipe) = ImageFolder.of(photos), prepare(backbone, fast=True)
    processor("float32")
    features = embed_images(images, network, recipe, progress=False)
    assert opened == ["float32"]
    assert (features.recipe.precision, features.recipe.decode) == ("float32", "scaled/1")


def test_a_model_learned_in_bfloat16_predicts_where_there_is_none(
    backbone, processor, opened, photos, tmp_path
):
    model = featx.train(photos, "knn", backbone=backbone, fast=True, progress=False)
    assert model.recipe.precision == "bfloat16"
    model.save(tmp_path / "fruit.featx")
    new = fakes.draw_folder(tmp_path / "new", each=2, start=100)
    expected = ["blue", "blue", "green", "green", "red", "red"]
    there = featx.load(tmp_path / "fruit.featx", backbone=backbone)
    assert there.predict(new, progress=False).tolist() == expected

    processor("float32")
    here = featx.load(tmp_path / "fruit.featx", backbone=backbone)
    assert here.recipe == model.recipe
    assert here.predict(new, progress=False).tolist() == expected
    assert here.evaluate(new, progress=False).accuracy == 1.0
    features = here.features(new, progress=False)
    assert (features.recipe.precision, features.recipe.decode) == ("float32", "scaled/1")
    assert here.predict(features).tolist() == expected
    assert opened == ["bfloat16", "bfloat16", "float32"], "each set of vectors once"
    with pytest.raises(RecipeMismatchError, match="decode full/1, expected scaled/1"):
        here.predict(featx.embed(new, backbone, progress=False))


def test_features_may_be_learned_from_in_one_precision_and_predicted_in_the_other(
    backbone, processor, opened, photos
):
    one = featx.embed(photos, backbone, progress=False)
    other = featx.embed(photos, backbone, precision="bfloat16", progress=False)
    for learned, new in ((one, other), (other, one)):
        assert featx.train(learned, "knn").predict(new).tolist() == one.y.tolist()
