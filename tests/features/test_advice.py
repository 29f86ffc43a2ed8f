"""A slow run says once by what factor --fast would shorten it, if that is worth a word."""

from __future__ import annotations

import logging
import os
import time
from types import SimpleNamespace

import fakes
import pytest

import featx
from featx.features import advice as module
from featx.features.advice import Advice
from featx.images.fit import Fit


def lane(speedup: float | None = None, decode: str = "full", engine: bool = True):
    opened = SimpleNamespace(bfloat16_speedup=speedup) if engine else None
    return SimpleNamespace(fit=Fit(16, decode=decode), engine=opened)


@pytest.fixture
def picture(tmp_path) -> str:
    return str(fakes.draw(tmp_path / "1.png", (9, 99, 200)))


@pytest.fixture
def machine(monkeypatch):
    """Return a function that sets the cores, and what decoding takes of one, in full and scaled."""

    def set_to(cores: int, full: float, scaled: float) -> None:
        clock = iter([7.0, 7.0 + full, 7.0 + full + scaled])
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        monkeypatch.setattr(time, "thread_time", lambda: next(clock))

    set_to(1, 0.0, 0.0)
    return set_to


def factor_in(text: str) -> float:
    assert text.startswith("--fast (in Python fast=True) would be about "), text
    assert text.endswith(
        "times as fast: bfloat16 and scaled decoding, for nearly the same features"
    ), text
    return float(text.removeprefix("--fast (in Python fast=True) would be about ").split()[0])


# 0.1 s for each of a thousand pictures
SLOW = (10.0, 100, 1000)


@pytest.mark.parametrize(
    ("seconds", "done", "total"),
    [
        (4.9, 1, 10_000),  # the end cannot be foretold yet
        (10.0, 100, 599),  # it takes 59.9 seconds
        (59.0, 1000, 1000),
    ],
)
def test_a_run_that_is_not_slow_hears_nothing(machine, picture, seconds, done, total):
    assert Advice([picture], [lane(6.0)])(seconds, done, total) is None


@pytest.mark.parametrize(
    ("seconds", "done", "total"), [(5.0, 1, 12), (10.0, 100, 600), (60.0, 1000, 1000), SLOW]
)
def test_a_slow_run_is_told_the_factor(machine, picture, seconds, done, total):
    text = Advice([picture], [lane(6.0)])(seconds, done, total)
    assert factor_in(text) == 6.0
    assert "\n" not in text


def test_it_is_said_once(machine, picture):
    advice = Advice([picture], [lane(6.0)])
    answers = [advice(2.0, 20, 1000), advice(*SLOW), advice(*SLOW), advice(90.0, 900, 1000)]
    assert [answer is None for answer in answers] == [True, False, True, True], answers


def test_what_is_not_worth_it_is_not_said_and_not_measured_again(machine, picture, monkeypatch):
    advice = Advice([picture], [lane(1.2)])
    assert advice(*SLOW) is None
    monkeypatch.setattr(advice, "_factor", lambda _: pytest.fail("it was measured again"))
    assert advice(*SLOW) is None


@pytest.mark.parametrize(
    ("cores", "speedups", "full", "scaled", "factor"),
    [
        # of 0.1 s on one core: 0.1 s in the network
        (1, [2.0], 0.0, 0.0, 2.0),
        (1, [None], 0.0, 0.0, None),
        (1, [1.29], 0.0, 0.0, None),
        (1, [1.31], 0.0, 0.0, 1.3),
        # 0.06 s in the network, 0.04 s of decoding that becomes 0.01 s: 0.1 / (0.03 + 0.01)
        (1, [2.0], 0.04, 0.01, 2.5),
        # 0.4 s on four cores, 0.36 s in the network: 0.4 / (0.18 + 0.01)
        (4, [2.0], 0.04, 0.01, 2.1),
        # decoding alone: 0.06 + 0.04 become 0.06 + 0.01
        (1, [None], 0.04, 0.01, 1.4),
        # scaled decoding that is no faster costs nothing: 0.1 / (0.03 + 0.04)
        (1, [2.0], 0.04, 0.05, 1.4),
        # more decoding than time, as the file is a large one: 0.2 / 0.05
        (1, [6.0], 0.2, 0.05, 4.0),
        # of several networks the one that gains least is counted
        (1, [6.0, 2.0], 0.0, 0.0, 2.0),
        (1, [6.0, None], 0.0, 0.0, None),
    ],
)
def test_the_factor_is_that_of_the_network_and_of_decoding(
    machine, picture, cores, speedups, full, scaled, factor
):
    machine(cores, full, scaled)
    text = Advice([picture], [lane(speedup) for speedup in speedups])(*SLOW)
    assert (text and factor_in(text)) == factor


