"""Options of embedding, stated once, are the same in Python, at the shell and in the code."""

from __future__ import annotations

import inspect
import re
import textwrap

import click
import fakes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import featx
from featx.backbones.engines.choice import quickest_precision
from featx.backbones.network import Cut
from featx.cli.commands import cli
from featx.errors import OptionError
from featx.features.options import (
    OPTIONS,
    CheckOptions,
    CompareOptions,
    EmbedderOptions,
    EmbedOptions,
    EngineOptions,
    LabelOptions,
    Option,
    RunnerOptions,
    RunOptions,
    SourceOptions,
    TuneOptions,
    options_in,
    options_of,
    refuse_options,
    settle,
    type_of,
)
from featx.features.request import Request
from featx.features.settings import RunSettings
from featx.images.folder import ImageFolder
from featx.images.square import Square

TAKERS = {
    "embed": EmbedOptions,
    "train": EmbedOptions,
    "compare": CompareOptions,
    "tune": TuneOptions,
    "label": LabelOptions,
    "check": CheckOptions,
    "ImageEmbedder": EmbedderOptions,
}
COMMANDS = {
    "embed": EmbedOptions,
    "train": EmbedOptions,
    "compare": CompareOptions,
    "tune": TuneOptions,
    "label": LabelOptions,
    "check": CheckOptions,
    "evaluate": RunOptions,
    "predict": RunOptions,
    "explain": RunOptions,
    "similar": RunOptions,
    "serve": EngineOptions,
    "watch": EngineOptions,
}

every_option = pytest.mark.parametrize("name", OPTIONS)
every_taker = pytest.mark.parametrize("taker", TAKERS)
every_command = pytest.mark.parametrize("command", COMMANDS)


def another(name: str) -> object:
    """Return a value of an option that is not its default."""
    option = OPTIONS[name]
    if option.choices:
        return next(choice for choice in option.choices[::-1] if choice != option.default)
    if option.bounds:
        return (option.default or option.bounds[0]) + 1
    if isinstance(option.default, bool):
        return not option.default
    return {
        "preprocess": "tf",
        "weights": "random",
        "input_size": 96,
        "layer": "conv",
        "cache": "folder",
        "root": "..",
        "path_column": "file",
        "label_column": "species",
        "exclude": "list.txt",
        "address": "head:6379",
    }[name]


# -- Where people look for them ------------------------------------------------------------------


@every_option
def test_the_help_is_the_first_sentence_of_what_is_said_of_an_option(name):
    option = OPTIONS[name]
    assert re.fullmatch(r"[A-Z][^\n]+\.", option.help), option.help
    assert ". " not in option.help, option.help
    assert option.text.startswith(option.help)
    assert option.default is not None or option.unset, "nothing says what None means"


