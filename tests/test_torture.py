"""Killed runs lose nothing; `python -m tests.torture` kills many more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.parametrize(
    ("script", "kills", "said"),
    [
        ("torture", 8, "byte for byte the same"),
        pytest.param(
            *("torture_parts", 3, "all rows there as they were expected"), marks=pytest.mark.slow
        ),
    ],
)
def test_runs_that_are_killed_at_any_moment_end_in_the_same_rows(script, kills, said):
    words = [sys.executable, "-m", f"tests.{script}", "--kills", str(kills)]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert said in ended.stdout
