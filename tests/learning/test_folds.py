"""Folds of searches inside classifiers keep groups and views together."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

from featx.learning.folds import inner_folds
from featx.learning.learner import Learner

Y = np.array(["a", "b"] * 20)
GROUPS = np.arange(40) // 4


@pytest.mark.parametrize("views", [0, 2])
def test_groups_and_their_views_are_on_one_side(views):
    for train, test in inner_folds(5, Y, views, GROUPS):
        assert not set(GROUPS[train % 40]) & set(GROUPS[test % 40])
        assert len(train) + len(test) == 40 * (1 + views)


def test_there_are_fewer_folds_where_there_are_fewer_groups():
    assert len(inner_folds(5, Y, groups=np.arange(40) // 14)) == 3


def test_every_class_is_there_to_learn_from_even_where_it_is_one_group():
    groups = np.where(Y == "a", 0, np.arange(40))
    parts = inner_folds(5, Y, groups=groups)
    assert len(parts) == 5
    assert all(set(Y[train]) == {"a", "b"} for train, _ in parts)


@pytest.mark.parametrize("name", ["svm", "svd-svm"])
def test_named_classifiers_search_with_groups_together(name):
    X = np.random.default_rng(0).normal(size=(40, 8))
    learner = Learner.of(name)
    fitted = learner.fit(learner.build_for(Y, 8, groups=GROUPS), X, Y, groups=GROUPS)
    for train, test in fitted[-1].cv:
        assert not set(GROUPS[train]) & set(GROUPS[test])


@pytest.mark.parametrize(("cv", "folds"), [(3, 3), (LeaveOneGroupOut(), 10)])
def test_a_search_of_ones_own_gets_the_groups(cv, folds):
    search = GridSearchCV(LogisticRegression(), {"C": [1.0, 2.0]}, cv=cv)
    made = Learner.of(search).build_for(Y, 8, groups=GROUPS)
    assert len(made.cv) == folds
    for train, test in made.cv:
        assert not set(GROUPS[train]) & set(GROUPS[test])