@every_taker
def test_the_options_of_its_class_and_no_others_are_in_the_signature(taker):
    parameters = inspect.signature(getattr(featx, taker)).parameters
    shown = {name: parameters[name] for name in OPTIONS if name in parameters}
    own = {"on_error"} if taker == "ImageEmbedder" else set()  # it knows other ways
    assert set(shown) - own == set(options_of(TAKERS[taker]))
    assert {each.kind for each in shown.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert not any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    defaults = {name: each.default for name, each in shown.items() if name not in own}
    usual = {name: option.default for name, option in options_of(TAKERS[taker]).items()}
    assert defaults == usual | ({"resize": "crop"} if taker == "label" else {})


@every_taker
def test_editors_are_told_the_class_that_is_shown(taker):
    function = getattr(featx, taker)
    function = function.__init__ if isinstance(function, type) else function
    assert function.__annotations__["options"] == f"Unpack[{TAKERS[taker].__name__}]"


@every_taker
def test_the_documentation_tells_each_option_or_where_all_are_told(taker):
    text = " ".join(inspect.getdoc(getattr(featx, taker)).split())
    if "**options" in text:
        assert re.search(r"\*\*options (Further options of|As for) `embed`", text), text
        taker, text = "embed", " ".join(inspect.getdoc(featx.embed).split())
    for name, option in options_of(TAKERS[taker]).items():
        assert f" {name} : " in text, name
        known = text.split(f" {name} : ")[1]
        kind, _, rest = known.partition(f" {option.text.split('. ')[0]}")
        assert rest, f"{name} is not explained"
        if option.choices:
            assert kind.startswith("{" + ", ".join(f'"{each}"' for each in option.choices) + "}")
        if option.default is None:
            assert kind.endswith(", optional"), kind
            assert f"By default {option.unset}." in known
        elif name != "resize" or taker != "label":
            assert kind.endswith(f", default={option.default!r}".replace("'", '"')), kind


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("input_size", "input_size : int, optional"),
        ("weights", 'weights : str or path, default="imagenet"'),
        ("cache", "cache : str, path or bool, optional"),
        ("fast", "fast : bool, default=False"),
        ("decode", 'decode : {"full", "scaled"}, default="full"'),
    ],
)
def test_an_option_is_documented_as_numpydoc_has_it(name, entry):
    lines = inspect.getdoc(featx.embed).splitlines()
    assert entry in lines
    below = lines[lines.index(entry) + 1 :]
    said = [line for line in below[: [*map(bool, below), False].index(False)]]
    said = said[: next((i for i, line in enumerate(said) if line[0] != " "), len(said))]
    unset = f" By default {OPTIONS[name].unset}." if OPTIONS[name].unset else ""
    assert textwrap.dedent("\n".join(said)).split() == (OPTIONS[name].text + unset).split()
    assert max(map(len, said)) <= 96


def parameters_of(command: str) -> dict[str, click.Option]:
    """Return the options of a command that are options of embedding: their help tells."""
    shown = [each for each in cli.commands[command].params if isinstance(each, click.Option)]
    return {
        each.name: each
        for each in shown
        if each.name in OPTIONS and (each.help or "").startswith(OPTIONS[each.name].help)
    }


@every_command
def test_a_command_offers_the_options_of_its_class_and_no_others(command):
    options = options_of(COMMANDS[command])
    offered = {name for name, option in options.items() if option.shell}
    assert set(parameters_of(command)) == offered


@every_command
def test_a_command_shows_choices_defaults_and_what_happens_otherwise(command):
    for name, parameter in parameters_of(command).items():
        option = OPTIONS[name]
        assert f"--{name.replace('_', '-')}" in parameter.opts
        if option.choices:
            assert tuple(parameter.type.choices) == option.choices, name
        if option.unset:
            assert f"[default: {option.unset}]" in parameter.help, name
        elif parameter.is_flag:
            assert option.default is False, f"{name} cannot be switched off"
        elif (command, name) != ("label", "resize"):
            assert (parameter.default, parameter.show_default) == (option.default, True), name


@every_option
def test_every_option_is_offered_by_a_command_unless_it_says_otherwise(name):
    offered = any(name in parameters_of(command) for command in COMMANDS)
    assert offered == OPTIONS[name].shell


def test_no_other_command_offers_one():
    for command in set(cli.commands) - set(COMMANDS):
        assert set(parameters_of(command)) <= {"cache"}, command


# -- Code that obeys them ------------------------------------------------------------------------


def recipe_and_views(name: str, value: object) -> tuple[featx.Recipe, int]:
    request = Request.of("efficientnet_lite0", settle({name: value}))
    return request.recipe, request.views


@pytest.mark.filterwarnings("ignore:the weights of")
@every_option
def test_an_option_changes_the_recipe_or_the_views_unless_it_is_one_of_a_run(name, fake_engine):
    usual, other = (
        recipe_and_views(name, value) for value in (OPTIONS[name].default, another(name))
    )
    of_files = name == "preprocess"  # networks of the table have their own
    of_runs = {*options_of(RunOptions), *options_of(RunnerOptions)}
    assert (usual == other) == (name in of_runs or of_files)


@pytest.mark.parametrize("name", RunSettings.__dataclass_fields__)
def test_an_option_of_a_run_is_among_its_settings(name, fake_engine):
    value = another(name)
    assert getattr(RunSettings.of(settle({name: value})), name) == value
    of_runs = {*options_of(RunOptions), *options_of(RunnerOptions)}
    assert of_runs - options_of(SourceOptions).keys() == set(RunSettings.__dataclass_fields__)
    assert getattr(RunSettings(), name) == OPTIONS[name].default


