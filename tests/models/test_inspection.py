"""What a model file is can be told without trusting it, in little memory, whatever it holds."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from hashlib import sha256
from html import escape
from pathlib import Path

import fakes
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import featx
from featx.errors import ModelFileError
from featx.export.metadata import ExportMetadata, attach
from featx.learning.classifiers import CLASSIFIERS
from featx.models.audited import OBJECTS
from featx.models.model import ImageClassifier

from . import hostile_files
from .test_model_file import attacks, rewrite, skops_file

RELEASED = Path(__file__).parents[1] / "released"
MODELS = sorted((RELEASED / "models").glob("*.featx"))
MOST = 100  # MB


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_of_any_format_is_told_as_it_is(path):
    found, about = featx.inspect(path), fakes.about(path)
    assert (found.kind, found.format, found.problems) == ("featx model", about["format"], ())
    assert found.n_bytes == path.stat().st_size
    assert found.digest == sha256(path.read_bytes()).hexdigest()
    assert list(found.classes) == about["classes"]
    assert found.recipe.to_dict() == about["recipe"]
    assert found.views == about.get("views", 0)
    assert (found.rejection is not None) == ("rejection" in about)
    assert found.n_prototypes == about.get("familiarity", {}).get("n_prototypes", 0)
    with zipfile.ZipFile(path) as archive:
        assert found.members == {each.filename: each.file_size for each in archive.infolist()}
    assert found.unknown_types == ()
    if path.stem != "cnn":  # which needs Keras
        assert found.training.accuracy == featx.load(path).card.accuracy
        assert found.training.weights == featx.load(path).card.weights


@pytest.mark.usefixtures("fake_engine")
def test_what_training_knew_is_told_in_words_in_json_and_in_a_notebook(photos, tmp_path):
    path = tmp_path / "m.featx"
    model = featx.train(photos, "centroid", validation=True, keep_pictures=1)
    model.save(path)
    found = featx.inspect(path)
    assert found.training == model.card
    text = found.summary
    assert text.startswith(f"{path}: featx model of format 5, ")
    for line in (
        f"SHA-256 {found.digest}",
        "3 classes: blue (6), green (6), red (6)",
        f"accuracy: {model.card.measured}",
        f"recipe: {model.recipe}",
        "answers every picture",
        f"keeps 3 small training pictures, {fakes_size(found)}: whoever has it can see them",
    ):
        assert f"\n{line}" in text, text
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["accuracy"] == model.card.accuracy.value
    assert document["accuracy_low"] == model.card.accuracy.low
    assert document["method"] == model.card.measured.method
    assert document["training"] == model.card.to_dict()
    assert document["n_pictures"] == 3
    assert document["fingerprint"] == model.recipe.fingerprint
    assert "<pre>" in found._repr_html_()
    assert repr(found) == text


def fakes_size(found) -> str:
    from featx.text import size

    return size(found.picture_bytes)


@pytest.mark.parametrize("name", [name for name, spec in CLASSIFIERS.items() if not spec.pixels])
def test_the_types_of_every_classifier_are_known_to_be_safe(name, cloud, tmp_path):
    featx.train(cloud(each=6), name).save(tmp_path / "m.featx")
    found = featx.inspect(tmp_path / "m.featx")
    assert found.unknown_types == found.problems == ()
    assert {each.name for each in found.types} & OBJECTS
    assert all(each.n_objects > 0 for each in found.types)


def test_functions_are_known_where_they_are_elementwise(tmp_path):
    X, y = np.abs(np.random.default_rng(0).normal(size=(8, 3))), list("aabbaabb")
    for function, known in ((np.sqrt, True), (np.negative, True)):
        steps = (FunctionTransformer(function), StandardScaler(), LogisticRegression())
        model = ImageClassifier(make_pipeline(*steps).fit(X, y), fakes.RECIPE)
        model.save(tmp_path / "m.featx")
        assert (featx.inspect(tmp_path / "m.featx").unknown_types == ()) == known
    harm = {"__class__": "fromfile", "__module__": "numpy", "__loader__": "FunctionNode"}
    rewrite(tmp_path / "m.featx", pipeline=skops_file(harm))
    assert featx.inspect(tmp_path / "m.featx").unknown_types == ("numpy.fromfile",)


@pytest.mark.parametrize("kind", attacks(Path("x")))
def test_a_type_that_would_do_harm_is_named_and_nothing_is_run(kind, cloud, tmp_path):
    path, canary = tmp_path / "m.featx", tmp_path / "canary"
    featx.train(cloud(), "centroid").save(path)
    state, named = attacks(canary)[kind]
    rewrite(path, pipeline=skops_file(state))
    found = featx.inspect(path)
    assert not canary.exists()
    assert named.rpartition(".")[0] in " ".join(found.unknown_types)
    assert f"NOT known to be safe: {found.unknown_types[0]}" in found.summary
    assert any("are not known to be safe" in each for each in found.problems)


def test_a_name_of_a_type_that_is_written_in_another_way_is_read_as_json_means_it(cloud, tmp_path):
    path = tmp_path / "m.featx"
    featx.train(cloud(), "centroid").save(path)
    schema = (
        b'{"content": "{\\"__class__\\": \\"dict\\"}", "__module__": "builtins", '
        b'"__class__": "dict", "\\u005f_class__": "ev\\u0061l", "__loader__": "DictNode"}'
    )
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("schema.json", schema)
    rewrite(path, pipeline=inner.getvalue())
    assert featx.inspect(path).unknown_types == ("builtins.eval",)


def test_what_is_wrong_with_a_file_is_told_and_the_rest_of_it_too(cloud, tmp_path):
    path = tmp_path / "m.featx"
    featx.train(cloud(), "centroid").save(path)
    about = fakes.about(path)
    fakes.rewrite(path, about | {"views": -1, "recipe": {}})
    found = featx.inspect(path)
    assert found.classes == ("ant", "bee", "cat")
    assert found.training.classifier == "centroid"
    assert [each.partition(":")[0] for each in found.problems] == ["recipe", "views"]
    assert "\nwrong: views: they are no number of views" in found.summary
    for change, reason in (
        ({"format": 99}, "its format is none of 1 to 5; update featx"),
        ({"classes": ["ant"]}, "classes: 1 class, expected two or more"),
        ({"card": {}}, "card: it has no counts"),
        ({"examples": {"sizes": [3]}}, "examples: its pictures are cut off"),
    ):
        fakes.rewrite(path, about | change)
        assert reason in featx.inspect(path).problems
    fakes.rewrite(path, about, **{"more.exe": b"x"})
    assert featx.inspect(path).problems == ("it holds what no model does: more.exe",)


OTHERS = {
    "features/one.npz": ("arrays of numpy", "featx train"),
    "features/one.npy": ("an array of numpy", "featx train"),
    "features/one.parquet": ("a table in Parquet", "featx train"),
    "README.md": ("no featx model", "expected a model"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_file_is_told_as_what_it_seems_to_be(name):
    found = featx.inspect(RELEASED / name)
    kind, advice = OTHERS[name]
    assert not found.is_model
    assert found.kind.startswith(kind)
    assert advice in found.advice
    with pytest.raises(ModelFileError, match="says too little of itself for a card"):
        found.card()


@pytest.mark.parametrize("suffix", [".keras", ".tflite", ".xml"])
def test_an_exported_model_is_told_with_its_classes_and_recipe(suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    beginnings = {".tflite": b"\x1c\0\0\0TFL3" + bytes(100), ".xml": b'<?xml version="1.0"?></net>'}
    if suffix in beginnings:
        path.write_bytes(beginnings[suffix])
    metadata = ExportMetadata(("ant", "b\x1bee"), fakes.RECIPE, featx="0.1.0", date="2026-01-31")
    attach(path, metadata)
    found = featx.inspect(path)
    assert found.kind == "model exported by featx 0.1.0 on 2026-01-31"
    assert (found.classes, found.recipe, found.problems) == (("ant", "b\x1bee"), fakes.RECIPE, ())
    assert f"\n2 classes: ant, b\\x1bee\nrecipe: {fakes.RECIPE}\n" in found.summary
    deep = json.dumps(metadata.to_dict())[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    for text in ("[" * 100_000, deep, '{"format": 1}'):
        damage(path, text)
        assert not featx.inspect(path).kind.startswith("model")


def damage(path, text):
    """Let an exported file say something else."""
    if path.suffix == ".xml":
        path.write_text(f"<?xml version='1.0'?><net><featx value=\"{escape(text)}\" /></net>")
        return
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("featx.json", text)


# ---------------------------------------------------------------- the card


def test_the_card_has_the_usual_headings_and_what_hubs_read():
    page = featx.inspect(RELEASED / "models" / "card.featx").card()
    head, _, body = page.removeprefix("---\n").partition("\n---\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    assert fields == {
        "license": "other",
        "library_name": "featx",
        "pipeline_tag": "image-classification",
    }
    assert [line for line in body.splitlines() if line.startswith("#")] == [
        "# card.featx",
        *("## Model details", "## Intended use", "## Training data", "## Evaluation"),
        *("## Limitations", "## How to use"),
    ]
    assert "| ant | 6 |" in body
    assert "| 66.7 % | 32.5 % to 89.3 % | cross-validated on 18 pictures: 5 folds" in body
    assert "The smallest class, ant, has 6 training pictures" in body


def test_a_card_of_hostile_names_is_plain_text(tmp_path):
    names = ["<script>alert(1)</script>", "a|b\n# c", "[x](javascript:alert(1))", "\x1b[31m`code`"]
    X = np.random.default_rng(0).normal(size=(16, 4)) + np.repeat(np.arange(4), 4)[:, None]
    features = fakes.as_features(X, np.repeat(names, 4).tolist())
    path = tmp_path / "![x](y).featx"
    featx.train(features, "centroid").save(path)
    page = featx.inspect(path).card()
    assert "<script" not in page
    assert "[x](javascript" not in page
    assert "\x1b" not in page
    assert [line for line in page.splitlines() if line.startswith("# ")] == [r"# \!\[x\](y).featx"]
    assert "featx predict model.featx photos/" in page


# ---------------------------------------------------------------- files that mean harm


@pytest.mark.parametrize("name", hostile_files.FILES)
def test_a_hostile_file_takes_little_memory_and_is_told(name, tmp_path):
    path = tmp_path / "m.featx"
    hostile_files.FILES[name](path)
    peak, told = hostile_files.inspected(path)
    assert peak < MOST, told
    assert "\nwrong: " in told or name == "a pickle"
    assert not told.startswith("refused")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", hostile_files.NO_FILES)
def test_what_is_no_file_is_refused_in_a_line(name, tmp_path):
    path = tmp_path / "m.featx"
    hostile_files.NO_FILES[name](path)
    peak, told = hostile_files.inspected(path)
    assert peak < MOST
    assert told.startswith(f"refused: cannot look into {path}: ")
    assert told.count("\n") == 1


def test_a_sound_file_takes_little_memory_and_needs_no_heavy_library():
    peak, told = hostile_files.inspected(hostile_files.MODEL)
    assert peak < MOST
    assert "wrong: " not in told


def test_damaged_files_are_told_and_raise_nothing_else():
    done = hostile_files.try_mutations(first=0, number=100)
    assert done["wrong"] > 20
    assert done["no model"] > 20


def test_the_shell_prints_writes_and_ends_with_a_status(tmp_path):
    model, card = RELEASED / "models" / "card.featx", tmp_path / "README.md"

    def run(*words):
        command = [sys.executable, "-m", "featx", "inspect", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run(model, "--card", card)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{featx.inspect(model).summary}\nwrote {card}\n"
    assert card.read_text() == featx.inspect(model).card()
    document = json.loads(run(model, "--json").stdout)
    assert document == featx.inspect(model).to_dict() | {"card": None}
    assert run(RELEASED / "README.md").returncode == 1
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
