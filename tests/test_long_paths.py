"""Paths that no file can have are refused in a line, like those of files that are not there."""

from __future__ import annotations

import pytest

import featx
from featx.cli.main import main
from featx.errors import FeatxError

LONG = "a" * 300


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "PHOTOS", "--backbone", f"{LONG}.onnx", "--preprocess", "torch"),
        ("embed", "PHOTOS", "--backbone", f"{LONG}.xml", "--preprocess", "torch"),
        ("embed", "PHOTOS", "--backbone", f"{LONG}.onnx+resnet50", "--preprocess", "torch"),
        ("embed", "PHOTOS", "--weights", LONG),
        ("embed", "PHOTOS", "--weights", f"{LONG}.h5"),
        ("embed", "PHOTOS", "--cache", LONG),
        ("embed", LONG),
        ("predict", f"{LONG}.featx", "PHOTOS"),
        ("evaluate", f"{LONG}.featx", "PHOTOS"),
        ("train", f"{LONG}.npz"),
        ("compare", "PHOTOS", "--weights", LONG),
    ],
    ids=lambda words: " ".join(words).replace(LONG, "LONG"),
)
def test_a_path_that_is_too_long_is_one_line_at_the_shell(words, photos, tmp_path, capsys):
    words = [str(photos) if word == "PHOTOS" else word for word in words]
    output = ["--out", str(tmp_path / "out.npz")] if words[0] == "embed" else []
    with pytest.raises(SystemExit) as ended:
        main([*words, *output])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("featx: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("name", [f"{LONG}.npz", f"{LONG}.csv", f"{LONG}.parquet", f"{LONG}.npy"])
def test_features_in_a_file_of_such_a_name_are_none(name):
    with pytest.raises(FeatxError, match="no features file"):
        featx.Features.load(name)
