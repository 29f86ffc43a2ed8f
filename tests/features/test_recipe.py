"""A recipe is its settings: any other setting is another recipe."""

import inspect
import json
import subprocess
import sys

import fakes
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from featx.backbones.network import FLOATS, POOLINGS, Cut
from featx.errors import OptionError, RecipeMismatchError
from featx.features.recipe import Recipe, RecipePart
from featx.images.square import DECODES, INTERPOLATIONS, RESIZES, Square

RECIPE = fakes.recipe(weights="0123456789abcdef" * 4, preprocessing="caffe/1")
OTHER_VALUES = {  # as they are written; of any other setting "another" is one
    "pooling": "max",
    "resize": "crop",
    "interpolation": "nearest",
    "input_size": 225,
    "decode": "scaled/1",
    "precision": "bfloat16",
    "view": "1/1",
}
SETTINGS = [name for name in RECIPE.settings if name != "calibration"]  # which goes with int8
FREE = {
    *inspect.signature(RecipePart.of).parameters,
    *Square.__dataclass_fields__,
    *Cut.__dataclass_fields__,
}
POLICIES = [name for name in SETTINGS if name not in FREE]  # which have one value today


INT8 = {"precision": "int8", "calibration": "ab" * 32}


def changed(recipe=RECIPE, **written) -> Recipe:
    """Return the recipe of other settings, given as they are written."""
    return Recipe.from_dict({**recipe.to_dict(), **written})


parts = st.builds(
    RecipePart.of,
    backbone=st.text(),
    weights=st.text("0123456789abcdef", min_size=64, max_size=64),
    input_size=st.integers(1, 4096),
    preprocessing=st.text(),
    layer=st.none() | st.text(min_size=1),
    pooling=st.sampled_from(POOLINGS),
    resize=st.sampled_from(RESIZES),
    interpolation=st.sampled_from(INTERPOLATIONS),
    decode=st.sampled_from(DECODES),
    precision=st.sampled_from(FLOATS),
    view=st.integers(0, 64),
)
recipes = parts.map(lambda part: Recipe((part,)))
any_recipes = recipes | st.lists(parts, min_size=2, max_size=3, unique=True).map(
    lambda several: Recipe(tuple(several))
)


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in POLICIES])
def test_another_value_of_any_setting_is_another_fingerprint(name):
    other = changed(**{name: OTHER_VALUES.get(name, "another")})
    assert other.fingerprint != RECIPE.fingerprint


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_part_of_the_fingerprint_and_another_one_is_refused(name):
    written = RECIPE.to_dict()
    assert written[name] == RECIPE.settings[name]
    with pytest.raises(
        OptionError, match=f"{name} 'another' of a recipe: expected '{written[name]}"
    ):
        changed(**{name: "another"})


def test_no_layer_and_a_layer_of_that_name_are_told_apart():
    assert changed(layer="None").fingerprint != RECIPE.fingerprint


def test_the_fingerprint_is_the_same_today_tomorrow_and_in_another_process():
    # A cache made by an older version is lost when this value changes: change it on purpose only.
    assert RECIPE.fingerprint == "448a7f8eed580d22a2b03bf77de9d4c3"
    code = f"from featx import Recipe; print(Recipe.from_dict({RECIPE.to_dict()!r}).fingerprint)"
    env = {"PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert answer.stdout.strip() == RECIPE.fingerprint


@given(any_recipes, any_recipes)
def test_fingerprints_are_equal_where_recipes_are(one, other):
    assert (one.fingerprint == other.fingerprint) == (one == other)


@given(any_recipes)
def test_a_recipe_survives_json(recipe):
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@given(recipes)
def test_a_setting_that_came_later_is_written_only_where_it_is_not_the_usual_one(recipe):
    written = set(recipe.to_dict())
    assert set(RECIPE.to_dict()) <= written
    assert ("view" in written) == (recipe.settings["view"] != 0)


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


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from([*RECIPE.to_dict(), "view"]), anything)
def test_a_value_of_another_type_makes_a_recipe_or_an_error_that_names_it(name, value):
    try:
        recipe, told = changed(**{name: value}), ""
    except OptionError as error:
        recipe, told = None, str(error)
    if recipe is None:
        assert name.removeprefix("input_") in told, told
    else:
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
        assert str(recipe) == str(recipe.parts[0])


