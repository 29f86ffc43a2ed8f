"""The notebook in `examples/`: it was run from top to bottom, and runs again."""

from __future__ import annotations

import json
import re

import fakes
import pytest
from conftest import ROOT

import featx

NOTEBOOK = ROOT / "examples" / "which_backbone.ipynb"


@pytest.fixture
def cells():
    return json.loads(NOTEBOOK.read_text())["cells"]


def code_of(cells) -> list[str]:
    return ["".join(each["source"]) for each in cells if each["cell_type"] == "code"]


def test_it_was_executed_in_order_without_an_error_and_shows_what_it_found(cells):
    run = [each for each in cells if each["cell_type"] == "code"]
    assert [each["execution_count"] for each in run] == list(range(1, len(run) + 1))
    outputs = [output for each in run for output in each["outputs"]]
    assert [each["output_type"] for each in outputs if each["output_type"] == "error"] == []
    kinds = [kind for each in outputs for kind in each.get("data", {})]
    assert kinds.count("image/png") == 4, "two of the comparison, confusions, the learning curve"
    told = "".join("".join(each.get("text", "")) for each in run[-1]["outputs"])
    assert told.startswith("use "), "it ends in a decision"


def test_it_holds_no_photograph_and_names_no_folder_of_a_machine():
    text = NOTEBOOK.read_text()
    assert "image/jpeg" not in text
    assert re.findall(r"(?:/home|/tmp|/root|/Users|[A-Z]:\\\\)[/\\][^\s\"]*", text) == []
    assert str(ROOT.parent) + "/" not in text
    assert len(text) < 600_000


def test_it_uses_public_names_only(cells):
    code = "\n".join(code_of(cells))
    assert re.findall(r"^(?:from|import) featx.*$", code, re.M) == ["import featx"]
    assert set(re.findall(r"\bfeatx\.(\w+)", code)) - set(featx.__all__) == set()


@pytest.mark.parametrize("place", ["a folder", "the drawn fruit"])
def test_its_cells_run_on_a_folder_of_ones_own_or_on_the_drawn_fruit(
    place, cells, tmp_path, fake_engine, weights_dir, monkeypatch, capsys
):
    monkeypatch.chdir(NOTEBOOK.parent)  # where Jupyter runs it
    monkeypatch.delenv("PHOTOS", raising=False)
    if place == "a folder":
        monkeypatch.setenv("PHOTOS", str(fakes.draw_folder(tmp_path / "photos", each=8)))
    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    names: dict = {}
    for code in code_of(cells):
        exec(code, names)
    classes = ["blue", "green", "red"] if place == "a folder" else ["banana", "strawberry"]
    assert list(names["model"].classes) == classes
    assert names["comparison"].to_frame().backbone.nunique() == 5
    assert "use " in capsys.readouterr().out
