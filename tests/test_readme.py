"""README is run: its commands with the output it shows, its Python, its table of networks.

`FEATX_UPDATE_README=1 pytest tests/test_readme.py` writes the true output and the true table.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
UPDATE = bool(os.environ.get("FEATX_UPDATE_README"))
CACHE = "~/.cache/featx"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.M | re.S)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder like a clone of the project, to run README in."""
    shutil.copytree(ROOT / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, capsys) -> str:
    """Run a command of featx in this process and return what it prints."""
    from featx.cli.main import main

    with pytest.raises(SystemExit) as end:
        main(shlex.split(command)[1:])
    out, err = capsys.readouterr()
    assert end.value.code == 0, f"`{command}` ends with {end.value.code}: {err}"
    return out.replace(os.environ["FEATX_CACHE"], CACHE).rstrip("\n")


def masked(text: str) -> str:
    """Blank out what differs from run to run: times, rates, sizes, ages, the widths of columns."""
    text = re.sub(r"\d[\d.,]*( (?:B|kB|MB))?", "#", text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


@pytest.mark.keras
def test_the_commands_print_what_readme_shows(clone, capsys):
    text = README.read_text()
    for block in blocks("console"):
        parts = re.split(r"^\$ (.*)\n", block, flags=re.M)[1:]
        new = ""
        for command, shown in zip(parts[::2], parts[1::2], strict=True):
            printed = run(command, capsys)
            new += f"$ {command}\n{printed}\n"
            if not UPDATE:
                assert masked(printed) == masked(shown), f"`{command}` prints:\n{printed}"
        text = text.replace(f"```console\n{block}```", f"```console\n{new}```")
    if UPDATE:
        README.write_text(text)


@pytest.mark.keras
@pytest.mark.parametrize("block", blocks("python"))
def test_the_python_of_readme_runs_and_gives_the_shapes_it_says(block, clone):
    """An expression with a comment such as `# (20, 1280), float32` has that value."""
    import ast

    names: dict = {}
    lines = block.splitlines()
    promises = 0
    for node in ast.parse(block).body:
        code = ast.unparse(node)
        if not isinstance(node, ast.Expr):
            exec(code, names)
            continue
        value = eval(code, names)
        comment = lines[node.end_lineno - 1].partition("#")[2]
        for shape in re.findall(r"\(\d+(?:, \d+)*\)", comment):
            promises += 1
            assert shape in str(value), f"{code} is {value}, README says {comment}"
    assert promises or "GridSearchCV" in block


def backbones_table() -> str:
    from featx import BACKBONES

    lines = ["| name | px | features | parameters |", "|---|---:|---:|---:|"]
    lines += [
        f"| `{spec.name}` | {spec.input_size} | {spec.width} | {spec.parameters / 1e6:.1f} M |"
        for spec in BACKBONES.values()
    ]
    return "\n".join(lines)


def test_readme_lists_every_network_as_the_table_has_it():
    text = README.read_text()
    if UPDATE:
        old = re.search(r"<!-- backbones -->(?:\n\n\|.*?\n(?=\n))?", text, re.S)
        text = text.replace(old[0], f"<!-- backbones -->\n\n{backbones_table()}\n", 1)
        README.write_text(text)
    assert backbones_table() in text
