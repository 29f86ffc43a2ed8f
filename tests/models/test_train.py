"""From labelled images or features to a model; and what it learned from is checked before."""

import dataclasses
import json
import os
import shutil
import warnings
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

import featx
from featx.errors import (
    ImageSourceError,
    OptionError,
    RecipeMismatchError,
    UnknownClassifierError,
)
from featx.features.options import OPTIONS
from featx.learning.classifiers import CLASSIFIERS
from featx.models.train import train

pytestmark = pytest.mark.usefixtures("fake_engine")
NAMES = ("blue", "green", "red")
PIPELINES = [name for name, spec in CLASSIFIERS.items() if not spec.pixels]


@pytest.mark.parametrize("classifier", PIPELINES)
def test_training_from_a_folder_equals_training_from_its_features(photos, new_photos, classifier):
    from_folder = train(photos, classifier)
    from_features = train(featx.embed(photos), classifier)
    assert from_folder.classes == from_features.classes == NAMES
    assert from_folder.recipe == from_features.recipe
    assert np.array_equal(
        from_folder.predict_proba(new_photos), from_features.predict_proba(new_photos)
    )
    assert from_folder.evaluate(new_photos).accuracy == 1.0


@pytest.mark.filterwarnings("ignore:the weights of vgg16 are random")
def test_embedding_options_go_into_the_recipe(photos):
    model = train(photos, "knn", backbone="vgg16", weights="random", input_size=64, resize="pad")
    recipe = model.recipe
    (part,) = recipe.parts
    assert (recipe.backbone, part.square.size, part.square.resize) == ("vgg16", 64, "pad")
    assert model.weights == "random"


def test_a_training_picture_that_cannot_be_read_is_left_out(photos, new_photos):
    (photos / "red" / "broken.jpg").write_text("no picture")
    assert train(photos, "knn").evaluate(new_photos).accuracy == 1.0


MISTAKES = {
    "flat": (["1.png", "2.png"], "the images have no classes"),
    "one class": (["red/1.png", "red/2.png"], "all images are of one class, 'red'"),
    "one picture": (["red/1.png", "red/2.png", "blue/1.png"], "class blue has only one readable"),
    "strays": (["red/1.png", "red/2.png", "0.png"], "1 of 3 images are in no class folder"),
}


