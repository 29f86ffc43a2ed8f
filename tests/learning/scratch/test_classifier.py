"""A network from scratch is a classifier like any other, and a row of every comparison."""

import io
import json
import pickle
import random
import subprocess
import sys
import warnings
import zipfile
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import fakes
import numpy as np
import pytest
import skops.io
from PIL import Image
from sklearn.base import clone

import featx
from featx.errors import ModelFileError, OptionError
from featx.learning.learner import Learner, learners_of
from featx.learning.scratch import ScratchNetwork
from featx.learning.scratch.own_model import OwnModel
from featx.models.model_file import PIPELINE

pytestmark = pytest.mark.keras
THREES = [list(rows) for rows in product(range(6), range(6, 12), range(12, 18))]  # one a class


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Let the network be smaller still."""
    monkeypatch.setattr("featx.learning.scratch.baseline.FILTERS", (4, 8))


@pytest.fixture
def photos(tmp_path):
    return draw_folder(tmp_path / "photos", 6, seed=0)


@pytest.fixture
def new_photos(tmp_path):
    return draw_folder(tmp_path / "new_photos", 2, seed=1)


def draw_folder(root: Path, each: int, seed: int) -> Path:
    """Write pictures of three colours, unlike one another in all else."""
    random = np.random.default_rng(seed)
    for channel, name in enumerate(("red", "green", "blue")):
        (root / name).mkdir(parents=True)
        for number in range(each):
            picture = random.integers(0, 120, (16, 16, 3))
            picture[..., channel] += 130
            Image.fromarray(picture.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def pixels(photos):
    return featx.embed(photos, "pixels", input_size=16)


@pytest.fixture
def quick(monkeypatch):
    """Let the training of "cnn" end after a few epochs."""
    spec = replace(
        featx.CLASSIFIERS["cnn"],
        build=lambda *_: ScratchNetwork(epochs=12, learning_rate=0.01),
    )
    monkeypatch.setitem(featx.CLASSIFIERS, "cnn", spec)


def own_model(
    size=16, units=3, channels=3, loss="sparse_categorical_crossentropy", dropout=0.1, **dense
):
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((size, size, channels)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(units, **{"activation": "softmax"} | dense),
        ],
        name="mine",
    )
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model


def test_colours_are_learned_and_the_history_tells_how(photos, new_photos, quick, tmp_path):
    model = featx.train(photos, "cnn", input_size=16)
    assert model.evaluate(new_photos).accuracy > 0.8
    history = model.history
    assert list(history.columns) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.index.tolist() == list(range(1, len(history) + 1))
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    assert model.pipeline.best_epoch_ == history.val_loss.idxmin()
    assert (model.recipe.backbone, model.recipe.parts[0].square.size) == ("pixels", 16)
    featx.plot_history(model)


@pytest.mark.filterwarnings("ignore:the network 'mine' cannot tell")
@pytest.mark.parametrize("validation", [0, 0.2])
def test_an_epoch_reports_the_mean_of_all_its_pictures(pixels, validation):
    """Where nothing is learned, the losses are those of the network in the end."""
    import keras

    own = own_model(dropout=0)
    own.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    network = featx.make_classifier(own).set_params(epochs=2, batch_size=4, validation=validation)
    network.fit(pixels.matrix, pixels.y)
    shares = network.predict_proba(pixels.matrix)
    true = np.searchsorted(network.classes_, pixels.y)
    losses, hits = -np.log(shares[np.arange(18), true]), shares.argmax(axis=1) == true
    for _, epoch in network.history.iterrows():
        if not validation:
            assert epoch.loss == pytest.approx(losses.mean(), rel=1e-5)
            assert epoch.accuracy == pytest.approx(hits.mean())
        else:  # one of six of each class is held out
            assert 15 * epoch.loss + 3 * epoch.val_loss == pytest.approx(losses.sum(), rel=1e-5)
            together = 15 * epoch.accuracy + 3 * epoch.val_accuracy
            assert together == pytest.approx(hits.sum())
            assert min(abs(epoch.val_loss * 3 - losses[rows].sum()) for rows in THREES) < 1e-3


def test_training_ends_when_the_held_out_part_is_predicted_no_better(pixels):
    network = ScratchNetwork(epochs=40, patience=2, learning_rate=1.0).fit(pixels.matrix, pixels.y)
    assert len(network.history) == network.best_epoch_ + 2 < 40


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_and_its_copies_and_views_are_held_out_together(pixels, monkeypatch, seed):
    import keras

    n = len(pixels)
    matrix = pixels.matrix.copy()
    matrix[1] = matrix[0]  # a copy, in the folder twice
    picture_of = {row.tobytes(): i for view in range(3) for i, row in enumerate(matrix + view)}
    seen = {"train_on_batch": Counter(), "test_on_batch": Counter()}

    def watched(name):
        step = getattr(keras.Model, name)

        def watch(self, pictures, *args, **options):
            seen[name].update(picture_of[each.tobytes()] for each in np.asarray(pictures))
            return step(self, pictures, *args, **options)

        return watch

    for name in seen:
        monkeypatch.setattr(keras.Model, name, watched(name))
    learner = Learner.of(ScratchNetwork(epochs=1, random_state=seed))
    learner.fit(learner.build(), matrix, pixels.y, [matrix + 1, matrix + 2])
    learned, held = seen.values()
    assert not learned.keys() & held.keys()
    assert learned + held == Counter({i: 3 for i in range(2, n)}) + Counter({1: 6})
    assert len(held) == 3, "of each colour one of six pictures, or the copies"


def test_the_same_seed_gives_the_same_network_and_leaves_all_generators_alone(pixels):
    def fit(seed):
        network = ScratchNetwork(epochs=2, random_state=seed)
        return network.fit(pixels.matrix, pixels.y).predict_proba(pixels.matrix)

    fit(0)
    before = random.getstate(), np.random.get_state()[1].tolist()
    first, second, other = fit(0), fit(0), fit(1)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert np.array_equal(first, second)
    assert not np.allclose(first, other)


def types_in(value) -> set[type]:
    """Return the types of a value and of all that it holds."""
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {type(value)}.union(*map(types_in, held))


def test_it_is_cloned_pickled_and_fitted_anew_without_a_live_network(pixels):
    network = ScratchNetwork(epochs=1).fit(pixels.matrix, pixels.y)
    assert set(vars(clone(network))) == set(network.get_params())
    loaded = pickle.loads(pickle.dumps(network))
    assert types_in(vars(loaded)) <= {dict, list, str, int, float, bool, type(None), np.ndarray}
    expected = network.predict_proba(pixels.matrix)
    assert np.array_equal(loaded.predict_proba(pixels.matrix), expected)
    loaded.set_params(random_state=1).fit(pixels.matrix, pixels.y)
    changed = loaded.predict_proba(pixels.matrix)
    assert not np.allclose(changed, expected)
    again = pickle.loads(pickle.dumps(loaded))
    assert np.array_equal(again.predict_proba(pixels.matrix), changed), "an older network is left"


def test_one_or_two_pictures_a_class_are_all_learned_from(pixels):
    rows = [0, 1, 6, 12, 13]
    network = ScratchNetwork(epochs=2).fit(pixels.matrix[rows], pixels.y[rows])
    assert list(network.history.columns) == ["loss", "accuracy"]


def test_features_are_no_pixels(cloud):
    told = "learns from pixels: got the features of resnet50; use the backbone"
    for use in (featx.train, featx.cross_validate, featx.learning_curve):
        with pytest.raises(OptionError, match=told):
            use(cloud(width=30), "cnn")
    with pytest.raises(OptionError, match="none of the features are: add"):
        featx.compare(cloud(), classifiers=["logistic", "cnn"])
    with pytest.raises(OptionError, match="got 30 columns, expected those of square RGB"):
        ScratchNetwork().fit(np.zeros((4, 30), np.float32), ["a", "a", "b", "b"])


def test_a_backbone_goes_with_features_only(photos):
    with pytest.raises(OptionError, match="got the features of vgg16; use the backbone 'pixels'"):
        featx.train(photos, "cnn", backbone="vgg16")


# ---------------------------------------------------------------- in a comparison


@pytest.mark.filterwarnings("ignore:the weights of")
def test_a_comparison_has_one_network_from_scratch_whatever_the_backbones(
    photos, quick, fake_engine
):
    made = featx.compare(
        photos,
        ["resnet50", "vgg16"],
        classifiers=["knn", "cnn"],
        weights="random",
        folds=2,
        repeats=1,
        progress=False,
    )
    names = [each.name for each in made.candidates]
    assert sorted(names) == ["cnn", "resnet50 knn", "vgg16 knn"]
    row = made.to_frame().set_index("candidate").loc["cnn"]
    assert (row.backbone, row.classifier, row.n_features) == ("pixels", "cnn", 3 * 32 * 32)
    assert row.images_per_second > 0
    assert made.transfer is not None
    assert made.summary.splitlines()[-1] == made.transfer_verdict
    assert " than a network from scratch (95 % interval " in made.transfer_verdict


def test_alone_it_needs_no_backbone(photos, quick):
    made = featx.compare(
        photos, classifiers="cnn", input_size=16, folds=2, repeats=1, progress=False
    )
    assert [each.name for each in made.candidates] == ["cnn"]
    assert made.best.features.X.shape[1] == 16
    assert made.transfer is None


# ---------------------------------------------------------------- networks of one's own


def test_a_keras_model_is_a_learner_of_its_name_and_its_size():
    own = own_model(size=24)
    learner = Learner.of(own)
    assert (learner.given, learner.name, learner.pixels) == (own, "mine", True)
    assert learner.input_size == 24
    assert learner.gives_probabilities
    assert learner.embedding(None, {}) == ("pixels", {"input_size": 24})
    assert repr(learner.build().network) == "OwnModel(mine)"
    learner.require("pixels", 3)
    with pytest.raises(OptionError, match="'mine' has 3 outputs: expected 4, one for each class"):
        learner.require("pixels", 4)
    with pytest.raises(OptionError, match="got the features of vgg16; use the backbone 'pixels'"):
        learner.require("vgg16", 3)
    with pytest.raises(OptionError, match=r"^mine learns from pixels, .*: leave layer out"):
        learner.embedding("efficientnet_lite0", {"layer": "x"})
    assert list(learners_of(["cnn", own, own])) == ["cnn", "mine", "mine #2"]


def test_a_keras_model_of_ones_own_is_copied_for_every_fit(photos, new_photos, quick):
    own = own_model()
    before = own.get_weights()
    model = featx.train(photos, own)
    assert model.training.classifier == "mine"
    assert model.recipe.parts[0].square.size == 16
    assert model.evaluate(new_photos).accuracy > 0.8
    again = featx.train(photos, own)
    assert np.array_equal(model.predict_proba(new_photos), again.predict_proba(new_photos))
    assert all(map(np.array_equal, own.get_weights(), before))
    made = featx.compare(photos, classifiers=[own, "cnn"], folds=2, repeats=1, progress=False)
    assert sorted(each.name for each in made.candidates) == ["cnn", "mine"]
    assert {each.name: each.features.X.shape[1] for each in made.candidates}["mine"] == 16


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "logits"])
def test_other_losses_and_grey_pictures_are_understood(pixels, loss):
    import keras

    options = {"loss": loss}
    if loss == "logits":
        options = {
            "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "activation": None,
        }
    own = own_model(channels=1, **options)
    network = (
        featx.make_classifier(own).set_params(epochs=80, patience=80).fit(pixels.matrix, pixels.y)
    )
    shares = network.predict_proba(pixels.matrix)
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(shares)))
    assert shares.min() >= 0
    assert np.mean(network.predict(pixels.matrix) == pixels.y) > 0.5


def _loss_of_ones_own(true, predicted):
    import keras

    return keras.losses.sparse_categorical_crossentropy(true, predicted)


@pytest.mark.parametrize("kind", ["function", "list", "by output", "named"])
def test_a_loss_may_be_given_in_any_way_that_keras_takes(pixels, kind):
    import keras

    sparse = keras.losses.SparseCategoricalCrossentropy(name="mine")
    own = own_model()
    last = own.layers[-1].name
    losses = {
        "function": _loss_of_ones_own,
        "list": ["sparse_categorical_crossentropy"],
        "by output": {last: sparse},
        "named": sparse,
    }
    own.compile(keras.optimizers.Adam(0.01), losses[kind])
    network = featx.make_classifier(own).set_params(epochs=2, network=OwnModel(own))
    if kind == "function":
        assert network.network.one_hot
        own.loss.__name__ = "sparse_of_ones_own"
    assert not network.network.one_hot
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the network 'mine' cannot tell")  # after two epochs
        network.fit(pixels.matrix, pixels.y)
    assert own.compiled


def test_a_lambda_layer_keeps_its_arguments(pixels):
    import keras

    own = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Lambda(lambda x, by: x / by, arguments={"by": 255.0}),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    own.compile("adam", "sparse_categorical_crossentropy")
    copy = OwnModel(own).copy(16, 3, 0)
    assert np.allclose(copy(pixels.X[:2]), own(pixels.X[:2]))


def test_outputs_that_are_no_probabilities_are_told_before_training(pixels):
    own = featx.make_classifier(own_model(activation=None))
    with pytest.raises(OptionError, match="where probabilities are expected: let it end in a soft"):
        own.fit(pixels.matrix, pixels.y)
    assert not hasattr(own, "history_")


def test_a_loss_that_is_no_number_is_told(pixels):
    own = own_model()
    own.layers[-1].set_weights([np.full((768, 3), np.inf), np.zeros(3)])
    with pytest.raises(OptionError, match=r"the loss is nan after epoch .*: lower the learning ra"):
        featx.make_classifier(own).fit(pixels.matrix, pixels.y)


def test_a_network_that_learned_nothing_says_what_it_was_given(pixels):
    import keras

    own = own_model()
    own.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    own.layers[-1].set_weights([np.zeros((768, 3)), np.array([1.0, 0.0, 0.0])])  # one answer
    with pytest.warns(
        UserWarning, match="'mine' cannot tell even its training pictures apart: .*0 to"
    ):
        featx.make_classifier(own).set_params(epochs=1).fit(pixels.matrix, pixels.y)


def test_a_model_that_does_not_fit_is_told_in_a_line(photos, pixels):
    import keras

    with pytest.raises(OptionError, match="'mine' has 5 outputs: expected 3, one for each class"):
        featx.train(photos, own_model(units=5))
    with pytest.raises(OptionError, match=r"takes pictures of 32 px: got 16; embed with input_s"):
        featx.train(pixels, own_model(size=32))
    plain = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten()], name="plain")
    with pytest.raises(OptionError, match="'plain' is not compiled: call its compile"):
        featx.train(photos, plain)
    flat = keras.Sequential([keras.Input((16,)), keras.layers.Dense(3)], name="flat")
    flat.compile("sgd", "mse")
    with pytest.raises(OptionError, match=r"'flat' has input shape \(None, 16\): expected that of"):
        featx.train(photos, flat)


# ---------------------------------------------------------------- in a file

IN_A_NEW_PROCESS = """
import sys, featx, numpy
model = featx.load(sys.argv[1])
numpy.save(sys.argv[3], model.predict_proba(sys.argv[2]))
"""


@pytest.fixture
def saved(photos, tmp_path):
    model = featx.train(photos, ScratchNetwork(epochs=2), input_size=16)
    model.save(tmp_path / "model.featx")
    return model, tmp_path / "model.featx"


def test_a_new_process_predicts_the_same_numbers(saved, new_photos, tmp_path):
    model, path = saved
    root = Path(featx.__file__).parents[1]
    subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS, path, new_photos, tmp_path / "out.npy"],
        env={"PATH": "", "PYTHONPATH": str(root), "FEATX_CACHE": str(tmp_path / "cache")},
        check=True,
    )
    assert np.array_equal(np.load(tmp_path / "out.npy"), model.predict_proba(new_photos))


def test_a_loaded_model_keeps_its_history_and_can_be_saved_again(saved, new_photos, tmp_path):
    model, path = saved
    loaded = featx.load(path)
    loaded.save(tmp_path / "again.featx")
    again = featx.load(tmp_path / "again.featx")
    assert again.history.equals(model.history)
    assert np.array_equal(again.predict_proba(new_photos), model.predict_proba(new_photos))


def test_a_model_file_holds_no_pickle(saved):
    with zipfile.ZipFile(saved[1]) as archive:
        inner = zipfile.ZipFile(io.BytesIO(archive.read(PIPELINE)))
    assert {Path(name).suffix for name in inner.namelist()} == {".json", ".npy"}
    for name in inner.namelist():
        if name.endswith(".npy"):
            np.load(io.BytesIO(inner.read(name)), allow_pickle=False)


def test_a_network_of_ones_own_is_saved_with_what_it_learned_only(photos, new_photos, tmp_path):
    model = featx.train(photos, featx.make_classifier(own_model()).set_params(epochs=2))
    model.save(tmp_path / "own.featx")
    loaded = featx.load(tmp_path / "own.featx")
    assert np.array_equal(loaded.predict_proba(new_photos), model.predict_proba(new_photos))
    with pytest.raises(OptionError, match="'mine' of your own was not saved with the model"):
        featx.train(photos, loaded.pipeline, input_size=16)


def test_a_network_that_was_changed_after_loading_is_saved_as_it_is(photos, new_photos, tmp_path):
    model = featx.train(photos, featx.make_classifier("cnn").set_params(epochs=1), input_size=16)
    model.save(tmp_path / "m.featx")
    loaded = featx.load(tmp_path / "m.featx")
    network = loaded.pipeline.network_
    network.set_weights([each + 0.5 for each in network.get_weights()])
    changed = loaded.predict_proba(new_photos)
    assert not np.allclose(changed, model.predict_proba(new_photos))
    loaded.save(tmp_path / "m.featx")
    assert np.allclose(featx.load(tmp_path / "m.featx").predict_proba(new_photos), changed)


def test_a_layer_that_is_not_audited_is_named_when_it_is_saved(photos, tmp_path):
    import keras

    own = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Lambda(lambda x: x / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    own.compile("adam", "sparse_categorical_crossentropy")
    model = featx.train(photos, featx.make_classifier(own).set_params(epochs=1))
    with pytest.raises(OptionError, match=r"without pickle: .* class Lambda"):
        model.save(tmp_path / "own.featx")
    assert not (tmp_path / "own.featx").exists()


def forged(saved, **attributes) -> Path:
    """Write a model file whose network has other attributes."""
    model, path = saved
    network = pickle.loads(pickle.dumps(model.pipeline))
    vars(network).update(attributes)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[PIPELINE] = skops.io.dumps(network)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_file_with_another_layer_is_refused_by_name_and_runs_nothing(saved, tmp_path):
    description = json.loads(pickle.loads(pickle.dumps(saved[0].pipeline)).architecture_)
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w')"
    description["layers"][1] |= {"layer": "Lambda", "options": {"function": code}}
    path = forged(saved, architecture_=json.dumps(description))
    with pytest.raises(ModelFileError, match=r"known to be safe: .*'Lambda'; nothing of it was"):
        featx.load(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    "attributes",
    [
        {"architecture_": "{"},
        {"architecture_": None},
        {"architecture_": {"class_name": "Functional"}},
    ],
    ids=str,
)
def test_a_file_without_a_true_description_is_refused(saved, attributes):
    with pytest.raises(ModelFileError):
        featx.load(forged(saved, **attributes))


def test_weights_of_another_network_are_told(saved, new_photos):
    path = forged(saved, weights_=[np.zeros((2, 2), np.float32)])
    with pytest.raises(ModelFileError, match="weights of another network; train it again"):
        featx.load(path).predict(new_photos)


# ---------------------------------------------------------------- at the shell


def test_the_shell_trains_predicts_and_evaluates_it(tmp_path, new_photos, quick, capsys):
    from featx.cli.main import main

    photos = draw_folder(tmp_path / "few", 2, seed=0)  # few pictures are few folds

    def run(*words) -> str:
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert end.value.code in (0, 2), err
        return out + err

    path = tmp_path / "m.featx"
    words = ["train", photos, "--classifier", "cnn", "--input-size", "16", "--out", path]
    assert "pixels, none pooling, 16 px" in run(*words)
    assert len(json.loads(run("predict", path, new_photos, "--json"))) == 6
    assert json.loads(run("evaluate", path, new_photos, "--json"))["accuracy"] > 0.5
    told = run(*words, "--backbone", "vgg16")
    assert "learns from pixels: got the features of vgg16; use the backbone 'pixels'" in told
    for option, value in {"weights": "/nowhere", "pooling": "max", "layer": "top"}.items():
        told = run(*words, f"--{option}", value)
        assert f"learns from pixels, not from the features of a network: leave {option}" in told


def test_fakes_leave_pixels_alone(photos, fake_engine):
    path = sorted(photos.glob("*/*"))[0]
    assert featx.embed(path, "pixels", input_size=16).X.shape == (1, 16, 16, 3)
    assert fakes.FakeEngine.opened == []
