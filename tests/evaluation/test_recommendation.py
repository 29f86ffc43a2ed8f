"""What is recommended is as good as the best but for a margin, and fast; or images are too few."""

import dataclasses
import json

import fakes
import numpy as np
import pytest
from benchmarks.decisions import simulate

import featx
from featx.errors import OptionError
from featx.evaluation.recommendation import points


def hits_of(wrong, n, repeats=2):
    """Return what candidates predict right that are each wrong on some images, by number."""
    hits = np.ones((len(wrong), repeats, n), bool)
    for own, rows in zip(hits, wrong, strict=True):
        own[:, list(rows)] = False
    return hits


@pytest.fixture
def many():
    """A slow best, a fast one that fails on a few more images, and the fastest that is worse."""
    n = 3000
    wrong = [range(0, 150), range(0, 160), range(0, 600)]
    return fakes.compared(hits_of(wrong, n), [10.0, 40.0, 200.0], ["slow", "fast", "worse"])


def test_the_fastest_that_is_surely_good_enough_is_recommended(many):
    chosen = many.recommend(within=0.02)
    assert chosen.name == "fast"
    assert chosen.shown
    assert chosen.probability > 0.95
    assert 1 / 300 < chosen.behind_high <= 0.02
    assert chosen.needed is None
    assert chosen.verdict == (
        f"take fast: at most {100 * chosen.behind_high:.1f} points behind the best (95 % sure), "
        "and 4.0 times as fast as slow, the most accurate"
    )
    assert many.recommend(within=0.3).name == "worse"
    assert many.recommend(within=0.001).name == "slow"
    assert dataclasses.replace(many, within=0.3).recommend().name == "worse"


def test_what_is_expected_of_it_is_no_more_than_it_scored(many):
    chosen = many.recommend()
    assert chosen.accuracy.value <= chosen.candidate.validation.accuracy
    assert chosen.accuracy.value == pytest.approx(chosen.candidate.validation.accuracy, abs=0.005)


def test_what_a_search_chose_is_marked_and_nothing_else_is_advised(many):
    searched = dataclasses.replace(many, chosen=many.best)
    assert many.to_frame().recommended.tolist() == [False, True, False]
    assert searched.to_frame().recommended.tolist() == [True, False, False]
    assert searched.verdict == many.lead_verdict
    assert "take " not in searched.summary
    agreed = dataclasses.replace(many, chosen=many.recommend().candidate)
    assert (agreed.verdict, agreed.summary) == (many.verdict, many.summary)


def test_the_luck_of_the_recommended_is_taken_away():
    random = np.random.default_rng(0)
    scored, expected = [], []
    for _ in range(20):
        made = fakes.compared(random.random((12, 1, 100)) < 0.6, [5.0] * 12)
        chosen = made.recommend()
        scored.append(chosen.candidate.validation.accuracy)
        expected.append(chosen.accuracy.value)
    assert np.mean(scored) > 0.65
    assert abs(np.mean(expected) - 0.6) < 0.03, np.mean(expected)


def test_few_images_recommend_the_best_and_say_how_many_would_tell():
    made = fakes.compared(hits_of([[0], [1, 2]], 20), [10.0, 40.0], ["slow", "fast"])
    chosen = made.recommend(0.05)
    assert (chosen.name, chosen.shown) == ("slow", False)
    assert chosen.needed > 20
    assert chosen.verdict == (
        "take slow: the most accurate; 20 images cannot tell which are within 5 points of the best "
        f"(about {chosen.needed:,} would); fast is 4.0 times as fast, and may be up to "
        f"{points(made.to_frame().behind_high[1])} behind"
    )
    enough = -(-chosen.needed // 20)
    more = fakes.compared(
        np.tile(hits_of([[0], [1, 2]], 20), (1, 1, enough)), [10.0, 40.0], ["slow", "fast"]
    )
    assert more.recommend(0.05).shown


def test_of_networks_that_are_about_as_fast_the_most_accurate_is_recommended():
    wrong = [range(0, 150), range(0, 160), range(0, 165)]
    made = fakes.compared(hits_of(wrong, 3000), [10.0, 40.0, 41.0], ["slow", "fast", "faster"])
    assert made.recommend().name == "fast"


@pytest.mark.parametrize("speeds", [None, [10.0, 9.0]])
def test_without_a_faster_one_the_best_is_recommended(speeds):
    made = fakes.compared(hits_of([range(0, 150), range(0, 151)], 3000), speeds)
    chosen = made.recommend()
    assert chosen.candidate is made.best
    assert chosen.verdict.endswith("and none is faster")


def test_a_best_whose_rivals_may_be_worse_is_recommended_with_that_reason():
    wrong = [range(0, 150), range(0, 300)]
    chosen = fakes.compared(hits_of(wrong, 3000), [10.0, 40.0]).recommend()
    assert "no faster one is shown to be within 2 points" in chosen.verdict


def test_one_candidate_is_the_only_one():
    made = fakes.compared(hits_of([[0]], 20))
    assert made.recommend().verdict == "take candidate 0: the only candidate"


@pytest.mark.parametrize("within", [-0.01, 1, 2, float("nan"), "0.02", None, True])
def test_a_margin_that_is_no_share_is_refused(many, within):
    if within is None:
        assert many.recommend(None).within == 0.02
        return
    with pytest.raises(OptionError, match=r"expected a share of 1, such as 0.02 for 2 points"):
        many.recommend(within)


def test_a_recommendation_is_plain_values(many):
    chosen = many.recommend()
    written = chosen.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written == {
        "candidate": "fast",
        "within": 0.02,
        "shown": True,
        "probability": chosen.probability,
        "behind_high": chosen.behind_high,
        **chosen.accuracy.to_dict("accuracy"),
        "needed": None,
        "verdict": chosen.verdict,
    }
    assert many.to_dict()["recommendation"] == written
    assert many.verdict.endswith(chosen.verdict)
    assert repr(chosen) == f"Recommendation({chosen.verdict})"


def test_the_table_says_how_far_behind_each_could_be(many):
    frame = many.to_frame()
    assert frame.behind.tolist() == pytest.approx([0, 10 / 3000, 450 / 3000])
    assert (frame.behind_low <= frame.behind).all()
    assert (frame.behind <= frame.behind_high).all()
    assert many.table["at most"].tolist() == [f"{100 * each:.1f}" for each in frame.behind_high]


def test_in_simulated_comparisons_it_is_truly_good_enough():
    """A few of those of `python -m tests.benchmarks.decisions`."""
    made = list(simulate(24, seed=1))
    shown = [each for each in made if each.shown]
    assert len(shown) >= 5
    assert np.mean([each.kept for each in shown]) >= 0.9


@pytest.mark.slow
def test_in_500_simulated_comparisons_it_is_truly_good_enough_and_mostly_as_fast_as_possible():
    made = list(simulate(500))
    shown = [each for each in made if each.shown]
    assert np.mean([each.kept for each in shown]) >= 0.95
    assert np.mean([each.kept for each in made if each.n >= 250]) >= 0.95
    assert np.mean([each.fastest for each in made if each.kept]) > 0.5
    assert isinstance(featx.Recommendation, type)