@pytest.mark.parametrize(("names", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_folder_to_learn_nothing_from_is_told_before_it_is_embedded(
    tmp_path, fake_engine, names, message
):
    for i, name in enumerate(names):
        fakes.draw(tmp_path / "odd" / name, (i, 40, 50))
    with pytest.raises(ImageSourceError) as caught:
        train(tmp_path / "odd")
    assert str(caught.value).startswith(message)
    assert fake_engine.embedded == 0


def test_a_class_whose_pictures_are_broken_but_one_is_told(photos):
    for path in sorted((photos / "red").iterdir())[1:]:
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageSourceError, match="class red has only one readable image"):
        train(photos)


def test_a_wrong_classifier_is_told_before_anything_is_embedded(photos, fake_engine):
    with pytest.raises(UnknownClassifierError):
        train(photos, "svn")
    assert fake_engine.embedded == 0


def test_options_of_embedding_do_not_go_with_features(photos):
    with pytest.raises(OptionError, match="pooling would change nothing"):
        train(featx.embed(photos), pooling="max")


@pytest.mark.parametrize("backbone", [["vgg16"], ("vgg16", "resnet50"), [], 50], ids=str)
def test_several_backbones_are_no_backbone_of_a_model(photos, fake_engine, backbone):
    with pytest.raises(OptionError) as caught:
        train(photos, backbone=backbone)
    assert str(caught.value) == (f"a classifier stands on one backbone: got {backbone!r}; name one")
    assert fake_engine.embedded == 0


def test_features_without_a_recipe_cannot_be_trained_on(photos):
    bare = dataclasses.replace(featx.embed(photos), recipe=None)
    with pytest.raises(RecipeMismatchError, match="carry no recipe"):
        train(bare)


def test_an_option_that_there_is_not_is_told_with_the_nearest_one(photos, fake_engine):
    with pytest.raises(TypeError) as caught:
        train(photos, poolings="max")
    assert str(caught.value) == (
        "train() got an unexpected keyword argument 'poolings'; did you mean 'pooling'?"
    )
    assert fake_engine.embedded == 0


@pytest.mark.parametrize("name", sorted(OPTIONS.keys() - {"progress", "exclude"}))
def test_beside_features_no_option_of_embedding_may_be_given(cloud, name):
    with pytest.raises(OptionError, match=f"features are embedded already: {name} would change"):
        train(cloud(), **{name: OPTIONS[name].default})
    assert train(cloud(), "knn", progress=False).classes == ("ant", "bee", "cat")


@pytest.mark.parametrize("classifier", ["knn", KNeighborsClassifier(1)], ids=str)
def test_a_model_keeps_what_it_learned_from_and_by_what(photos, classifier):
    training = train(photos, classifier).training
    assert training.classifier == featx.Learner.of(classifier).name
    assert training.features.paths.tolist() == list(featx.ImageFolder.of(photos).paths)
    assert training.features.classes == NAMES
    assert (training.validation, training.test, training.rejection) == (None, None, None)


def test_the_features_that_were_given_are_those_of_the_training(cloud):
    features = cloud()
    assert train(features, "knn").training.features is features


# ---------------------------------------------------------------- validation


def test_a_validation_is_that_of_the_classifier_on_the_features(photos):
    model = train(photos, "knn", validation=True)
    alone = featx.cross_validate(model.training.features, "knn")
    validation = model.training.validation
    assert validation.predictions.tolist() == alone.predictions.tolist()
    assert np.array_equal(validation.all_probabilities, alone.all_probabilities)
    assert train(photos, "knn", validation=False).training.validation is None
    assert train(photos, "knn", validation=alone).training.validation is alone


def test_a_validation_changes_nothing_about_the_model(cloud):
    features = cloud(distance=0.3)
    plain, validated = train(features), train(features, validation=True)
    assert np.array_equal(plain.predict_proba(features), validated.predict_proba(features))


# ---------------------------------------------------------------- test images


def test_test_images_are_evaluated_as_the_model_evaluates_them(photos, new_photos):
    (new_photos / "green" / "100.png").rename(new_photos / "red" / "green.png")
    model = train(photos, "knn", test=new_photos)
    test = model.training.test
    assert test.accuracy == 5 / 6
    assert test.to_dict() == model.evaluate(new_photos).to_dict()
    assert test.mistakes.path.tolist() == [str(new_photos / "red" / "green.png")]


def test_copies_of_training_images_among_the_test_images_are_named_and_left_out(photos, new_photos):
    for name in ("000", "001"):  # sorted before the others, and wrong
        shutil.copy(photos / "red" / f"{name}.png", new_photos / "blue" / f"{name}.png")
    test = train(photos, "knn", test=new_photos).training.test
    assert test.leaks == {
        str(new_photos / "blue" / f"{name}.png"): str(photos / "red" / f"{name}.png")
        for name in ("000", "001")
    }
    assert test.accuracy == 6 / 8
    assert test.without_leaks.accuracy == 1.0
    assert len(test.without_leaks.paths) == 6


def test_test_files_that_cannot_be_read_are_counted(photos, new_photos):
    (new_photos / "red" / "x.jpg").touch()
    training = train(photos, "knn", test=new_photos).training
    assert (training.test.n_failed, len(training.test.paths)) == (1, 6)
    assert training.summary.splitlines()[-2:] == [
        f"test accuracy {training.test.interval}: 6 of 6 images right, 1 file not readable",
        f"failed: {new_photos / 'red' / 'x.jpg'}: empty file",
    ]


@pytest.mark.parametrize("from_features", [False, True])
@pytest.mark.parametrize("test_features", [False, True])
def test_images_and_features_of_them_train_and_test_alike(
    photos, new_photos, from_features, test_features
):
    source = featx.embed(photos) if from_features else photos
    test = featx.embed(new_photos) if test_features else new_photos
    training = train(source, "knn", test=test).training
    assert training.test.accuracy == 1.0
    assert training.test.paths.tolist() == list(featx.ImageFolder.of(new_photos).paths)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "^no class for "),
        (("tiger",), "the model knows none of the classes tiger: expected blue, green, red"),
    ],
)
def test_images_that_cannot_test_the_model_are_told_before_anything_is_embedded(
    photos, fake_engine, tmp_path, classes, message
):
    fakes.draw(tmp_path.joinpath("new", *classes, "1.png"), (1, 2, 3))
    with pytest.raises(ImageSourceError, match=message):
        train(photos, "knn", test=tmp_path / "new")
    assert fake_engine.embedded == 0


