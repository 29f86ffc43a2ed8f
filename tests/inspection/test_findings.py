"""Kinds of findings are described where people read of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import featx
from featx.inspection.findings import KINDS

GUIDE = Path(featx.__file__).parents[1] / "docs" / "check.md"


@pytest.mark.skipif(not GUIDE.exists(), reason="there is no guide here")
def test_the_guide_describes_every_kind_and_whether_it_is_left_out():
    table = GUIDE.read_text().partition("<!-- kinds -->")[2]
    rows = re.findall(r"^\| (`[\w-]+`(?:, `[\w-]+`)*) \|.*\| (.*?) ?\|$", table, re.M)
    told = {kind: bool(out) for kinds, out in rows for kind in re.findall(r"`([\w-]+)`", kinds)}
    assert told == {name: kind.leaves_out for name, kind in KINDS.items()}
    assert list(told) == list(KINDS)
