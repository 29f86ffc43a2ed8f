"""Damaged files give nothing wrong and heal; `python -m tests.damage` tries many more places."""

from __future__ import annotations

import os

import pytest
from damage.targets import TARGETS
from damage.trial import try_places

PLACES = int(os.environ.get("FEATX_DAMAGE_PLACES", 12))


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(target, id=target.name, marks=[pytest.mark.keras] if target.keras else [])
        for target in TARGETS
    ],
)
def test_damage_gives_nothing_wrong_and_heals(target, tmp_path):
    assert try_places(target, PLACES, tmp_path) > 0, "no damage was noticed"