def test_options_of_the_run_are_those_of_the_test_too(photos, new_photos, fake_engine):
    for _ in range(2):
        train(photos, "knn", test=new_photos, cache=False, progress=False)
    assert fake_engine.embedded == 2 * (18 + 6), "something was kept"


def test_a_model_that_rejects_is_tested_with_its_answers(photos, new_photos):
    test = train(photos, "logistic", reject=0.6, test=new_photos).training.test
    assert test.target == 0.6
    assert test.answered.tolist() == [True] * 6
    assert test.notes == (
        f"precision of its answers {test.precision}: 6 of 6 images, coverage {test.coverage}",
    )


def test_a_model_file_does_not_hold_the_training(photos, new_photos, tmp_path):
    model = train(photos, "knn", validation=True, test=new_photos)
    model.save(tmp_path / "m.featx")
    assert featx.load(tmp_path / "m.featx").training is None


def test_what_is_known_of_a_training_is_plain_values(photos, new_photos):
    training = train(photos, "logistic", validation=True, test=new_photos, reject=0.6).training
    written = training.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written == {
        "classifier": "logistic",
        "classes": list(NAMES),
        "features": training.features.to_dict(),
        "validation": training.validation.to_dict(),
        "rejection": training.rejection.to_dict(),
        "familiarity": training.familiarity.to_dict(),
        "test": training.test.to_dict(),
        "dataset_shift": None,
        "next_steps": list(training.next_steps),
        "seconds": round(training.seconds, 3),
    }
    assert training.seconds > training.features.elapsed


# ---------------------------------------------------------------- what is lost is said


