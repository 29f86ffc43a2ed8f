"""A recipe is its settings: any other setting is another recipe."""

import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from featx.backbones.engine import POOLINGS, PRECISIONS
from featx.errors import OptionError, RecipeMismatchError
from featx.features.recipe import Recipe
from featx.images.fit import DECODES, INTERPOLATIONS, RESIZES, Fit

RECIPE = Recipe("resnet50", "0123456789abcdef" * 4, 224, preprocessing="caffe/1")
OTHER_VALUES = {
    "pooling": "max",
    "resize": "crop",
    "interpolation": "nearest",
    "input_size": 225,
    "decode": "scaled/1",
    "precision": "bfloat16",
    "view": "1/1",
}
SETTINGS = [field.name for field in dataclasses.fields(Recipe)]

recipes = st.builds(
    Recipe,
    backbone=st.text(),
    weights=st.text("0123456789abcdef", min_size=64, max_size=64),
    input_size=st.integers(1, 4096),
    layer=st.none() | st.text(min_size=1),
    pooling=st.sampled_from(POOLINGS),
    resize=st.sampled_from(RESIZES),
    interpolation=st.sampled_from(INTERPOLATIONS),
    preprocessing=st.text(),
    decode=st.sampled_from([f"{each}/1" for each in DECODES]),
    precision=st.sampled_from(PRECISIONS),
    view=st.none() | st.integers(1, 64).map("{}/1".format),
)


@pytest.mark.parametrize("name", SETTINGS)
def test_another_value_of_any_setting_is_another_fingerprint(name):
    other = dataclasses.replace(RECIPE, **{name: OTHER_VALUES.get(name, "another")})
    assert other.fingerprint != RECIPE.fingerprint


def test_no_layer_and_a_layer_of_that_name_are_told_apart():
    assert dataclasses.replace(RECIPE, layer="None").fingerprint != RECIPE.fingerprint


def test_the_fingerprint_is_the_same_today_tomorrow_and_in_another_process():
    # A cache made by an older version is lost when this value changes: change it on purpose only.
    assert RECIPE.fingerprint == "448a7f8eed580d22a2b03bf77de9d4c3"
    code = f"from featx import Recipe; print(Recipe(**{RECIPE.to_dict()!r}).fingerprint)"
    env = {"PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert answer.stdout.strip() == RECIPE.fingerprint


@given(recipes, recipes)
def test_fingerprints_are_equal_where_recipes_are(one, other):
    assert (one.fingerprint == other.fingerprint) == (one == other)


@given(recipes)
def test_a_recipe_survives_json(recipe):
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    ("change", "odd"),
    [
        (lambda settings: settings.pop("pooling"), "pooling"),
        (lambda settings: settings.update(temperature=1), "temperature"),
        (lambda settings: (settings.pop("color"), settings.update(colour="rgb")), "color, colour"),
    ],
)
def test_settings_of_another_version_are_refused_by_name(change, odd):
    settings = RECIPE.to_dict()
    change(settings)
    with pytest.raises(OptionError, match=rf"not a recipe of this version.*: {odd} missing or"):
        Recipe.from_dict(settings)


@pytest.mark.parametrize("name", ["pooling", "resize", "interpolation", "decode", "precision"])
def test_a_value_that_a_setting_cannot_have_is_refused_with_the_choices(name):
    with pytest.raises(
        OptionError, match=rf"unknown {name} 'mean': expected one of [\w/]+, [\w/]+"
    ):
        dataclasses.replace(RECIPE, **{name: "mean"})


@pytest.mark.parametrize("decode", ["full", "scaled", "full/2", "scaled/", "FULL/1", "", None, 1])
def test_a_decoding_of_another_name_or_version_is_refused_in_one_line(decode):
    with pytest.raises(OptionError) as caught:
        dataclasses.replace(RECIPE, decode=decode)
    assert str(caught.value) == f"unknown decode {decode!r}: expected one of full/1, scaled/1"