def test_an_option_of_the_source_is_one_of_the_list_of_images():
    taken = inspect.signature(ImageFolder.of).parameters
    for name, option in options_of(SourceOptions).items():
        assert taken[name].default == option.default, name


@pytest.mark.parametrize("kind", [Square, Cut])
def test_defaults_are_those_of_the_code_that_obeys(kind):
    stated = {name: field.default for name, field in kind.__dataclass_fields__.items()}
    both = stated.keys() & OPTIONS.keys()
    assert both
    assert {name: stated[name] for name in both} == {name: OPTIONS[name].default for name in both}


# -- Settling ------------------------------------------------------------------------------------


def values_of(name: str, option: Option) -> st.SearchStrategy:
    """Draw what an option can be."""
    if option.choices:
        return st.sampled_from(option.choices)
    if option.bounds:
        least, most = option.bounds
        numbers = st.integers(least, most or 10**6)
        return numbers if option.default is not None else st.none() | numbers
    if isinstance(option.default, bool):
        return st.booleans()
    return st.just(option.default) | st.just(another(name))


given_options = st.fixed_dictionaries(
    {}, optional={name: values_of(name, option) for name, option in OPTIONS.items()}
)


def test_what_is_not_given_is_filled_in_with_the_defaults(fake_engine):
    usual = {name: option.default for name, option in OPTIONS.items()}
    assert settle({}) == usual
    for name in usual.keys() - {"fast"}:
        assert settle({name: another(name)}) == usual | {name: another(name)}


@settings(deadline=None)  # an engine is imported the first time that it is asked
@given(given_options)
def test_what_is_settled_stays_as_it_is(options):
    engine = options.get("engine", "auto")
    assume((options.get("precision"), engine) != ("int8", "keras") or options.get("fast"))
    with fakes.install():
        before = dict(options)
        settled = settle(options)
        assert options == before, "what was given has changed"
        assert settled.keys() == OPTIONS.keys()
        assert settle(settled) == settled
        kept = {name: each for name, each in options.items() if name != "precision"}
        if options.get("fast"):
            kept |= {"decode": "scaled", "precision": quickest_precision(engine)}
        if settled["engine"] == "auto":  # the fake one, which has both precisions
            kept.setdefault("precision", options.get("precision", "float32"))
        assert {name: settled[name] for name in kept} == kept


def test_fast_is_scaled_and_rounded_whatever_is_said_beside_it(fake_engine):
    fast = settle({"fast": True})
    assert (fast["decode"], fast["precision"]) == ("scaled", "bfloat16")
    assert settle({"fast": True, "decode": "full", "precision": "float32"}) == fast
    slow = settle({"fast": False, "decode": "scaled", "precision": "bfloat16"})
    assert slow == fast | {"fast": False}


def test_fast_is_the_quickest_precision_of_the_processor(native, fake_engine, caplog):
    native("float32", "bfloat16", "int8")
    assert settle({"fast": True})["precision"] == "int8"
    assert settle({"precision": "bfloat16"})["precision"] == "bfloat16"
    native("float32", "int8")
    assert settle({"fast": True})["precision"] == "int8"
    native("float32")
    fast = settle({"fast": True})
    assert (fast["decode"], fast["precision"]) == ("scaled", "float32")
    assert caplog.records == [], "as fast as it can be"


def test_the_precision_is_one_that_the_machine_computes_in(native, fake_engine, caplog):
    native("float32")
    assert settle({"precision": "bfloat16"})["precision"] == "float32"
    assert [record.getMessage() for record in caplog.records] == [
        "this processor does not compute in bfloat16: float32 is used instead"
    ]


