"""Measuring contestants in turns, so that a busy moment of the machine hits all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


def in_turns(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Give each contestant its turn, one after the other, `rounds` times; return what they say."""
    said: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, turn in contestants.items():
            said[name].append(turn())
    return said


@dataclass(frozen=True)
class Racer:
    """A contestant that embeds images.

    Attributes
    ----------
    run : callable
        Given a number of images, embeds so many and returns images/s.
    share : float
        Its part of the usual length of a turn.
    step : int
        Images are a multiple of this.
    least : int
        Images of a turn that counts, at least.
    """

    run: Callable[[int], float]
    share: float = 1.0
    step: int = 8
    least: int = 8


def race(
    racers: Mapping[str, Racer], *, rounds: int, seconds: float, most: int
) -> dict[str, dict[str, float]]:
    """Measure images/s in turns of about so many seconds each.

    Before the turns that count, each racer has one that warms it up and one that sets its number
    of images.

    Parameters
    ----------
    racers : mapping of str to Racer
        By name.
    rounds : int
        The best of so many turns counts: a busy machine makes any of them slower, none faster.
    seconds : float
        How long a turn should take.
    most : int
        Images at hand.

    Returns
    -------
    dict of str to dict
        For each racer its `rate` in images/s and its number `n` of images in a turn.
    """
    sizes = {}
    for name, racer in racers.items():
        first = min(racer.step, most)
        racer.run(first)
        wanted = max(racer.least, racer.run(first) * seconds * racer.share)
        sizes[name] = min(most, math.ceil(wanted / racer.step) * racer.step)
    turns = {
        name: lambda racer=racer, n=sizes[name]: racer.run(n) for name, racer in racers.items()
    }
    rates = in_turns(turns, rounds)
    return {name: {"rate": max(rates[name]), "n": sizes[name]} for name in racers}