def test_a_network_that_is_not_open_yet_is_counted_as_it_is(machine, picture):
    assert Advice([picture], [lane(engine=False)])(*SLOW) is None


def test_a_file_in_the_middle_is_decoded_for_every_network_in_full_and_scaled(
    machine, tmp_path, monkeypatch
):
    paths = [str(fakes.draw(tmp_path / f"{i}.png", (i, 9, 9))) for i in range(5)]
    asked = []
    monkeypatch.setattr(module, "decode_all", lambda data, fits: asked.append((data, fits)))
    Advice(paths, [lane(6.0), lane(6.0)])(*SLOW)
    middle = (tmp_path / "2.png").read_bytes()
    scaled = Fit(16, decode="scaled")
    assert asked == [(middle, [Fit(16)] * 2)] * 2 + [(middle, [scaled] * 2)], "cold, full, scaled"


@pytest.mark.parametrize("content", [None, b"", b"no picture"], ids=str)
def test_a_file_that_cannot_be_read_does_not_end_the_run(machine, tmp_path, content):
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    assert factor_in(Advice([str(path)], [lane(6.0)])(*SLOW)) == 6.0


# -- In a run ------------------------------------------------------------------------------------


@pytest.fixture
def said(caplog):
    """Return a function that lists what featx has logged since it was asked last."""

    def lines() -> list[str]:
        records = [record for record in caplog.records if record.name.startswith("featx")]
        assert {record.levelno for record in records} <= {logging.WARNING}
        found = [record.getMessage() for record in records]
        caplog.clear()
        return found

    return lines


@pytest.fixture
def impatient(monkeypatch, fake_engine):
    """Let every run count as slow, and the network as eight times as fast in bfloat16."""
    monkeypatch.setattr(module, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(module, "_SLOW_SECONDS", 0.0)
    monkeypatch.setattr(fake_engine, "bfloat16_speedup", 8.0)
    monkeypatch.setattr(fake_engine, "seconds_per_batch", 0.02)


@pytest.mark.parametrize("progress", [False, True])
def test_a_slow_run_logs_its_advice_once_and_does_the_same(
    backbone, photos, impatient, said, progress
):
    features = featx.embed(photos, backbone, batch_size=2, progress=progress)
    (line,) = said()
    assert 1.3 <= factor_in(line) <= 8.0, line
    fakes.assert_rows(features)
    featx.embed(photos, backbone, batch_size=2, progress=progress)
    assert said() == [], "nothing was embedded"


def test_a_run_of_several_networks_logs_its_advice_once(backbone, photos, impatient, said):
    featx.embed(photos, [backbone, backbone], input_size=20, batch_size=2, progress=False)
    assert len(said()) == 1


def test_a_run_that_would_gain_nothing_logs_nothing(
    backbone, photos, impatient, said, monkeypatch, fake_engine
):
    monkeypatch.setattr(fake_engine, "bfloat16_speedup", None)
    monkeypatch.setattr(fake_engine, "seconds_per_batch", 0.1)
    featx.embed(photos, backbone, batch_size=8, progress=False)
    assert said() == []


def test_a_short_run_logs_nothing(backbone, photos, said, fake_engine, monkeypatch):
    monkeypatch.setattr(fake_engine, "bfloat16_speedup", 8.0)
    featx.embed(photos, backbone, batch_size=2, progress=False)
    assert said() == []


def test_a_run_that_is_fast_already_hears_nothing_and_measures_nothing(
    machine, picture, monkeypatch
):
    machine(cores=2, full=1.0, scaled=0.1)
    monkeypatch.setattr(module, "decode_all", lambda *_: pytest.fail("a file was decoded"))
    assert Advice([picture], [lane(None, decode="scaled")] * 2)(*SLOW) is None


def test_decoding_that_a_coarse_clock_does_not_see_gives_no_advice(machine, picture):
    machine(cores=1, full=1.0, scaled=0.0)
    assert Advice([picture], [lane(6.0)])(*SLOW) is None
