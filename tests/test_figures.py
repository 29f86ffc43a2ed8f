"""The pictures of the documentation: one script makes every one of them."""

from __future__ import annotations

import runpy

import pytest
from conftest import ROOT

MADE_ELSEWHERE = {"speed.png"}  # by the benchmark, which needs a quiet machine


@pytest.fixture(scope="module")
def parts() -> set[str]:
    return set(runpy.run_path(str(ROOT / "docs" / "make_figures.py"))["PARTS"])


def test_every_picture_is_made_by_the_script(parts):
    shown = {path.name for path in (ROOT / "examples" / "images").iterdir()}
    assert shown - MADE_ELSEWHERE == parts - {"console"}


def test_every_example_draws_one_of_them(parts):
    scripts = {path.stem for path in (ROOT / "examples").iterdir() if path.is_file()}
    assert scripts - {"README"} <= {name.partition(".")[0] for name in parts}
