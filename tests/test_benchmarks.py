"""The benchmark runs and its own arithmetic is right; its figures are for a quiet machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from benchmarks import int8, large, picture, throughput
from benchmarks.bench import Bench
from benchmarks.images import drawn, linked, own
from benchmarks.plan import CORES, QUICK
from benchmarks.report import Asked, headline, machine, units_of
from benchmarks.turns import Racer, in_turns, race
from conftest import ROOT
from PIL import Image

RATES = {
    "loop": 10.0,
    "dataset": 25.0,
    "default": 40.0,
    "default_network": 50.0,
    "default_decoding": 450.0,
    "fast": 160.0,
    "fast_network": 300.0,
    "fast_decoding": 600.0,
}
ENGINES = {
    mode: {"precision": "int8" if mode == "fast" else "float32"} for mode in throughput.MODES
}
FIGURES = {
    "resnet50": {
        "weights": "imagenet",
        "engines": ENGINES,
        **throughput.summary({name: {"rate": rate, "n": 8} for name, rate in RATES.items()}),
    }
}


RATIOS = FIGURES["resnet50"]["ratios"]


def test_drawn_images_are_distinct_jpegs_of_the_size_and_the_bytes_of_photographs(tmp_path):
    folder = drawn(tmp_path / "drawn", 6, (450, 375))
    paths = sorted(folder.iterdir())
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in paths}) == 6
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", (450, 375))
        assert 35_000 < path.stat().st_size < 70_000, path.stat().st_size


def test_drawn_images_are_drawn_once(tmp_path):
    (tmp_path / "drawn").mkdir()
    assert not list(drawn(tmp_path / "drawn", 3, (450, 375)).iterdir())


def test_own_images_are_linked_in_order_into_one_folder(tmp_path):
    for name in ("b/2.JPG", "a/1.png", "a/notes.txt"):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text(name)
    folder = linked(tmp_path / "links", own(tmp_path / "own"))
    assert [(path.name, path.read_text()) for path in sorted(folder.iterdir())] == [
        ("000000.png", "a/1.png"),
        ("000001.jpg", "b/2.JPG"),
    ]


def test_a_folder_without_images_ends_with_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r"no \.jpg, \.jpeg, \.png files in "):
        own(tmp_path)


def test_the_bound_adds_the_times_of_the_network_and_of_decoding():
    assert throughput.bound(300, 600) == pytest.approx(200)


def test_ratios_are_those_of_the_rates():
    ratios = FIGURES["resnet50"]["ratios"]
    assert ratios == pytest.approx(
        {
            "featx/loop": 4,
            "featx/dataset": 1.6,
            "fast/dataset": 6.4,
            "fast/featx": 4,
            "featx/bound": 40 / 45,
            "fast/bound": 0.8,
        }
    )


def test_contestants_take_turns():
    turns = []
    said = in_turns({name: lambda name=name: turns.append(name) or 1.0 for name in "ab"}, 2)
    assert turns == ["a", "b", "a", "b"]
    assert said == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_the_best_turn_counts_and_its_images_fill_the_time_in_whole_steps():
    asked = []

    def run(n: int) -> float:
        asked.append(n)
        return 10.0 + len(asked)

    figures = race({"it": Racer(run, step=16)}, rounds=2, seconds=4, most=1000)
    assert asked == [16, 16, 48, 48]  # warm-up, 12 images/s for 4 s, and the turns that count
    assert figures == {"it": {"rate": 14.0, "n": 48}}


def test_no_turn_takes_more_images_than_there_are():
    figures = race({"it": Racer(lambda n: 1e6)}, rounds=1, seconds=1, most=20)
    assert figures["it"]["n"] == 20


def test_the_table_has_a_row_for_each_backbone_and_aligned_columns():
    text = throughput.show(FIGURES)
    rates, ratios = text.split("\n\n")
    assert "--fast computes in: resnet50 int8" in ratios
    header, row = rates.splitlines()
    assert row.split() == ["resnet50", "10.0", "25.0", "40.0", "45.0", "160.0", "200.0"]
    assert len(header.rstrip()) == len(row.rstrip())
    assert ratios.splitlines()[1].split()[1:] == [
        "4.00x",
        "1.60x",
        "6.40x",
        "4.00x",
        "0.89x",
        "0.80x",
    ]


def test_random_weights_are_told():
    figures = {"vgg16": {**FIGURES["resnet50"], "weights": "random"}}
    assert "random weights, which are as fast: vgg16" in throughput.show(figures)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("", "AMX, AVX512-BF16, AVX512-VNNI, AVX512, AVX2"),
        ("AVX512_CORE_BF16", "AVX512-BF16, AVX512-VNNI, AVX512, AVX2"),
        ("AVX512_CORE_VNNI", "AVX512-VNNI, AVX512, AVX2"),
        ("AVX2_VNNI", "AVX2"),
    ],
)
def test_a_processor_passes_for_a_lesser_one_where_its_units_are_limited(limit, expected):
    units = units_of("fpu avx2 avx512f avx512_vnni avx512_bf16 amx_int8", limit)
    assert ", ".join(units) == expected


@pytest.mark.parametrize(
    ("unit", "precision", "gain"),
    [
        ("AMX", "int8", 8),
        ("AVX512-BF16", "bfloat16", 2.4),
        ("AVX512-BF16", "int8", 4),
        ("AVX512-VNNI", "int8", 4),
        ("AVX512-VNNI", "float32", None),
        ("AVX2", "int8", None),
    ],
)
def test_what_is_asked_of_fast_depends_on_the_processor(unit, precision, gain):
    assert throughput.gain_asked([unit], precision) == gain


def test_entropy_coding_bounds_what_decodes_large_photographs():
    figures = {"resnet50": {**FIGURES["resnet50"], "entropy": 900.0, "entropy_share": 2 / 3}}
    figures["resnet50"]["ratios"] = {**RATIOS, "fast/bound": 0.8, "fast/entropy bound": 0.7}
    assert "entropy coding of the JPEGs alone: 900.0 images/s, 67 %" in large.show(figures)
    assert [(each.limit, each.got) for each in large.asked(figures)] == [(0.9, 0.8), (0.9, 0.7)]


def test_on_a_busy_machine_processor_time_counts(tmp_path):
    worker = SimpleNamespace(processor_seconds=2.0)
    assert Bench(QUICK, tmp_path).rate(worker, 10, 3.0) == 3.0
    assert Bench(QUICK, tmp_path, busy=True).rate(worker, 10, 3.0) == 5.0 * CORES


def test_what_is_asked_says_what_was_got():
    assert str(Asked("fast / default", 5, 5.62)) == "fast / default: asked >= 5x: got 5.62x"
    late = Asked("many / few", 1.1, 1.3, at_most=True)
    assert str(late) == "many / few: asked <= 1.1x: got 1.3x  (missed)"
    assert late.to_dict()["met"] is False


def test_the_headline_names_the_machine_and_the_versions():
    about = machine()
    text = headline(about)
    for part in (about["cpu"], f"{os.cpu_count()} cores", "openvino", "keras", "tensorflow"):
        assert part in text, text


def test_the_picture_is_a_png_that_grows_with_the_backbones(tmp_path):
    heights = []
    for n in (1, 3):
        figures = {f"network_{index}": FIGURES["resnet50"] for index in range(n)}
        results = {"throughput": figures, "machine": machine(), "images": "6 photographs"}
        picture.save_figure(picture.draw(results), tmp_path / "picture.png")
        with Image.open(tmp_path / "picture.png") as image:
            assert image.format == "PNG"
            assert image.width > 1000
            heights.append(image.height)
    assert 200 < heights[0] < heights[1] < 2000, heights


@pytest.mark.keras
@pytest.mark.slow
def test_a_quick_run_gives_every_figure(tmp_path):
    file = tmp_path / "results.json"
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--quick", "--json", str(file)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr
    results = json.loads(file.read_text())
    parts = ("throughput", "large", "several", "cached", "startup", "single", "memory")
    for part in parts:
        assert numbers(results[part]), part
        assert min(numbers(results[part])) > 0, results[part]
    assert len(results["asked"]) >= 6
    assert {path.name for path in tmp_path.iterdir()} == {"results.json"}, "something is left over"


def numbers(value) -> list[float]:
    """List the numbers within a JSON document."""
    if isinstance(value, dict):
        return numbers(list(value.values()))
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, int | float) else []


def test_differences_of_int8_are_told_in_points_with_their_interval():
    assert int8.told(np.array([0.01, 0.01, 0.01])) == "+1.0 (+1.0 to +1.0)"
    assert int8.told(np.array([0.01, -0.01])) == "+0.0 (-12.7 to +12.7)"
    assert int8.told(np.array([-0.005])) == "-0.5"


def test_differences_of_int8_are_paired_by_split_and_averaged_over_sets():
    rows = [
        {"backbone": "net", "set": one, "split": split, "classifier": "knn"}
        | {"float32": 0.5, "other": 0.5 + gain, "tested": 9}
        for one, gain in (("a", 0.02), ("b", 0.0))
        for split in range(3)
    ]
    table = int8.differences_table(pd.DataFrame(rows))
    assert table.loc["knn"].tolist() == ["50.0 %", "+1.0 (+1.0 to +1.0)", "+1.0 (+1.0 to +1.0)"]
