"""The reference in docs/reference is what the docstrings say, and they say what the code takes."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import inspect
from pathlib import Path

import pytest

import featx
from featx import errors
from featx.features.options import OPTIONS

DOCS = Path(__file__).resolve().parents[1] / "docs"


def loaded(path: Path):
    """Import a script that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = loaded(DOCS / "make_reference.py")
VALUES = {name: getattr(featx, name) for name in featx.__all__}
FUNCTIONS = {name: value for name, value in VALUES.items() if inspect.isfunction(value)}
CLASSES = {name: value for name, value in VALUES.items() if inspect.isclass(value)}
CONSTANTS = sorted(VALUES.keys() - FUNCTIONS.keys() - CLASSES.keys())
METHODS = {
    f"{name}.{method}": function
    for name, cls in CLASSES.items()
    for method, function in reference.methods(cls).items()
}
PROPERTIES = {
    f"{name}.{each}": getter
    for name, cls in CLASSES.items()
    for each, getter in reference.properties(cls).items()
}
DESCRIBED = FUNCTIONS | CLASSES | METHODS | PROPERTIES


def parameters(value) -> dict[str, inspect.Parameter]:
    found = inspect.signature(value).parameters
    return {name: each for name, each in found.items() if name not in ("self", "cls")}


def test_the_pages_are_what_the_docstrings_say():
    new = reference.pages()
    assert {path.name for path in reference.FOLDER.iterdir()} == set(new)
    stale = [name for name in new if (reference.FOLDER / name).read_text() != new[name]]
    assert stale == [], "run `python docs/make_reference.py`"


def test_the_pages_describe_every_public_name():
    assert sorted(reference.public_modules()) == sorted(featx.__all__)


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_docstring_begins_with_a_sentence(name):
    summary = reference.documentation(DESCRIBED[name]).short_description
    assert summary, f"{name} has no docstring"
    text = inspect.getdoc(DESCRIBED[name]).partition("\n\n")[0]
    assert text.endswith("."), f"{name}: {text}"


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_has_a_comment(name):
    assert reference.comment_on(name).endswith("."), f"no lines with #: above {name}"


def told_and_taken(value) -> tuple[list[str], list[str]]:
    """Return the parameters that are described, and those that there are.

    The last ones may be options of embedding, described as "**options" by referring to `embed`.
    """
    told, taken = list(reference.described(value)), list(parameters(value))
    if "**options" in told:
        told.remove("**options")
        taken = [each for each in taken if each in told or each not in OPTIONS]
    return told, taken


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_parameters_of_a_function_are_described_in_order(name):
    told, taken = told_and_taken(FUNCTIONS[name])
    assert told == taken


@pytest.mark.parametrize("name", METHODS)
def test_a_method_describes_its_parameters_all_or_none(name):
    told, taken = told_and_taken(METHODS[name])
    assert sorted(told) in (sorted(taken), [])


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_describes_what_it_is_made_of(name):
    if issubclass(CLASSES[name], Exception):
        return
    kin = [each for each in CLASSES[name].__mro__ if each in CLASSES.values()]
    told = {
        each
        for cls in kin
        for kind in ("param", "attribute")
        for each in reference.described(cls, kind)
    }
    missing = [each for each in parameters(CLASSES[name]) if each not in told]
    assert missing == [], f"{name} says nothing of these"


@pytest.mark.parametrize("name", FUNCTIONS | CLASSES | METHODS)
def test_a_default_is_described_as_it_is(name):
    value = (FUNCTIONS | CLASSES | METHODS)[name]
    told = {
        each: ast.literal_eval(kind.partition("default=")[2])
        for each, kind in reference.described(value).items()
        if "default=" in kind
    }
    if told:
        taken = {each: parameter.default for each, parameter in parameters(value).items()}
        assert told == {each: taken[each] for each in told}


@pytest.mark.parametrize("name", DESCRIBED)
def test_what_is_raised_are_errors_that_exist(name):
    raised = [
        error
        for item in reference.documentation(DESCRIBED[name]).raises
        for error in item.type_name.split(", ")
    ]
    unknown = [each for each in raised if not hasattr(errors, each) and not hasattr(builtins, each)]
    assert unknown == []
