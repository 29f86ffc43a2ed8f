"""Any two candidates are compared on the same photographs, with an interval and p."""

import json

import fakes
import numpy as np
import pytest

from featx.errors import OptionError


@pytest.fixture
def made():
    hits = np.random.default_rng(0).random((3, 2, 200)) < np.array([0.9, 0.85, 0.6])[:, None, None]
    return fakes.compared(hits, names=["a", "b", "c"])


def test_a_difference_is_that_of_the_accuracies_with_its_interval(made):
    accuracies = {each.name: each.validation.accuracy for each in made.candidates}
    found = made.difference("b", "c")
    assert (found.a, found.b) == ("b", "c")
    assert found.estimate.value == pytest.approx(accuracies["b"] - accuracies["c"])
    assert found.estimate.low < found.estimate.value < found.estimate.high
    back = made.difference("c", made.candidates[1])
    assert back.estimate == -found.estimate
    assert back.p == found.p
    assert found.verdict == back.verdict == f"b leads c by {found.estimate.points}, p < 0.001"


def test_p_is_below_five_percent_where_the_interval_leaves_nothing_out():
    random = np.random.default_rng(1)
    for share in (0.9, 0.85, 0.8, 0.75):
        hits = random.random((2, 2, 150)) < np.array([0.9, share])[:, None, None]
        found = fakes.compared(hits).difference("candidate 0", "candidate 1")
        assert (found.p < 0.05) == (found.estimate.low > 0 or found.estimate.high < 0)
        assert found.verdict.endswith("that may be chance") == (found.p > 0.05)


def test_p_is_rarely_small_where_both_are_equally_good():
    random = np.random.default_rng(2)
    small = [
        fakes.compared(random.random((2, 1, 100)) < 0.8).difference("candidate 0", "candidate 1").p
        < 0.05
        for _ in range(300)
    ]
    assert np.mean(small) <= 0.07


def test_a_candidate_does_not_differ_from_itself(made):
    found = made.difference("a", "a")
    assert (found.estimate.value, found.p) == (0.0, 1.0)


def test_a_difference_is_plain_values(made):
    found = made.difference("a", "b")
    written = found.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written == {
        "a": "a",
        "b": "b",
        **found.estimate.to_dict("difference"),
        "p": found.p,
        "verdict": found.verdict,
    }
    assert repr(found) == f"Difference({found.verdict})"


def test_a_name_that_no_candidate_or_several_have_is_told(made):
    with pytest.raises(OptionError, match="unknown candidate 'd': expected one of a, b, c"):
        made.difference("a", "d")
    twins = fakes.compared(np.ones((2, 1, 9), bool), names=["x", "x"])
    with pytest.raises(OptionError, match="2 candidates are named 'x': give one of them, such as"):
        twins.difference("x", "x")
    assert twins.difference(*twins.candidates).p == 1.0
