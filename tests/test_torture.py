"""Killed runs lose nothing; `python -m tests.torture` kills many more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_runs_that_are_killed_at_any_moment_end_in_the_same_matrix():
    words = [sys.executable, "-m", "tests.torture", "--kills", "8"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "byte for byte the same" in ended.stdout


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_folders_of_features_end_in_the_same_rows_whatever_happens_to_their_runs():
    words = [sys.executable, "-m", "tests.torture_parts", "--kills", "3"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "all rows there as they were expected" in ended.stdout
