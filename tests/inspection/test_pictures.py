"""Pictures are odd where they are unlike the others, and only there."""

from __future__ import annotations

import pytest

from featx.inspection.pictures import find_odd_pictures

ODD = {
    "blank": {"contrast": 1.0, "dark": 128.0, "light": 131.0, "one_colour": 1.0},
    "one-colour": {"one_colour": 0.99},
    "dark": {"dark": 0.0, "light": 30.0},
    "bright": {"dark": 230.0, "light": 255.0},
    "blurred": {"detail": (1.0, 40.0, 100.0, 200.0)},
    "small": {"width": 32, "height": 24},
    "shape": {"width": 1200, "height": 150},
}


@pytest.fixture
def folder(measures_like):
    return {f"{seed}.jpg": measures_like(seed) for seed in range(30)}


def test_photographs_are_not_odd(folder):
    assert find_odd_pictures(folder, {}) == []
    assert find_odd_pictures({}, {}) == []


@pytest.mark.parametrize("kind", ODD)
def test_one_that_is_unlike_the_others_is_found(folder, measures_like, kind):
    folder["odd.jpg"] = measures_like(99, **ODD[kind])
    (found,) = find_odd_pictures(folder, {"odd.jpg": "cat"})
    assert (found.kind, found.path, found.label) == (kind, "odd.jpg", "cat")
    assert found.leave_out == (("odd.jpg",) if kind == "blank" else ())


@pytest.mark.parametrize("kind", [kind for kind in ODD if kind != "blank"])
def test_what_all_are_is_no_fault_of_one(measures_like, kind):
    folder = {f"{seed}.jpg": measures_like(seed, **ODD[kind]) for seed in range(30)}
    assert find_odd_pictures(folder, {}) == []


def test_what_many_are_is_said_once(folder, measures_like):
    for seed in range(6):
        folder[f"odd{seed}.jpg"] = measures_like(seed, **ODD["dark"])
    (found,) = find_odd_pictures(folder, {})
    assert (found.kind, found.path) == ("dark", "")
    assert found.detail.startswith("6 of 36 pictures (17 %), such as odd0.jpg: ")


def test_many_blank_pictures_are_named_one_by_one_since_they_are_left_out(folder, measures_like):
    for seed in range(20):
        folder[f"blank{seed}.jpg"] = measures_like(seed, **ODD["blank"])
    assert len({each.path for each in find_odd_pictures(folder, {})}) == 20


def test_small_pictures_cannot_be_seen_to_be_blurred(measures_like):
    icons = {f"{n}.png": measures_like(n, width=32, height=32) for n in range(20)}
    icons["x.png"] = measures_like(50, width=32, height=32, detail=(0.0, 1.0, 50.0, 90.0))
    assert find_odd_pictures(icons, {}) == []
