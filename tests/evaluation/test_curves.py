"""Learning curves of several candidates are measured on the same photographs and splits."""

import json
from dataclasses import replace

import fakes
import numpy as np
import pytest

import featx
from featx.errors import ImageSourceError, OptionError
from featx.evaluation.curve import learning_curve
from featx.evaluation.curves import learning_curves

QUICK = {"repeats": 1, "progress": False, "n_jobs": 1}


@pytest.fixture
def two(cloud):
    return [
        replace(cloud(each=12, distance=distance, seed=seed), recipe=fakes.recipe(name))
        for seed, (name, distance) in enumerate([("resnet50", 0.5), ("vgg16", 0.2)])
    ]


def test_features_are_learned_from_by_each_classifier(two):
    made = learning_curves(two, ["knn", "centroid"], **QUICK)
    assert made.names == ("resnet50 knn", "resnet50 centroid", "vgg16 knn", "vgg16 centroid")
    assert len({id(each.splits) for each in made.curves}) == 1
    alone = learning_curve(two[1], "centroid", **QUICK)
    assert made["vgg16 centroid"].hits.tolist() == alone.hits.tolist()


def test_those_of_a_comparison_end_at_the_accuracies_that_it_found(two):
    comparison = featx.compare(two, classifiers="centroid", repeats=1, progress=False)
    made = learning_curves(comparison, progress=False, n_jobs=1)
    assert made.names == tuple(each.name for each in comparison.candidates)
    for curve, each in zip(made.curves, comparison.candidates, strict=True):
        assert curve.estimates[-1].value == pytest.approx(each.validation.accuracy)
        assert curve.splits is each.validation.splits


def test_groups_stay_together(two):
    groups = np.repeat(np.arange(12), 3)
    made = learning_curves(two, "centroid", groups=groups, **QUICK)
    for train, test in made.curves[0].splits.parts:
        assert not set(groups[train]) & set(groups[test])


def test_curves_are_a_table_plain_values_and_one_figure(two):
    made = learning_curves(two, "centroid", **QUICK)
    frame = made.to_frame()
    assert list(frame.columns) == [
        *("candidate", "per_class", "accuracy", "accuracy_low", "accuracy_high")
    ]
    assert frame.candidate.unique().tolist() == ["resnet50", "vgg16"]
    written = made.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written["curves"][1] == {"candidate": "vgg16", **made["vgg16"].to_dict()}
    assert repr(made) == "\n".join(f"{name}: {made[name].verdict}" for name in made.names)
    assert made._repr_html_().count("<br>") == 1
    assert len(made) == 2
    assert len(made.plot(width=3.5).lines) == 4


def test_what_has_no_curves_is_told(two):
    for wrong in ([], ["photos"], None, 3):
        with pytest.raises(OptionError, match="learning curves need a comparison or features"):
            learning_curves(wrong)
    with pytest.raises(OptionError, match="shares"):
        learning_curves(two, shares=[2])
    with pytest.raises(OptionError, match="unknown candidate 'x': expected one of resnet50, vgg16"):
        learning_curves(two, "centroid", **QUICK)["x"]
    with pytest.raises(ImageSourceError, match="of different images"):
        learning_curves([two[0], replace(two[1], paths=two[1].paths + "x")], "centroid")
