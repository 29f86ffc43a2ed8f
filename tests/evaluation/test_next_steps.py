"""What to do next is said where figures ask for it, and nothing where all is well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import as_features

import featx
from featx.evaluation.curve import LearningCurve
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.next_steps import next_steps
from featx.evaluation.splits import Splits

CLASSES = ("ant", "bee", "cat", "dog", "elk")
OTHERS = ("resnet50", "vgg16", "xception")


def judged(predicted: dict, each=20) -> Evaluation:
    """Make up an evaluation, right but for so many of a class that are taken for another."""
    y_true = np.repeat(CLASSES, each)
    y_pred = y_true.copy()
    for (own, other), n in predicted.items():
        y_pred[np.flatnonzero((y_true == own) & (y_pred == own))[:n]] = other
    paths = np.array([f"photos/{name}/{i}.jpg" for i, name in enumerate(y_true)], dtype=object)
    return Evaluation(paths=paths, y_true=y_true, y_pred=y_pred, classes=CLASSES)


def curve(*accuracy) -> LearningCurve:
    hits = np.repeat(np.array(accuracy)[:, None], 100, axis=1)
    return LearningCurve(np.array([4.0, 8, 16]), hits, Splits((), 5, 1, np.arange(100)), 20.0)


def test_where_all_is_well_nothing_is_said():
    assert next_steps(judged({}), curve(0.9, 1.0, 1.0), OTHERS) == ()
    assert next_steps(judged({("ant", "bee"): 1}), curve(0.99, 0.99, 0.99), OTHERS) == ()


def test_classes_that_are_taken_for_each_other_need_more_photographs():
    found = judged({("ant", "bee"): 4, ("bee", "ant"): 3, ("cat", "dog"): 1, ("elk", "ant"): 1})
    (step,) = next_steps(found)
    assert step == "add photographs of ant and bee (7 of 40 are taken for the other)"


def test_errors_that_are_spread_evenly_name_no_class():
    spread = {(own, other): 1 for own in CLASSES for other in CLASSES if own != other}
    assert next_steps(judged(spread)) == ()
    two = replace(judged({("ant", "bee"): 9}), classes=CLASSES)
    only = np.isin(two.y_true, ("ant", "bee"))
    two = replace(
        two,
        paths=two.paths[only],
        y_true=two.y_true[only],
        y_pred=two.y_pred[only],
        classes=("ant", "bee"),
    )
    assert next_steps(two) == (), "of two classes both are always taken for each other"


def test_what_twice_the_photographs_give_is_said_where_something_is_wrong():
    spread = {(own, other): 1 for own in CLASSES for other in CLASSES if own != other}
    rising, flat = curve(0.5, 0.6, 0.7), curve(0.8, 0.8, 0.8)
    (step,) = next_steps(judged(spread), rising)
    assert step == (
        f"take more photographs: twice as many of each class would give about {rising.gain.points}"
    )
    (step,) = next_steps(judged(spread), flat)
    assert step.startswith("more photographs like these would hardly help")


@pytest.mark.parametrize(
    ("networks", "named"), [(OTHERS, "3 other networks"), (("vgg16",), "vgg16"), ((), None)]
)
def test_other_networks_are_worth_a_look_where_many_are_wrong(networks, named):
    spread = {(own, other): 1 for own in CLASSES for other in CLASSES if own != other}
    steps = next_steps(judged(spread), None, networks)
    assert bool(steps) == (named is not None)
    for step in steps:
        assert step == (
            f"compare it with {named} (featx compare), since 20.0 % are wrong; the weights are on "
            "this machine"
        )


def test_labels_that_do_not_fit_come_first_and_no_more_than_three_steps_are_said(cloud):
    features = cloud(each=30, distance=1.2, classes=CLASSES)
    y = features.y.copy()
    y[[3, 40, 70]] = ["cat", "ant", "ant"]
    validation = featx.cross_validate(replace(features, y=y), "logistic", n_jobs=1)
    steps = next_steps(validation, curve(0.5, 0.6, 0.7), OTHERS)
    assert steps[0].startswith(
        "look at the labels of 3 photographs, of which about 3 are probably wrong: "
    )
    assert len(next_steps(validation, curve(0.5, 0.6, 0.7), OTHERS)) <= 3


def test_a_training_ends_with_its_next_steps(cloud):
    features = cloud(each=20, distance=0.25, classes=CLASSES)
    training = featx.train(features, "centroid", validation=True).training
    steps = training.next_steps
    assert 1 <= len(steps) <= 3
    assert training.summary.splitlines()[-len(steps) :] == [f"next: {each}" for each in steps]
    assert training.to_dict()["next_steps"] == list(steps)
    assert any("twice as many" in each for each in steps), "the curve is quick"


def test_without_a_validation_there_is_no_ground_for_any_step(cloud):
    assert featx.train(cloud(), "centroid").training.next_steps == ()


def test_a_small_class_that_suffers_is_helped_by_class_weight(cloud):
    features = cloud(each=[40, 40, 8], distance=0.25)
    validation = featx.cross_validate(features, "logistic")
    recall = validation.balance.weakest_recall.value
    first = next_steps(validation, takes_class_weight=True)[0]
    assert first.startswith("let each class count alike, by --class-weight balanced (in Python")
    assert f"of cat, a class of 8 images, {100 * recall:.1f} % are recognised, of the" in first
    assert not any("count alike" in step for step in next_steps(validation))
    equal = featx.cross_validate(cloud(each=20, distance=0.25), "logistic")
    assert not any("count alike" in step for step in next_steps(equal, takes_class_weight=True))


@pytest.mark.parametrize(
    ("classifier", "class_weight", "told"),
    [("logistic", None, True), ("logistic", "balanced", False), ("knn", None, False)],
)
def test_a_training_names_class_weight_where_it_can_be_given(cloud, classifier, class_weight, told):
    features = cloud(each=[40, 40, 8], distance=0.25)
    model = featx.train(features, classifier, class_weight=class_weight, validation=True)
    assert any("--class-weight" in step for step in model.training.next_steps) is told


def test_of_twenty_and_four_the_small_class_is_found_more_often_with_class_weight():
    """Forty draws of two classes that overlap: the accuracy alone hides that one is lost."""
    recalls = {None: [], "balanced": []}
    y = np.repeat(["cat", "dog"], [20, 4])
    random = np.random.default_rng(0)
    for _ in range(40):
        centres = random.normal(size=(2, 200)) * 0.25
        X = centres.repeat([20, 4], axis=0) + random.normal(size=(24, 200))
        for class_weight, found in recalls.items():
            result = featx.cross_validate(as_features(X, y), class_weight=class_weight, repeats=1)
            found.append(result.by_class.recall.to_numpy())
    plain, balanced = (np.mean(each, axis=0) for each in recalls.values())
    assert plain[0] - plain[1] > 0.5
    assert abs(balanced[0] - balanced[1]) < 0.25  # photographs: tests/learning/test_balanced.py
