"""A model file holds no pickle, runs nothing, and is written whole or not at all."""

import errno
import inspect
import io
import json
import os
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pytest
import skops.io
from sklearn.cluster import Birch
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from featx.errors import ModelFileError, OptionError, StorageError
from featx.learning.classifiers import CLASSIFIERS
from featx.learning.learner import Learner, make_classifier
from featx.models import model_file
from featx.models.audited import FUNCTIONS, OBJECTS, TRUSTED_TYPES
from featx.models.load import load
from featx.models.model_file import ABOUT, PIPELINE
from featx.models.train import train

PIPELINES = [name for name, spec in CLASSIFIERS.items() if not spec.pixels]
SHAPES = {  # images in each class, width, number format
    "few": (3, 12, np.float32),
    "one by one": (1, 12, np.float32),
    "wide": (4, 3000, np.float32),
    "narrow": (40, 3, np.float32),
    "double": (6, 12, np.float64),
}


def fitted_with_views(name):
    """Fit a classifier to images and a view of each."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(12, 8)).astype(np.float32), np.repeat(["ant", "bee"], 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner = Learner.of(name)
        return learner.fit(learner.build_for(y, 8, views=1), X, y, [X + 1])


def fitted(name: str, each: int, width: int, dtype: type):
    random = np.random.default_rng(0)
    y = np.tile(["ant", "bee", "cat"], each)
    X = (random.normal(size=(len(y), width)) + 5 * np.arange(len(y))[:, None] % 3).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_classifier(name, each, width).fit(X, y)


@pytest.fixture(scope="module")
def strange_types() -> dict[tuple[str, str], set[str]]:
    """What skops does not trust by itself in each fitted classifier, by name and shape."""
    return {
        (name, shape): set(
            skops.io.get_untrusted_types(data=skops.io.dumps(fitted(name, *SHAPES[shape])))
        )
        for name in PIPELINES
        for shape in SHAPES
    } | {
        (name, "views"): set(
            skops.io.get_untrusted_types(data=skops.io.dumps(fitted_with_views(name)))
        )
        for name in PIPELINES
    }


def test_the_trusted_types_are_enough_for_every_classifier_on_any_shape(strange_types):
    missing = {key: types - set(TRUSTED_TYPES) for key, types in strange_types.items()}
    assert not {key: types for key, types in missing.items() if types}


MENDS = {"IsotonicRegression", "PassiveAggressiveClassifier", "TreePredictor"}  # what it is given


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_an_audited_type_is_a_class_in_python_without_a_way_of_its_own_to_be_rebuilt(name):
    module, _, attribute = name.rpartition(".")
    kind = getattr(__import__(module, fromlist=[attribute]), attribute)
    assert isinstance(kind, type), f"{name} is a function, which a file could have called"
    source = sys.modules[module].__file__ or ""
    assert source.endswith(".py"), f"{name} is compiled: {source}"
    ways = {"__setstate__", "__reduce__", "__reduce_ex__", "__new__"}
    owners = {base.__name__ for base in kind.__mro__ if ways & set(vars(base))}
    assert owners <= {"object", "BaseEstimator", *MENDS}, owners  # the second's copies attributes


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_an_audited_function_is_one_of_scikit_learn(name):
    module, _, attribute = name.rpartition(".")
    function = getattr(__import__(module, fromlist=[attribute]), attribute)
    assert inspect.isfunction(function)
    assert function.__module__ == module


# ---------------------------------------------------------------- files that mean harm


@pytest.fixture
def saved(cloud, tmp_path) -> Path:
    path = tmp_path / "model.featx"
    train(cloud(each=4, width=5), "centroid").save(path)
    return path


def rewrite(path: Path, **members) -> None:
    """Replace members of a model file, by the first part of their names."""
    with zipfile.ZipFile(path) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    names = {"model": ABOUT, "pipeline": PIPELINE}
    for key, content in members.items():
        old[names[key]] = content
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in old.items():
            if content is not None:
                archive.writestr(name, content)


def skops_file(state: dict) -> bytes:
    """Write what skops would read: an object described by hand."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(1))) as archive:
        protocol = json.loads(archive.read("schema.json"))["protocol"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", json.dumps(state | {"protocol": protocol}))
    return buffer.getvalue()


def text(value: str) -> dict:
    return {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(value),
        "is_json": True,
    }


def node(module: str, name: str, loader: str, **more) -> dict:
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


def attacks(canary: Path) -> dict[str, tuple[dict, str]]:
    """Write what would make a file if it were called, in every way that skops can call."""
    command = f"touch {canary}"
    arguments = node("builtins", "tuple", "TupleNode", content=[text(command)])
    nothing = node("builtins", "dict", "DictNode", content={}, key_types=_list())
    code = node("builtins", "tuple", "TupleNode", content=[text(f"open({str(canary)!r}, 'w')")])
    return {
        "os.system": (
            node("os", "system", "ConstructorFromReduceNode", content=arguments),
            "os.system",
        ),
        "builtins.eval": (
            node("builtins", "eval", "ConstructorFromReduceNode", content=code),
            "builtins.eval",
        ),
        "a partial": (
            node(
                "functools",
                "partial",
                "PartialNode",
                content={
                    "func": node("os", "system", "FunctionNode"),
                    "args": arguments,
                    "kwds": nothing,
                    "namespace": nothing,
                },
            ),
            "os.system",
        ),
        "a key of a dictionary": (
            node(
                "builtins",
                "dict",
                "DictNode",
                content={command: text("x")},
                key_types=_list(node("os", "system", "TypeNode")),
            ),
            "os.system",
        ),
        "a list": (node("os", "system", "ListNode", content=[text(command)]), "os.system"),
        "an operator": (
            node("operator", "methodcaller", "OperatorFuncNode", attrs=arguments),
            "operator.methodcaller",
        ),
        "a method": (
            node(
                "builtins",
                "str",
                "MethodNode",
                content={"func": "format", "obj": text(command)},
            ),
            "builtins.str.format",
        ),
        "a step in a pipeline": (
            node(
                "sklearn.preprocessing._function_transformer",
                "FunctionTransformer",
                "ObjectNode",
                content=node(
                    "builtins",
                    "dict",
                    "DictNode",
                    content={"func": node("shutil", "rmtree", "FunctionNode")},
                    key_types=_list(node("builtins", "str", "TypeNode")),
                ),
            ),
            "shutil.rmtree",
        ),
    }


def _list(*nodes: dict) -> dict:
    return node("builtins", "list", "ListNode", content=list(nodes))


def test_a_tree_of_its_own_constructor_is_refused(saved):
    nothing = node("builtins", "dict", "DictNode", content={}, key_types=_list())
    arguments = node("builtins", "tuple", "TupleNode", content=[text("touch canary")])
    reduce = {"args": arguments}
    tree = node("sklearn.tree._tree", "Tree", "TreeNode", content=nothing, __reduce__=reduce)
    rewrite(saved, pipeline=skops_file(tree))
    with pytest.raises(ModelFileError, match="a damaged one"):
        load(saved)


def test_a_tree_is_made_by_the_loader_that_checks_it_and_no_other(saved):
    arguments = node("builtins", "tuple", "TupleNode", content=[])
    made = node("sklearn.tree._tree", "Tree", "ConstructorFromReduceNode", content=arguments)
    rewrite(saved, pipeline=skops_file(made))
    with pytest.raises(ModelFileError, match=r"not known to be safe: sklearn\.tree\._tree\.Tree;"):
        load(saved)


@pytest.mark.parametrize("kind", attacks(Path("x")))
def test_a_file_that_names_a_function_is_refused_by_name_and_runs_nothing(saved, tmp_path, kind):
    canary = tmp_path / "canary"
    state, named = attacks(canary)[kind]
    rewrite(saved, pipeline=skops_file(state))
    with pytest.raises(ModelFileError) as caught:
        load(saved)
    assert not canary.exists(), "the file ran a command"
    assert str(caught.value).startswith(f"{saved} holds types that are not known to be safe: "), (
        caught.value
    )
    assert named in str(caught.value)


def test_the_attacks_of_these_tests_do_run_where_they_are_trusted(saved, tmp_path):
    canary = tmp_path / "canary"
    state, named = attacks(canary)["os.system"]
    rewrite(saved, pipeline=skops_file(state))
    with pytest.raises(ModelFileError, match="not a fitted classifier"):
        load(saved, trusted=[named])
    assert canary.exists()


def test_a_model_file_holds_no_pickle(saved):
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(io.BytesIO(members[PIPELINE])) as inner:
            members |= {name: inner.read(name) for name in inner.namelist()}
    assert {ABOUT, PIPELINE, "schema.json"} <= set(members)
    kinds = {name: Path(name).suffix for name in members}
    assert set(kinds.values()) == {".json", ".skops", ".npy"}, kinds
    for name, content in members.items():
        if kinds[name] == ".npy":
            np.load(io.BytesIO(content), allow_pickle=False)
        elif kinds[name] == ".json":
            json.loads(content)


def test_a_pickle_in_the_place_of_a_model_is_refused_unread(tmp_path):
    path = tmp_path / "model.featx"
    path.write_bytes(b"cos\nsystem\n(S'touch " + os.fsencode(tmp_path / "canary") + b"'\ntR.")
    with pytest.raises(ModelFileError, match="no featx model"):
        load(path)
    assert not (tmp_path / "canary").exists()


# ---------------------------------------------------------------- pipelines of one's own


def test_a_step_that_needs_pickle_is_told_when_it_is_saved(cloud, tmp_path):
    features = cloud(each=8, width=4)
    model = train(features, make_pipeline(Birch(n_clusters=2), GaussianNB()))
    with pytest.raises(OptionError, match=r"cannot be saved without pickle .*Birch.*replace"):
        model.save(tmp_path / "own.featx")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- files that are damaged


def one_line(path: Path, error=ModelFileError) -> str:
    with pytest.raises(error) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert len(message) < 300 + len(str(path)), message
    return message


FOREIGN = {
    "empty": b"",
    "text": b"not a model",
    "a png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "an empty zip": b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_no_model_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "model.featx"
    path.write_bytes(content)
    message = one_line(path)
    assert message.startswith(f"{path} is no featx model, or a damaged one (")
    assert message.endswith("); train it again")


def test_features_are_no_model(cloud, tmp_path):
    cloud().save(tmp_path / "features.npz")
    assert "is no featx model" in one_line(tmp_path / "features.npz")


@pytest.mark.parametrize("name", ["missing.featx", "."])
def test_a_missing_file_and_a_folder_are_told(tmp_path, name):
    path = tmp_path / name
    assert one_line(path) == f"no model file {path}: expected one that `featx train` wrote"


def test_a_model_cut_off_anywhere_is_told_in_one_line(saved):
    whole = saved.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        saved.write_bytes(whole[:length])
        assert "is no featx model, or a damaged one" in one_line(saved), length


def test_a_model_with_flipped_bytes_is_told_or_means_the_same(saved, cloud):
    features = cloud(each=4, width=5)
    whole = saved.read_bytes()
    expected = load(saved).predict_proba(features)
    random = np.random.default_rng(0)
    told = 0
    for position in random.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        saved.write_bytes(damaged)
        try:
            loaded = load(saved)
        except ModelFileError:
            told += 1
        else:  # a byte that is not read, such as one of a date
            assert np.array_equal(loaded.predict_proba(features), expected), position
    assert told > 40


def edited(**changes):
    def edit(about: dict) -> str:
        return json.dumps(about | changes)

    return edit


BAD_ABOUTS = {
    "not JSON": (lambda about: "{", "Expecting property name"),
    "a list": (lambda about: "[]", "list indices"),
    "no format": (lambda about: json.dumps({}), "'format'"),
    "no weights": (
        lambda about: json.dumps({k: v for k, v in about.items() if k != "weights"}),
        "'weights'",
    ),
    "odd weights": (edited(weights=7), "weights is 7"),
    "no recipe": (edited(recipe=None), "None is no recipe"),
    "an older recipe": (edited(recipe={"backbone": "resnet50"}), "not a recipe of this version"),
    "a newer pooling": (
        lambda about: json.dumps(about | {"recipe": about["recipe"] | {"pooling": "gem"}}),
        "unknown pooling 'gem'",
    ),
}


@pytest.mark.parametrize(("edit", "reason"), BAD_ABOUTS.values(), ids=BAD_ABOUTS)
def test_a_model_that_says_odd_things_about_itself_is_told_why(saved, edit, reason):
    with zipfile.ZipFile(saved) as archive:
        about = json.loads(archive.read(ABOUT))
    rewrite(saved, model=edit(about))
    assert reason in one_line(saved)


@pytest.mark.parametrize("views", [-1, 65, "2", 1.5, None])
def test_a_file_with_a_number_of_views_that_cannot_be_is_damaged(saved, cloud, views):
    features = cloud(each=4, width=5)
    train(replace(features, views=(features.X,)), "centroid").save(saved)
    assert load(saved).views == 1
    fakes.rewrite(saved, fakes.about(saved) | {"views": views})
    assert "a damaged one" in one_line(saved)


def test_a_model_of_a_newer_format_is_told_with_both_numbers(saved):
    with zipfile.ZipFile(saved) as archive:
        about = json.loads(archive.read(ABOUT))
    rewrite(saved, model=json.dumps(about | {"format": 99}))
    assert one_line(saved) == (
        f"{saved} is a model of format 99, expected 5 or less; update featx or train again"
    )


def test_a_file_without_a_pipeline_or_with_another_object_is_told(saved):
    rewrite(saved, pipeline=skops.io.dumps({"no": "classifier"}))
    assert "a dict, not a fitted classifier" in one_line(saved)
    rewrite(saved, pipeline=skops.io.dumps(LogisticRegression()))
    assert "a LogisticRegression, not a fitted classifier" in one_line(saved)
    rewrite(saved, pipeline=b"")
    assert "is no featx model" in one_line(saved)
    rewrite(saved, pipeline=None)
    assert "pipeline.skops" in one_line(saved)


def test_a_file_that_may_not_be_read_is_told(saved, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(model_file.zipfile, "ZipFile", refuse)
    assert one_line(saved, StorageError) == f"cannot read {saved}: Permission denied"


# ---------------------------------------------------------------- places that cannot be written


def test_a_full_disk_leaves_the_older_model_as_it_was(saved, cloud, monkeypatch):
    older = saved.read_bytes()

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full; make room"):
        train(cloud(), "knn").save(saved)
    assert saved.read_bytes() == older
    assert list(saved.parent.iterdir()) == [saved]


def test_a_crash_while_writing_leaves_the_older_model_as_it_was(saved, cloud, monkeypatch):
    older = saved.read_bytes()
    monkeypatch.setattr(
        model_file.zipfile.ZipFile, "writestr", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        train(cloud(), "knn").save(saved)
    assert saved.read_bytes() == older
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.parametrize(
    ("place", "reason"),
    [("nowhere/model.featx", "there is no such folder"), ("folder", "it is a folder; name a file")],
)
def test_a_place_that_cannot_be_written_is_told(tmp_path, cloud, place, reason):
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=reason):
        train(cloud(), "centroid").save(tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_loading_imports_no_framework_that_happens_to_be_installed(tmp_path, saved):
    for name in ("torch", "cupy", "dask"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "__init__.py").write_text("")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "packages")!r})
from featx.models.load import load
load({str(saved)!r})
print(sorted({{"torch", "cupy", "dask", "tensorflow"}} & set(sys.modules)))
print([name for name, module in sys.modules.items() if "array_api" in name and module is None])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n[]\n", done.stderr