def said(action, *about) -> list[str]:
    """Return the warnings about images that an action gives, all of them from this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # as a user sees them
        action(*about)
    about_images = [each for each in caught if each.category is featx.ImageSourceWarning]
    assert {each.filename for each in about_images} <= {__file__}
    return [str(each.message) for each in about_images]


@pytest.fixture
def lossy(photos):
    """The photographs with six more that cannot be read."""
    for number in range(6):
        (photos / "blue" / f"bad{number}.jpg").touch()
    return photos


def lost(photos) -> str:
    return (
        "6 of 24 images cannot be read and are left out, such as "
        f"{photos / 'blue' / 'bad0.jpg'}: empty file; `failed` of the result lists them"
    )


DOORS = {
    "embed": lambda photos: featx.embed(photos),
    "embed by two": lambda photos: featx.embed(photos, ["resnet50", "xception"], weights="random"),
    "train": lambda photos: train(photos, "knn", validation=True),
    "compare": lambda photos: featx.compare(
        photos, ["resnet50", "xception"], classifiers="knn", weights="random", n_jobs=1
    ),
    "tune": lambda photos: featx.tune(
        photos, 0.01, backbones="resnet50", classifiers="knn", weights="random", n_jobs=1
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_files_that_cannot_be_read_are_told_once_with_the_first_reason(lossy, door):
    assert said(DOORS[door], lossy) == [lost(lossy)]


def test_results_list_the_files_that_could_not_be_read(lossy):
    names = [str(lossy / "blue" / f"bad{number}.jpg") for number in range(6)]
    for door in ("embed", "compare", "tune"):
        assert [each.path for each in DOORS[door](lossy).failed] == names, door
    training = DOORS["train"](lossy).training
    assert [each.path for each in training.features.failed] == names
    assert [each.path for each in training.validation.failed] == names
    assert [each.path for each in featx.learning_curve(training.features, "knn").failed] == names


def test_test_files_that_cannot_be_read_are_told_too(photos, new_photos):
    (new_photos / "red" / "x.jpg").touch()
    (message,) = said(lambda: train(photos, "knn", test=new_photos))
    assert message.startswith("1 of 7 images cannot be read and is left out, such as ")
    model = train(photos, "knn")
    assert said(model.evaluate, new_photos) == [message]
    assert said(model.predict, new_photos) == []  # it has a row for each file
    assert said(model.evaluate, model.features(new_photos)) == []


def test_a_folder_that_is_no_class_is_named(photos):
    (photos / "cow").mkdir()
    note = "no class, since no picture is in the folder: cow (it is empty)"
    assert said(train, photos, "knn") == [note]
    assert note in train(photos, "knn").training.summary.splitlines()
    shutil.rmtree(photos / "blue")
    shutil.rmtree(photos / "green")
    with pytest.raises(ImageSourceError) as caught:
        train(photos)
    assert str(caught.value) == (
        f"all images are of one class, 'red': expected at least two classes; {note}"
    )


def test_a_class_of_which_nothing_can_be_read_is_named_where_it_is_no_error(photos, new_photos):
    for path in (new_photos / "red").iterdir():
        path.write_text("no picture")
    told = said(lambda: train(photos, "knn", test=new_photos))
    assert told[1:] == ["no picture of these classes can be read: red"]
    notes = featx.embed(new_photos).notes
    assert notes == ("no picture of these classes can be read: red",)


@pytest.fixture
def splits(tmp_path):
    """A folder of train, val and test."""
    for number, part in enumerate(("train", "test", "val")):
        each = 6 if part == "train" else 2
        fakes.draw_folder(tmp_path / "splits" / part, each=each, start=100 * number)
    return tmp_path / "splits"


@pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")
def test_the_parts_of_a_data_set_are_learned_from_and_measured_on(splits, fake_engine):
    said = f"{str(splits)!r} has parts of a data set: learned from train (18 images), "
    left = "left alone: test (6 images), val (6 images)"
    trained = train(splits, "knn")
    assert trained.classes == ("blue", "green", "red")
    assert len(trained.training.features) == 18
    assert {Path(path).parts[-3] for path in trained.training.test.paths} == {"test"}
    measured = "measured on test (6 images), left alone: val (6 images)"
    assert trained.training.features.notes[0] == f"{said}{measured}"
    tuned = DOORS["tune"](splits)
    assert len(tuned.test.paths) == 6
    compared = DOORS["compare"](splits)
    assert len(compared.best.features) == 18
    assert compared.notes[0] == f"{said}{left}"
    assert len(trained.evaluate(splits).paths) == 6
    other = train(splits, "knn", test=splits / "val").training
    assert {Path(path).parts[-3] for path in other.test.paths} == {"val"}
    assert other.features.notes[0] == f"{said}{left}"
    assert len(train(trained.training.features, test=splits).training.test.paths) == 6


# ---------------------------------------------------------------- classes that contradict


CONTRADICTION = (
    "a contradiction, 1 picture in several classes, as copies or nearly so: "
    "{} (blue) = {} (red); leave each in the right one"
)


@pytest.mark.parametrize("door", ["train", "compare", "tune"])
def test_a_picture_in_two_classes_is_a_contradiction(photos, door):
    shutil.copy(photos / "blue" / "000.png", photos / "red" / "copy.png")
    note = CONTRADICTION.format("blue/000.png", "red/copy.png")
    assert said(DOORS[door], photos) == [note]
    result = DOORS[door](photos)
    result = result.training.validation if door == "train" else result
    assert note in result.notes
    assert not any("kept together" in each for each in result.notes)


def test_a_picture_in_two_classes_is_told_without_a_validation_and_of_features(photos):
    copy = str(shutil.copy(photos / "blue" / "000.png", photos / "red" / "copy.png"))
    note = CONTRADICTION.format("blue/000.png", "red/copy.png")
    features = featx.embed(photos)
    assert said(train, features, "knn") == [note]
    training = train(features, "knn").training
    assert note in training.summary.splitlines()
    assert training.contradictions == (((str(photos / "blue" / "000.png"), "blue"), (copy, "red")),)


def test_one_file_in_two_rows_of_a_table_with_two_classes_is_a_contradiction(photos):
    images = featx.ImageFolder.of(photos)
    table = pd.DataFrame({"path": images.paths, "label": images.labels})
    table = pd.concat([table, table[:1].assign(label="red")])
    assert said(train, table, "knn") == [CONTRADICTION.format("000.png", "000.png")]


def test_contradictions_of_test_images_are_told(photos, new_photos):
    first = str(shutil.copy(new_photos / "blue" / "100.png", new_photos / "red" / "copy.png"))
    second = str(shutil.copy(photos / "blue" / "000.png", new_photos / "red" / "learned.png"))
    test = train(photos, "knn", test=new_photos).training.test
    learned = str(photos / "blue" / "000.png")
    assert test.contradictions == (
        ((str(new_photos / "blue" / "100.png"), "blue"), (first, "red")),
        ((second, "red"), (learned, "blue")),
    )
    folders = f"{new_photos.name}/red/learned.png (red) = {photos.name}/blue/000.png (blue)"
    assert folders in test.notes[-1]
    assert train(photos, "knn").evaluate(photos).contradictions == ()


# ---------------------------------------------------------------- classes that are not known


def test_classes_that_the_model_does_not_know_are_named_with_the_accuracy_without_them(
    photos, new_photos
):
    (new_photos / "red").rename(new_photos / "Red")
    fakes.draw(new_photos / "zebra" / "1.png", (9, 9, 9))
    model = train(photos, "knn")
    test = model.evaluate(new_photos)
    assert test.unknown == ("Red", "zebra")
    assert (test.accuracy, test.without_unknown.accuracy) == (4 / 7, 1.0)
    note = (
        "the model does not know the 2 classes Red, zebra, of 3 of 7 images, which count as wrong; "
        f"accuracy without them: {test.without_unknown.interval}; Red looks like red"
    )
    assert test.notes == (note, test.balance.note)
    assert test.summary.startswith(f"accuracy {test.interval}: 4 of 7 images right, 1 unfamiliar")
    assert test.unfamiliar.tolist() == [False] * 6 + [True]
    assert said(model.evaluate, new_photos) == [note]
    written = test.to_dict()
    assert written["unknown_classes"] == ["Red", "zebra"]
    assert written["accuracy_without_unknown"] == 1.0
    assert note in train(photos, "knn", test=new_photos).training.summary


def test_no_class_that_is_known_says_what_looks_like_one(photos, new_photos):
    shutil.rmtree(new_photos / "blue")
    shutil.rmtree(new_photos / "green")
    (new_photos / "red").rename(new_photos / "RED")
    with pytest.raises(ImageSourceError, match="expected blue, green, red; RED looks like red"):
        train(photos, "knn", test=new_photos)


def test_a_model_that_knows_a_class_by_a_name_with_a_space_knows_its_pictures(photos, new_photos):
    features = featx.embed(photos)
    old = dataclasses.replace(features, y=np.char.replace(features.y, "red", "red "))
    model = train(old, "knn")
    assert model.classes == ("blue", "green", "red ")
    test = model.evaluate(new_photos)
    assert (test.accuracy, test.unknown) == (1.0, ())


# ---------------------------------------------------------------- tables


def test_a_table_of_paths_in_another_folder_trains_and_tests(photos, new_photos, monkeypatch):
    def table(root, name):
        images = featx.ImageFolder.of(root)
        paths = [os.path.relpath(path, photos.parent) for path in images.paths]
        pd.DataFrame({"path": paths, "label": images.labels}).to_csv(name, index=False)
        return name

    monkeypatch.chdir(photos)
    learned, tested = table(photos, "learn.csv"), table(new_photos, "test.csv")
    model = train(learned, "knn", test=tested, root=photos.parent)
    assert model.training.features.paths.tolist() == list(featx.ImageFolder.of(photos).paths)
    assert model.training.test.accuracy == 1.0
    assert train(learned, "knn", test=new_photos, root="..").training.test.accuracy == 1.0
    assert model.evaluate(tested, root="..").accuracy == 1.0
    assert model.predict(["blue/000.png", "red/000.png"], root=photos).tolist() == ["blue", "red"]
    with pytest.raises(ImageSourceError, match=f"no such file or directory in {photos}; --root "):
        train(learned, "knn")


def test_a_row_without_a_label_is_told_with_its_number(photos, fake_engine):
    images = featx.ImageFolder.of(photos)
    labels = list(images.labels)
    labels[7], labels[9] = None, ""
    expected = (
        f"row 7 has no label ({images.paths[7]}), one of 2: expected a class for each of "
        "18 images; name it, or leave the row out"
    )
    for source in (pd.DataFrame({"path": images.paths, "label": labels}), list(images.paths)):
        with pytest.raises(ImageSourceError) as caught:
            train(source, labels=labels if isinstance(source, list) else None)
        assert str(caught.value) == expected
    assert fake_engine.embedded == 0
