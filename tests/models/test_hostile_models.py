"""A model file whose arrays do not fit, or whose values cannot be, is refused in a line."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import fakes
import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import featx
from featx.errors import ModelFileError
from featx.models.model import ImageClassifier

from . import hostile_files, mutations
from .mutations import packed, unpacked


def save(estimator, path: Path) -> Path:
    """Save a model of three classes."""
    random = np.random.default_rng(0)
    y = np.repeat(["ant", "bee", "cat"], 12)
    X = (random.normal(size=(36, 8)) + np.arange(3).repeat(12)[:, None]).astype(np.float32)
    ImageClassifier(estimator.fit(X, y), fakes.RECIPE).save(path)
    return path


def found(value, name):
    """Yield the nodes that are called so, anywhere in a document."""
    if isinstance(value, dict):
        if isinstance(value.get(name), dict):
            yield value[name]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from found(each, name)


def change(path: Path, name: str, function, which: int = 0) -> None:
    """Change the array, or the plain value, of an attribute in a file."""
    members = unpacked(path.read_bytes())
    inner = unpacked(members["pipeline.skops"])
    schema = json.loads(inner["schema.json"])
    node = list(found(schema, name))[which]
    if "file" in node:
        buffer = io.BytesIO()
        old = np.load(io.BytesIO(inner[node["file"]]))
        np.save(buffer, function(old))
        inner[node["file"]] = buffer.getvalue()
    else:
        node["content"] = json.dumps(function(json.loads(node["content"])))
        for same in found(schema, name):
            if same.get("__id__") == node["__id__"]:
                same["content"] = node["content"]
    inner["schema.json"] = json.dumps(schema).encode()
    members["pipeline.skops"] = packed(inner)
    path.write_bytes(packed(members))


def put(*places):
    """Return a function that writes values at places of a copy: (index or field, index, value)."""

    def changed(array):
        array = array.copy()
        for *place, value in places:
            target = array
            for step in place[:-1]:
                target = target[step]
            target[place[-1]] = value
        return array

    return changed


SVM, TREE, FOREST = SVC(), DecisionTreeClassifier(), RandomForestClassifier(2, random_state=0)
KNN = KNeighborsClassifier(3, algorithm="kd_tree")
BOOSTED = GradientBoostingClassifier(n_estimators=2, max_depth=2)
HISTOGRAMS = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=3)
HARM = {
    "support counts": (SVM, "_n_support", put((0, 10_000))),
    "negative support counts": (SVM, "_n_support", put((0, -5), (1, 41))),
    "short dual coefficients": (SVM, "_dual_coef_", lambda each: each[:, :-1].copy()),
    "one row of dual coefficients": (SVM, "_dual_coef_", lambda each: each[:1]),
    "short intercepts": (SVM, "_intercept_", lambda each: each[:1]),
    "no support vectors": (SVM, "support_vectors_", lambda each: each[:0]),
    "narrow support vectors": (SVM, "support_vectors_", lambda each: each[:, :2].copy()),
    "support vectors column by column": (SVM, "support_vectors_", np.asfortranarray),
    "support vectors of halves": (SVM, "support_vectors_", lambda each: each.astype("f4")),
    "support of long numbers": (SVM, "support_", lambda each: each.astype("i8")),
    "odd probabilities": (SVM, "_probA", lambda each: np.zeros(1)),
    "infinite support vectors": (SVM, "support_vectors_", put((0, 0, np.inf))),
    "another kernel": (SVM, "kernel", lambda each: "precomputed"),
    "a child far away": (TREE, "nodes", put(("left_child", 0, 1 << 40))),
    "a child before": (TREE, "nodes", put(("right_child", 2, 0))),
    "a child of itself": (TREE, "nodes", put(("left_child", 0, 0))),
    "a negative child": (TREE, "nodes", put(("left_child", 0, -7))),
    "one leaf marker": (TREE, "nodes", put(("right_child", 0, -1))),
    "two parents": (TREE, "nodes", put(("right_child", 0, 1))),
    "a column far away": (TREE, "nodes", put(("feature", 0, 1 << 40))),
    "a negative column": (TREE, "nodes", put(("feature", 0, -2))),
    "samples that are lost": (TREE, "nodes", put(("n_node_samples", 0, 1))),
    "no threshold": (TREE, "nodes", put(("threshold", 0, np.nan))),
    "fewer nodes": (TREE, "nodes", lambda each: each[:1].copy()),
    "no nodes": (TREE, "nodes", lambda each: each[:0].copy()),
    "values of two classes": (TREE, "values", lambda each: each[:, :, :2].copy()),
    "fewer values": (TREE, "values", lambda each: each[:-1].copy()),
    "values that are none": (TREE, "values", put((0, 0, 0, np.nan))),
    "a number of nodes": (TREE, "node_count", lambda each: each + 1),
    "a depth": (TREE, "max_depth", lambda each: 1 << 40),
    "columns of a tree": (TREE, "n_features_in_", lambda each: 7),
    "classes of a tree": (TREE, "n_classes_", put(((), 2))),
    "columns of a forest": (FOREST, "n_features_in_", lambda each: 9),
    "a node of a forest": (FOREST, "nodes", put(("left_child", 0, 1 << 40))),
    "trees of a boosting": (BOOSTED, "n_trees_per_iteration_", lambda each: 1),
    "a node of a boosting": (BOOSTED, "nodes", put(("left_child", 0, 1 << 40))),
    "a start of a boosting": (BOOSTED, "class_prior_", lambda each: each[:2]),
    "a child of histograms": (HISTOGRAMS, "nodes", put(("left", 0, 1 << 30))),
    "a column of histograms": (HISTOGRAMS, "nodes", put(("feature_idx", 0, 1 << 40))),
    "categories of histograms": (HISTOGRAMS, "nodes", put(("is_categorical", 0, 1))),
    "no leaf": (HISTOGRAMS, "nodes", put(("is_leaf", slice(None), 0))),
    "labels far away": (KNN, "_y", put((0, 1 << 40))),
    "negative labels": (KNN, "_y", put((0, -1))),
    "fewer labels": (KNN, "_y", lambda each: each[:-1]),
    "more neighbours than rows": (KNN, "n_neighbors", lambda each: 37),
    "fewer rows": (KNN, "_fit_X", lambda each: each[:5]),
    "a number of rows": (KNN, "n_samples_fit_", lambda each: 1000),
    "leaves of none": (KNN, "leaf_size", lambda each: 0),
    "a short row": (LogisticRegression(), "coef_", lambda each: each[:, :-1].copy()),
    "fewer classes": (LogisticRegression(), "coef_", lambda each: each[:2]),
    "a coefficient that is none": (LogisticRegression(), "coef_", put((0, 0, np.nan))),
    "classes out of order": (LogisticRegression(), "classes_", lambda each: each[::-1].copy()),
    "a thousand threads": (FOREST, "n_jobs", lambda each: 10**6),
}


@pytest.mark.parametrize(("own", "name", "function"), HARM.values(), ids=HARM)
def test_numbers_that_no_fit_leaves_are_refused(own, name, function, tmp_path):
    path = save(own, tmp_path / "m.featx")
    featx.load(path)
    change(path, name, function)
    with pytest.raises(ModelFileError, match="no featx model, or a damaged one") as error:
        featx.load(path)
    assert "\n" not in str(error.value)


def test_an_attribute_in_the_place_of_a_method_is_refused(tmp_path):
    path = save(SVC(), tmp_path / "m.featx")
    members = unpacked(path.read_bytes())
    text = members["pipeline.skops"]
    inner = unpacked(text)
    schema = json.loads(inner["schema.json"])
    own = schema["content"]["content"]
    own["_validate_for_predict"] = {
        "__class__": "positive",
        "__module__": "numpy",
        "__loader__": "FunctionNode",
    }
    schema["content"]["key_types"]["content"].append(schema["content"]["key_types"]["content"][0])
    inner["schema.json"] = json.dumps(schema).encode()
    members["pipeline.skops"] = packed(inner)
    path.write_bytes(packed(members))
    with pytest.raises(ModelFileError, match="with invalid attribute '_validate_for_predict'"):
        featx.load(path)


def edited(path: Path, function) -> None:
    """Let the schema of the pipeline in a file be another one."""
    members = unpacked(path.read_bytes())
    inner = unpacked(members["pipeline.skops"])
    inner["schema.json"] = function(json.loads(inner["schema.json"])).encode()
    members["pipeline.skops"] = packed(inner)
    path.write_bytes(packed(members))


def test_an_object_that_stands_for_another_is_refused(tmp_path):
    path = save(DecisionTreeClassifier(), tmp_path / "m.featx")

    def exchange(schema):
        (nodes,) = found(schema, "nodes")
        (values,) = found(schema, "values")
        nodes["__id__"] = values["__id__"]
        return json.dumps(schema)

    edited(path, exchange)
    with pytest.raises(ModelFileError, match="two objects of one identity"):
        featx.load(path)


@pytest.mark.parametrize("protocol", [0, 1, True, "2", None, -1, 10**400])
def test_an_older_or_odd_protocol_of_skops_is_refused(protocol, tmp_path):
    path = save(LogisticRegression(), tmp_path / "m.featx")
    edited(path, lambda schema: json.dumps(schema | {"protocol": protocol}))
    with pytest.raises(ModelFileError, match="protocol"):
        featx.load(path)


@pytest.mark.parametrize("depth", [500, 100_000])
def test_deep_nesting_is_refused(depth, tmp_path):
    path = save(LogisticRegression(), tmp_path / "m.featx")
    deep = "[" * depth + "]" * depth
    edited(path, lambda schema: json.dumps(schema)[:-1] + f', "deep": {deep}}}')
    with pytest.raises(ModelFileError, match="a damaged one"):
        featx.load(path)
    about = json.dumps(fakes.about(path))
    members = unpacked(path.read_bytes())
    members["model.json"] = (about[:-1] + f', "views": {deep}}}').encode()
    path.write_bytes(packed(members))
    with pytest.raises(ModelFileError, match="a damaged one"):
        featx.load(path)


def test_members_that_unpack_to_far_more_are_refused_unread(tmp_path):
    path = save(LogisticRegression(), tmp_path / "m.featx")
    about = json.dumps(fakes.about(path))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", about)
        with archive.open("pipeline.skops", "w") as member:
            for _ in range(40):
                member.write(bytes(10_000_000))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ModelFileError, match=r"it would unpack to 400\.0 MB"):
        featx.load(path)


def test_members_packed_twice_too_many_or_twice_named_are_refused(tmp_path):
    path = save(LogisticRegression(), tmp_path / "m.featx")
    whole = unpacked(path.read_bytes())
    inner = unpacked(whole["pipeline.skops"])
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (inner | {"zeros": bytes(100_000)}).items():
            archive.writestr(name, content)
    path.write_bytes(packed(whole | {"pipeline.skops": twice.getvalue()}))
    with pytest.raises(ModelFileError, match="members that are packed twice"):
        featx.load(path)
    path.write_bytes(packed(whole | dict.fromkeys("abcd", b"")))
    with pytest.raises(ModelFileError, match="6 members instead of 5 at most"):
        featx.load(path)


@pytest.mark.parametrize("within", [False, True])
def test_a_list_of_members_that_would_take_gigabytes_is_refused_unread(within, tmp_path):
    path = tmp_path / "m.featx"
    hostile_files.many_members(path, 100_000, 20)
    if within:
        members = hostile_files.members() | {"pipeline.skops": path.read_bytes()}
        hostile_files.packed(members, path)
    with pytest.raises(ModelFileError, match="its list of members cannot take"):
        featx.load(path)


def test_a_comment_behind_a_file_is_passed_over_and_anything_else_is_not(tmp_path):
    path = save(LogisticRegression(), tmp_path / "m.featx")
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"of ants, bees and cats" * 1000
    assert featx.load(path).classes == featx.inspect(path).classes == ("ant", "bee", "cat")
    path.write_bytes(path.read_bytes() + bytes(100))
    assert not featx.inspect(path).is_model
    with pytest.raises(ModelFileError, match="something stands behind its list of members"):
        featx.load(path)


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 4), (-1,), (1,)])
def test_an_array_of_another_length_than_it_says_is_refused(shape, tmp_path):
    path = save(LogisticRegression(), tmp_path / "m.featx")
    members = unpacked(path.read_bytes())
    inner = unpacked(members["pipeline.skops"])
    name = next(name for name in inner if b"'shape': (3, 8)" in inner[name])
    old, new = b"(3, 8), }", repr(shape).encode() + b", }"
    inner[name] = inner[name].replace(old + b" " * (len(new) - len(old)), new)
    members["pipeline.skops"] = packed(inner)
    path.write_bytes(packed(members))
    with pytest.raises(ModelFileError, match="a damaged one"):
        featx.load(path)


VALUES = {
    "input_size": ["224", 20_000, 0, -1, True, 10**400, [224], None],
    "backbone": [["resnet50"], None, 5, "x" * 2000],
    "weights": [None, 3, {}],
    "pooling": [[], "", None, 3],
    "decode": [None, "full/9", [], "x" * 5000],
    "layer": [[], 3, "x" * 2000],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in VALUES for value in VALUES[name]],
    ids=lambda value: repr(value)[:20],
)
def test_values_of_a_recipe_that_cannot_be_are_refused(name, value, tmp_path):
    path = save(LogisticRegression(), tmp_path / "m.featx")
    about = fakes.about(path)
    fakes.rewrite(path, about | {"recipe": about["recipe"] | {name: value}})
    with pytest.raises(ModelFileError) as error:
        featx.load(path)
    assert re.search(rf"{name}.*expected", str(error.value))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path))


@pytest.mark.parametrize("classes", [["ant"], ["bee", "ant", "cat"], None, 3, [1, 2, 3]])
def test_a_file_whose_classes_are_not_those_of_its_pipeline_is_refused(classes, tmp_path):
    path = save(LogisticRegression(), tmp_path / "m.featx")
    fakes.rewrite(path, fakes.about(path) | {"classes": classes})
    with pytest.raises(ModelFileError, match="its classes are not those of its pipeline"):
        featx.load(path)


def test_a_recipe_of_another_width_is_told_at_the_first_prediction(tmp_path):
    model = featx.load(save(LogisticRegression(), tmp_path / "m.featx"))
    features = fakes.as_features(np.zeros((2, 9)), ["ant", "bee"])
    with pytest.raises(ModelFileError, match="learned from 8 columns, but its recipe gives 9"):
        model.predict(features)


def test_what_fails_at_a_prediction_is_told_in_a_line(tmp_path):
    voting = VotingClassifier([("a", LogisticRegression()), ("b", SVC())])
    model = featx.load(save(voting, tmp_path / "m.featx"))
    features = fakes.as_features(np.full((2, 8), np.nan), ["ant", "bee"])
    with pytest.raises(ModelFileError, match=r"m\.featx cannot predict these images \(.*NaN"):
        model.predict(features)


def test_mutated_files_neither_crash_nor_raise_anything_else():
    done = mutations.main(first=0, count=40)
    assert done["refused"] > done["loaded"] > 0


@pytest.mark.parametrize("number", [True, "2", None, [[[[]]] * 300], 10**400])
def test_a_format_that_is_none_is_told_in_few_words(number, tmp_path):
    path = save(LogisticRegression(), tmp_path / "m.featx")
    fakes.rewrite(path, fakes.about(path) | {"format": number})
    with pytest.raises(ModelFileError, match=r"is a model of format .{1,24}, expected 5 or less"):
        featx.load(path)