BAD = [
    *((name, value) for name, option in OPTIONS.items() if option.choices for value in ("odd", 5)),
    *((name, None) for name, option in OPTIONS.items() if option.choices),
    *(
        (name, value)
        for name, option in OPTIONS.items()
        if option.bounds
        for value in (option.bounds[0] - 1, 1.5, "2", np.float32(2), [2])
    ),
    *(
        (name, option.bounds[1] + 1)
        for name, option in OPTIONS.items()
        if option.bounds and option.bounds[1]
    ),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=repr)
def test_a_value_that_an_option_cannot_have_is_refused_in_one_line(name, value):
    option = OPTIONS[name]
    with pytest.raises(OptionError) as caught:
        settle({name: value})
    if option.choices:
        expected = f"unknown {name} {value!r}: expected one of {', '.join(option.choices)}"
    else:
        least, most = option.bounds
        end = f"to {most}" if most else "up"
        text = f"{name.replace('_', ' ')} {value!r}"
        expected = f"{text}: expected a whole number from {least} {end}"
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.bounds])
def test_bounds_themselves_and_whole_numbers_of_numpy_are_taken(name):
    least, most = OPTIONS[name].bounds
    for value in (least, most or 10**9, np.int32(least), np.uint8(least + 1)):
        assert settle({name: value})[name] == value


def test_some_options_are_picked_by_their_class(fake_engine):
    settled = settle({"batch_size": 3, "pooling": "max"})
    assert options_in(RunOptions, settled) == {
        name: settled[name] for name in options_of(RunOptions)
    }
    assert options_in(RunOptions, {"batch_size": 3, "pooling": "max"}) == {"batch_size": 3}


# -- Names that are no options -------------------------------------------------------------------


def call(taker: str, **options):
    """Call with images that are not there: nothing is looked at before the names."""
    function = getattr(featx, taker)
    return function(**options) if taker == "ImageEmbedder" else function("nowhere", **options)


@every_taker
def test_a_misspelt_option_is_told_with_the_one_that_was_meant(taker):
    for name in options_of(TAKERS[taker]):
        wrong = name[:-1] + "_" + name[-1]
        with pytest.raises(TypeError) as caught:
            call(taker, **{wrong: another(name)})
        assert str(caught.value) == (
            f"{taker}() got an unexpected keyword argument {wrong!r}; did you mean {name!r}?"
        )


@every_taker
def test_a_name_that_is_like_no_option_is_told_without_a_guess(taker):
    with pytest.raises(TypeError) as caught:
        call(taker, temperature=1)
    assert str(caught.value) == f"{taker}() got an unexpected keyword argument 'temperature'"


@pytest.mark.parametrize(
    ("taker", "name"),
    [
        (taker, name)
        for taker, kind in TAKERS.items()
        for name in OPTIONS.keys() - options_of(kind).keys()
        if (taker, name) not in (("ImageEmbedder", "on_error"), ("compare", "pooling"))
    ],
)
def test_an_option_of_embed_alone_is_told_as_such(taker, name):
    with pytest.raises(TypeError) as caught:
        call(taker, **{name: another(name)})
    assert str(caught.value) == (
        f"{taker}() got an unexpected keyword argument {name!r}; "
        f"it is an option of embed, not of {taker}"
    )


def test_where_several_are_taken_one_is_told_their_name():
    with pytest.raises(TypeError, match=r"^compare\(\) .* 'pooling'; did you mean 'poolings'\?$"):
        call("compare", pooling="max")


def test_methods_of_a_model_show_and_check_them_too():
    for method in (featx.ImageClassifier.predict, featx.ImageClassifier.evaluate):
        assert options_of(RunOptions).keys() < inspect.signature(method).parameters.keys()
        with pytest.raises(TypeError, match=r"'pooling'; it is an option of embed, not of "):
            method(None, "nowhere", pooling="max")


def test_options_beside_features_are_refused_by_name():
    refuse_options({})
    with pytest.raises(OptionError, match="embedded already: pooling, views would change nothing"):
        refuse_options({"pooling": "max", "views": 1})


@every_option
def test_the_type_of_an_option_takes_its_default(name):
    kind, default = type_of(name), OPTIONS[name].default
    assert default is None or isinstance(default, kind), f"{default!r} is no {kind}"
    assert default is not None or type(None) in kind.__args__, kind