@pytest.mark.parametrize("precision", ["float16", "bf16", "Float32", "", None, 32])
def test_an_unknown_precision_is_refused_in_one_line(precision):
    with pytest.raises(OptionError) as caught:
        Recipe.from_dict({**RECIPE.to_dict(), "precision": precision})
    assert (
        str(caught.value) == f"unknown precision {precision!r}: expected one of float32, bfloat16"
    )


def test_full_scaled_float32_and_bfloat16_are_four_recipes():
    four = {
        dataclasses.replace(RECIPE, decode=decode, precision=precision).fingerprint
        for decode in ("full/1", "scaled/1")
        for precision in PRECISIONS
    }
    assert len(four) == 4
    assert RECIPE.fingerprint in four, "the default is full decoding and float32"


@given(recipes)
def test_the_square_is_that_of_the_settings(recipe):
    fit = recipe.fit
    assert (fit.size, fit.resize) == (recipe.input_size, recipe.resize)
    assert (fit.interpolation, f"{fit.decode}/1") == (recipe.interpolation, recipe.decode)
    assert type(fit) is Fit


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "precision"])
def test_another_recipe_is_refused_with_both_values(name):
    value = "fedcba98" * 8 if name == "weights" else OTHER_VALUES.get(name, "another")
    RECIPE.require(dataclasses.replace(RECIPE), "the features")  # an equal one is not
    other = dataclasses.replace(RECIPE, **{name: value})
    with pytest.raises(RecipeMismatchError) as caught:
        RECIPE.require(other, "the features")
    message = str(caught.value)
    assert message.startswith("the features were made by another recipe ("), message
    # A digest is shown by its first characters, as many as tell two of them apart.
    assert f"({name} {str(value)[:12]}, expected {str(getattr(RECIPE, name))[:12]})" in message
    assert "\n" not in message, message


@given(recipes, st.sampled_from(PRECISIONS))
def test_the_precision_alone_may_differ(recipe, precision):
    other = dataclasses.replace(recipe, precision=precision)
    recipe.require(other, "the features")
    assert (other.fingerprint == recipe.fingerprint) == (other == recipe), "cached apart, though"


@given(recipes, recipes)
def test_recipes_that_differ_in_more_than_the_precision_are_refused(one, other):
    assume(dataclasses.replace(one, precision=other.precision) != other)
    with pytest.raises(RecipeMismatchError, match="the features were made by another recipe"):
        one.require(other, "the features")


def test_a_precision_that_differs_too_is_not_among_the_reasons():
    other = dataclasses.replace(RECIPE, precision="bfloat16", decode="scaled/1", pooling="max")
    with pytest.raises(RecipeMismatchError) as caught:
        RECIPE.require(other, "the features")
    assert str(caught.value) == (
        "the features were made by another recipe (pooling max, expected avg; decode scaled/1, "
        "expected full/1); use the same settings for both"
    )


def test_features_without_a_recipe_are_refused():
    with pytest.raises(RecipeMismatchError, match="the table carry no recipe, expected resnet50"):
        RECIPE.require(None, "the table")


def test_a_recipe_reads_as_a_line():
    assert str(dataclasses.replace(RECIPE, layer="conv5")) == (
        "resnet50 at conv5, avg pooling, 224 px squash bilinear, weights 0123456789ab"
    )


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({}, "bilinear, weights"),
        ({"decode": "scaled/1"}, "bilinear scaled, weights"),
        ({"precision": "bfloat16"}, "bilinear, bfloat16, weights"),
        ({"decode": "scaled/1", "precision": "bfloat16"}, "bilinear scaled, bfloat16, weights"),
    ],
)
def test_the_line_names_what_is_fast(settings, part):
    assert str(dataclasses.replace(RECIPE, **settings)) == (
        f"resnet50, avg pooling, 224 px squash {part} 0123456789ab"
    )