@given(anything)
def test_what_is_no_recipe_at_all_is_an_option_error(value):
    for written in (value, {"parts": value}, {"parts": [value]}):
        with pytest.raises(OptionError):
            Recipe.from_dict(written)


@pytest.mark.parametrize("name", ["pooling", "resize", "interpolation", "decode", "precision"])
def test_a_value_that_a_setting_cannot_have_is_refused_with_the_choices(name):
    with pytest.raises(
        OptionError, match=rf"unknown {name} 'mean': expected one of [\w/]+, [\w/]+"
    ):
        fakes.recipe(**{name: "mean"})


@pytest.mark.parametrize("decode", ["full", "scaled", "full/2", "scaled/", "", None])
def test_a_decoding_of_another_version_is_refused_in_one_line(decode):
    with pytest.raises(OptionError) as caught:
        changed(decode=decode)
    assert str(caught.value) == (
        f"decode {decode!r} of a recipe: expected version 1, such as 'full/1'; update featx"
    )


@pytest.mark.parametrize(("decode", "told"), [("FULL/1", "FULL"), ("/1", ""), (1, "")], ids=repr)
def test_a_decoding_of_another_name_is_refused_in_one_line(decode, told):
    with pytest.raises(OptionError) as caught:
        changed(decode=decode)
    assert str(caught.value) == f"unknown decode {told!r}: expected one of full, scaled"


@pytest.mark.parametrize("view", ["1", "1/2", "/1", "-1/1", "one/1", "", None, 1], ids=repr)
def test_a_view_of_another_form_or_version_is_refused_in_one_line(view):
    with pytest.raises(OptionError) as caught:
        changed(view=view)
    assert str(caught.value) == (
        f"view {view!r} of a recipe: expected version 1, such as '1/1'; update featx"
    )


@pytest.mark.parametrize("precision", ["float16", "bf16", "Float32", "", None, 32])
def test_an_unknown_precision_is_refused_in_one_line(precision):
    with pytest.raises(OptionError) as caught:
        changed(precision=precision)
    assert (
        str(caught.value)
        == f"unknown precision {precision!r}: expected one of float32, bfloat16, int8"
    )


def test_full_scaled_float32_and_bfloat16_are_four_recipes():
    four = {
        changed(decode=decode, precision=precision).fingerprint
        for decode in ("full/1", "scaled/1")
        for precision in FLOATS
    }
    assert len(four) == 4
    assert RECIPE.fingerprint in four, "the default is full decoding and float32"


@given(recipes)
def test_the_square_is_that_of_the_settings(recipe):
    (part,) = recipe.parts
    settings = recipe.settings
    assert (part.square.size, part.square.resize) == (settings["input_size"], settings["resize"])
    assert (part.square.interpolation, part.square.view) == (
        settings["interpolation"],
        settings["view"],
    )
    assert recipe.to_dict()["decode"] == f"{part.square.decode}/1"
    assert type(part.square) is Square


@pytest.mark.parametrize(
    "name", [name for name in SETTINGS if name not in ("precision", *POLICIES)]
)
def test_another_recipe_is_refused_with_both_values(name):
    value = "fedcba98" * 8 if name == "weights" else OTHER_VALUES.get(name, "another")
    RECIPE.require(changed(), "the features")  # an equal one is not
    other = changed(**{name: value})
    with pytest.raises(RecipeMismatchError) as caught:
        RECIPE.require(other, "the features")
    message = str(caught.value)
    assert message.startswith("the features were made by another recipe ("), message
    # A digest is shown by its first characters, as many as tell two of them apart.
    theirs, mine = (str(each.settings[name])[:12] for each in (other, RECIPE))
    assert f"({name} {theirs}, expected {mine})" in message
    assert "\n" not in message, message


@given(recipes, st.sampled_from(FLOATS))
def test_the_precision_alone_may_differ(recipe, precision):
    other = changed(recipe, precision=precision)
    recipe.require(other, "the features")
    assert (other.fingerprint == recipe.fingerprint) == (other == recipe), "cached apart, though"


