"""The simulation of many machines agrees with closed forms and with a measured run.

`FEATX_UPDATE_README=1 pytest tests/test_scale.py` writes its tables into docs/scale.md.
"""

from __future__ import annotations

import json
import math
import os
import re
from itertools import pairwise

import pytest
from benchmarks.growth import FIGURES, NETWORKS, Assumed, grow, tables
from benchmarks.pipeline import Pipeline, Pool, Step, simulate
from conftest import ROOT

ONE = {"core": Pool(1)}


def test_one_server_takes_one_block_after_the_other():
    made = simulate(Pipeline([Step("work", "core", 2.5)], ONE), blocks=40)
    assert made.seconds == pytest.approx(100)
    assert made.busy == {"core": pytest.approx(1)}
    assert made.steps == {"work": 40}


def test_steps_on_servers_of_their_own_go_at_the_pace_of_the_slowest():
    steps = [Step("read", "disk", 1), Step("embed", "core", 3), Step("store", "bucket", 2)]
    pools = {"disk": Pool(1), "core": Pool(1), "bucket": Pool(1, shared=True)}
    made = simulate(Pipeline(steps, pools, under_way=10), blocks=50)
    assert made.seconds == pytest.approx(1 + 3 + 2 + 49 * 3)
    assert made.bottleneck == "core"


def test_steps_that_share_cores_add_up():
    steps = [Step("decode", "core", 0.25), Step("embed", "core", 0.75)]
    pipeline = Pipeline(steps, {"core": Pool(2)}, machines=3, under_way=4)
    assert simulate(pipeline, blocks=600).seconds == pytest.approx(600 / 6, rel=0.01)


def test_without_room_for_blocks_under_way_a_machine_waits_for_each():
    steps = [Step("read", "disk", 1), Step("embed", "core", 3)]
    pools = {"disk": Pool(1), "core": Pool(1)}
    made = simulate(Pipeline(steps, pools, under_way=1), blocks=20)
    assert made.seconds == pytest.approx(20 * (1 + 3))


@pytest.mark.parametrize(("decode", "embed"), [(1.0, 1.0), (0.5, 1.0)])
@pytest.mark.parametrize("under_way", [1, 2, 5])
def test_random_times_give_the_throughput_of_a_closed_queueing_network(decode, embed, under_way):
    """Two exponential stations and a fixed number of blocks: the product form has an answer."""
    steps = [Step("decode", "left", decode, 1), Step("embed", "right", embed, 1)]
    pools = {"left": Pool(1), "right": Pool(1)}
    made = simulate(Pipeline(steps, pools, under_way=under_way), blocks=12_000)
    load = embed / decode
    idle = 1 / sum(load**n for n in range(under_way + 1))  # the embedding station waits
    assert made.rate == pytest.approx((1 - idle) / embed, rel=0.03)


def test_a_driver_that_all_machines_share_bounds_them():
    steps = [Step("embed", "core", 10), Step("note", "driver", 0.2)]
    pools = {"core": Pool(1), "driver": Pool(1, shared=True)}
    rates = [simulate(Pipeline(steps, pools, n), blocks=40 * n).rate for n in (10, 40, 200)]
    assert rates[0] == pytest.approx(1, rel=0.05)
    assert rates[1] == pytest.approx(4, rel=0.05)
    assert rates[2] == pytest.approx(5, rel=0.05)  # 1 / 0.2, with however many machines


@pytest.mark.parametrize("failures", [2.0, 20.0])
def test_machines_that_die_lose_what_the_theory_of_renewals_says(failures):
    """A block of t seconds takes (e^(rate t) - 1) (1 / rate + restart) on average."""
    pipeline = Pipeline(
        [Step("embed", "core", 60, stores=True)], ONE, 1, 1, failures=failures, restart=100
    )
    made = simulate(pipeline, blocks=4_000)
    rate = failures / 3600
    expected = (math.exp(60 * rate) - 1) * (1 / rate + 100)
    assert made.seconds / 4_000 == pytest.approx(expected, rel=0.05)
    assert made.steps == {"embed": 4_000}


def test_what_is_stored_is_not_computed_again_when_a_machine_dies():
    steps = [
        Step("embed", "core", 30),
        Step("put", "bucket", 5, stores=True),
        Step("note", "driver", 40, spread=1),
    ]
    pools = {"core": Pool(2), "bucket": Pool(1), "driver": Pool(1, shared=True)}
    made = simulate(Pipeline(steps, pools, 5, 4, failures=20, restart=60), blocks=2_000)
    assert made.steps["put"] == 2_000
    assert made.steps["embed"] > 2_000
    assert made.steps["note"] == 2_000


def test_the_same_seed_gives_the_same_run():
    pipeline = Pipeline([Step("work", "core", 1, 0.5)], ONE, machines=3, failures=60)
    assert simulate(pipeline, 300, seed=1) == simulate(pipeline, 300, seed=1)
    assert simulate(pipeline, 300, seed=1) != simulate(pipeline, 300, seed=2)


@pytest.fixture(scope="module")
def figures():
    return json.loads(FIGURES.read_text())


@pytest.mark.parametrize("network", NETWORKS)
def test_the_times_of_the_parts_give_that_of_the_whole_as_it_was_measured(figures, network):
    whole, block = figures["whole"][network], 16
    parts = {
        "decode": figures["decoding"]["450x375"]["full"],
        "embed": figures["networks"][network]["float32"],
        "write": figures["storing"]["1280"]["append_block_ms"] / 128,
        "note": figures["pictures"]["second_run_us"] / 1000,
    }
    steps = [Step(name, "core", each * block / 1000) for name, each in parts.items()]
    blocks = math.ceil(whole["pictures"] / block)
    made = simulate(Pipeline(steps, {"core": Pool(2)}), blocks)
    assert 1000 * 2 * made.seconds / (blocks * block) == pytest.approx(whole["ms"], rel=0.1)


def test_more_pictures_take_more_machines_time_and_money(figures):
    made = [grow(figures, 10**power, "resnet50", Assumed()) for power in (3, 5, 7, 8)]
    for less, more in pairwise(made):
        assert less.machines <= more.machines
        assert less.hours < more.hours
        assert less.feature_bytes < more.feature_bytes
        assert sum(less.dollars.values()) < sum(more.dollars.values())
    assert made[-1].hours < Assumed().hours


def test_the_guide_shows_the_tables_that_follow_from_the_figures(figures):
    page = ROOT / "docs/scale.md"
    text = page.read_text()
    for name, table in tables(figures).items():
        shown = re.search(rf"<!-- {name} -->\n\n((?:\|.*\n)+)\n", text)
        assert shown, f"no table of {name}"
        if os.environ.get("FEATX_UPDATE_README"):
            text = text.replace(shown[1], f"{table}\n")
            page.write_text(text)
        else:
            assert shown[1] == f"{table}\n"
