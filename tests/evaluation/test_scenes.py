"""Scenes are held out whole, and copies of a photograph are never on both sides."""

import fakes
import numpy as np

from featx.evaluation.fits import fit_all
from featx.evaluation.scenes import accuracy_on_scenes, hold_out_scenes
from featx.evaluation.splits import split
from featx.evaluation.validation import tasks_of, validation_of
from featx.learning.learner import Learner


def series(each=6, scenes=3, classes=3):
    """Draw classes of tight series of photographs; return rows, labels, series and no copies."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(classes * scenes, 20))
    of = np.repeat(np.arange(classes * scenes), each)
    X = centres[of] + 0.01 * random.normal(size=(len(of), 20))
    return X, np.array(list("abc"))[of // scenes], of, np.arange(len(of))


def test_each_fold_holds_out_one_scene_of_every_class():
    X, y, of, copies = series()
    splits = hold_out_scenes(X, y, copies)
    assert (splits.folds, splits.repeats, len(splits.parts)) == (3, 2, 6)
    for train, test in splits.parts:
        assert not set(of[train]) & set(of[test]), "a scene is on both sides"
        assert set(y[test]) == {"a", "b", "c"}
        assert len(np.unique(of[test])) == 3
    for repeat in range(2):
        tested = np.concatenate([test for _, test in splits.parts[3 * repeat : 3 * repeat + 3]])
        assert sorted(tested) == list(range(len(y))), "every image is predicted once a repeat"


def test_repeats_combine_the_scenes_of_the_classes_anew():
    X, y, _, copies = series()
    parts = hold_out_scenes(X, y, copies).parts
    first, second = ({tuple(test) for _, test in parts[at : at + 3]} for at in (0, 3))
    assert first != second


def test_copies_stay_on_one_side_even_across_classes():
    X, y, _, copies = series()
    copies[0] = copies[-1] = 0  # of one photograph, with different labels
    copies[6] = copies[12] = 6
    for train, test in hold_out_scenes(X, y, copies).parts:
        assert not set(copies[train]) & set(copies[test])


def test_a_class_of_few_images_has_few_scenes():
    X, y, _, copies = series()
    rows = np.r_[0:2, 18:54]
    splits = hold_out_scenes(X[rows], y[rows], copies[rows])
    assert len(np.unique(splits.groups[y[rows] == "a"])) == 2
    assert len(np.unique(splits.groups[y[rows] == "b"])) == 3


def test_accuracy_on_scenes_is_lower_where_each_scene_looks_its_own_way():
    """Within a scene pictures tell the class; between scenes nothing does."""
    X, y, _, copies = series()
    features = fakes.as_features(X, y.tolist())
    learner = Learner.of("knn")
    apart = accuracy_on_scenes(features, learner, copies, n_jobs=1)
    splits = split(y)
    fitted = fit_all(tasks_of(features, splits, learner), n_jobs=1)
    shuffled = validation_of(features, splits, fitted).accuracy
    assert apart.value < shuffled - 0.5, f"{apart} and {shuffled:.2f}"
    assert apart.low <= apart.value <= apart.high
    assert apart == accuracy_on_scenes(features, learner, copies, n_jobs=1)