@given(recipes, recipes)
def test_recipes_that_differ_in_more_than_the_precision_are_refused(one, other):
    assume(changed(one, precision=other.to_dict()["precision"]) != other)
    with pytest.raises(RecipeMismatchError, match="the features were made by another recipe"):
        one.require(other, "the features")


def test_a_precision_that_differs_too_is_not_among_the_reasons():
    other = changed(precision="bfloat16", decode="scaled/1", pooling="max")
    with pytest.raises(RecipeMismatchError) as caught:
        RECIPE.require(other, "the features")
    assert str(caught.value) == (
        "the features were made by another recipe (pooling max, expected avg; decode scaled, "
        "expected full); use the same settings for both"
    )


def test_the_calibration_of_int8_is_written_only_where_there_is_one():
    assert "calibration" not in RECIPE.to_dict()
    assert changed(**INT8).to_dict()["calibration"] == "ab" * 32
    three = (
        changed(precision="int8"),
        changed(**INT8),
        changed(**INT8 | {"calibration": "cd" * 32}),
    )
    assert len({each.fingerprint for each in (RECIPE, *three)}) == 4
    for precision in FLOATS:
        with pytest.raises(OptionError, match=f"goes with int8, and the precision is {precision}"):
            changed(**INT8 | {"precision": precision})


def test_two_calibrations_are_two_recipes_which_is_told_in_plain_words():
    mine, theirs = changed(**INT8), changed(**INT8 | {"calibration": "cd" * 32})
    mine.require(changed(**INT8), "these features")
    with pytest.raises(RecipeMismatchError) as caught:
        mine.require(theirs, "these features")
    assert str(caught.value) == (
        "these features were made by another recipe (calibration cdcdcdcdcdcd, expected "
        "abababababab); int8 was calibrated on other pictures: embed both with one cache, or give "
        "the pictures in place of features"
    )


@pytest.mark.parametrize("precision", FLOATS)
def test_int8_and_floats_are_not_taken_for_each_other(precision):
    one, other = changed(**INT8), changed(precision=precision)
    for mine, theirs in ((one, other), (other, one)):
        with pytest.raises(RecipeMismatchError) as caught:
            mine.require(theirs, "these features")
        told = [each.settings["precision"] for each in (theirs, mine)]
        assert "(precision {}, expected {});".format(*told) in str(caught.value)


def test_features_without_a_recipe_are_refused():
    with pytest.raises(RecipeMismatchError, match="the table carry no recipe, expected resnet50"):
        RECIPE.require(None, "the table")


def test_settings_of_several_parts_are_one_value_where_they_agree():
    one = fakes.recipe("resnet50", layer="conv", precision="bfloat16")
    other = fakes.recipe("xception", "1" * 64, 299, precision="bfloat16")
    settings = Recipe(one.parts + other.parts).settings
    assert list(settings) == list(RECIPE.settings)
    assert {name: each for name, each in settings.items() if each != one.settings[name]} == {
        "backbone": "resnet50+xception",
        "weights": f"{'0' * 64}+{'1' * 64}",
        "layer": "conv+last",
        "input_size": "224+299",
    }
    assert Recipe(changed(layer="a").parts + changed(layer="b").parts).backbone == "resnet50"


@pytest.mark.parametrize("parts", [(), RECIPE.parts * 2], ids=["none", "one twice"])
def test_a_recipe_has_different_parts(parts):
    with pytest.raises(OptionError, match=r"cannot join .*: expected different networks or layers"):
        Recipe(parts)


def test_a_recipe_reads_as_a_line():
    assert str(changed(layer="conv5")) == (
        "resnet50 at conv5, avg pooling, 224 px squash bilinear, weights 0123456789ab"
    )


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({}, "bilinear, weights"),
        ({"decode": "scaled/1"}, "bilinear scaled, weights"),
        ({"precision": "bfloat16"}, "bilinear, bfloat16, weights"),
        ({"decode": "scaled/1", "precision": "bfloat16"}, "bilinear scaled, bfloat16, weights"),
        ({"view": "2/1"}, "bilinear, view 2/1, weights"),
        (INT8, "bilinear, int8, calibration abababababab, weights"),
    ],
)
def test_the_line_names_what_is_fast_or_a_view(settings, part):
    assert str(changed(**settings)) == (f"resnet50, avg pooling, 224 px squash {part} 0123456789ab")
