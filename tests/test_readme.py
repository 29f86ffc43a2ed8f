"""README and the guides in docs/ are run: Python, commands and what they print, tables, links.

`FEATX_UPDATE_README=1 pytest tests/test_readme.py` writes the true output and the true tables.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import click
import fakes
import numpy as np
import pytest

import featx

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))
LINKING = [README, *GUIDES, *sorted((ROOT / "docs/reference").glob("*.md"))]
UPDATE = bool(os.environ.get("FEATX_UPDATE_README"))
CACHE = "~/.cache/featx"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.M | re.S)


def pages_with(language: str, mark=lambda path: ()) -> list:
    return [
        pytest.param(path, marks=mark(path), id=name_of(path))
        for path in (README, *GUIDES)
        if blocks(path, language)
    ]


def prose(path: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder like a clone of the project, to run a page in."""
    shutil.copytree(ROOT / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def one_cache(tmp_path_factory):
    """A cache for all pages of Python, so that the network is converted once."""
    return tmp_path_factory.mktemp("one-cache")


# What a page shows -----------------------------------------------------------------------------


def run(command: str, capsys) -> str:
    """Run a command of featx in this process and return what it prints."""
    from featx.cli.main import main

    with pytest.raises(SystemExit) as end:
        main(shlex.split(command)[1:])
    out, err = capsys.readouterr()
    assert end.value.code == 0, f"`{command}` ends with {end.value.code}: {err}"
    lines = out.replace(os.environ["FEATX_CACHE"], CACHE).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def masked(text: str) -> str:
    """Blank out what differs from run to run: times, rates, sizes, ages, digests, widths."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "#", text)
    text = re.sub(r"\d[\d.,]*( (?:B|kB|MB))?", "#", text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


@pytest.mark.keras
@pytest.mark.parametrize("page", pages_with("console"))
def test_the_commands_print_what_a_page_shows(page, clone, capsys):
    text = page.read_text()
    for block in blocks(page, "console"):
        parts = re.split(r"^\$ (.*)\n", block, flags=re.M)[1:]
        new = ""
        for command, shown in zip(parts[::2], parts[1::2], strict=True):
            printed = run(command, capsys)
            new += f"$ {command}\n{printed}\n" if printed else f"$ {command}\n"
            if not UPDATE:
                assert masked(printed) == masked(shown), f"`{command}` prints:\n{printed}"
        text = text.replace(f"```console\n{block}```", f"```console\n{new}```")
    if UPDATE:
        page.write_text(text)


class WideEngine(fakes.FakeEngine):
    """The fake engine, with as many columns as the network has."""

    def __init__(self, request):
        super().__init__(request)
        width = featx.BACKBONES[request.backbone.name].width
        shapes = {"flatten": (49 * width,), "none": (7, 7, width)}
        self.shape = shapes.get(request.poolings[0], (width * self.times,))

    def embed_batch(self, images):
        colours = fakes.colours(images) + self.offset
        rows = np.resize(np.arange(colours.shape[1]), int(np.prod(self.shape)))
        return colours[:, rows].reshape(len(images), *self.shape)


def needs_keras(page: Path) -> bool:
    """README runs on the real network, as do pages that use Keras or need one that can see."""
    code = "\n".join(blocks(page, "python"))
    return page == README or re.search(r'keras|"cnn"|featx\.label\(|reject=', code) is not None


@pytest.mark.parametrize(
    "page",
    pages_with("python", mark=lambda page: (pytest.mark.keras,) if needs_keras(page) else ()),
)
def test_the_python_of_a_page_runs_and_gives_the_shapes_it_says(
    page, clone, one_cache, monkeypatch, request
):
    """An expression with a comment such as `# (20, 1280), float32` has that value.

    The blocks of a page run one after the other, in one session.
    """
    if "s3://" in "\n".join(blocks(page, "python")):
        fill_bucket(request.getfixturevalue("bucket"))
    if needs_keras(page):
        monkeypatch.setenv("FEATX_CACHE", str(one_cache))
        run_python(page)
        return
    before = "keras" in sys.modules
    with fakes.install(WideEngine):
        run_python(page)
    assert before or "keras" not in sys.modules, "this page needs Keras: see `needs_keras`"


def fill_bucket(bucket) -> None:
    """Make the bucket of S3 that pages name, with the fruit in it."""
    bucket.name = "photos"
    bucket.create()
    bucket.put_folder(ROOT / "data/fruit", "fruit")


def run_python(page: Path) -> None:
    names: dict = {}
    promises = 0
    for block in blocks(page, "python"):
        lines = block.splitlines()
        for node in ast.parse(block).body:
            code = ast.unparse(node)
            if not isinstance(node, ast.Expr):
                exec(code, names)
                continue
            value = eval(code, names)
            comment = lines[node.end_lineno - 1].partition("#")[2]
            for shape in re.findall(r"\(\d+,(?: \d+)?(?:, \d+)*\)", comment):
                promises += 1
                assert shape in str(value), f"{code} is {value}, {page.name} says {comment}"
            if isinstance(node.value, ast.Compare):
                promises += 1
                assert value is True, f"{code} is {value}"
    assert promises, f"nothing that {page.name} says of its Python is checked"


# What a page says ------------------------------------------------------------------------------


def command_of(words: list[str]) -> click.Command:
    """Return the command that some words name, those after "featx"."""
    from featx.cli.commands import cli

    command: click.Command = cli
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words[0]]
        words = words[1:]
    return command


def options_of(command: click.Command) -> set[str]:
    known = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}
    return known | {"--help", "--version"}


def mentioned_commands(page: Path) -> list[str]:
    """List the commands of featx that a page names, in blocks or within a sentence."""
    scripts = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    lines = re.findall(r"^(featx .*)$", scripts, re.M)
    return lines + re.findall(r"`(featx [a-z][^`]*)`", prose(page))


@pytest.mark.parametrize("page", [README, *GUIDES], ids=name_of)
def test_a_page_names_commands_and_options_that_exist(page):
    from featx.cli.commands import cli

    for line in mentioned_commands(page):
        words = shlex.split(line)[1:]
        command = command_of(words)
        assert command is not cli, f"{page.name}: `{line}` names no command"
        unknown = {word for word in words if word.startswith("--")} - options_of(command)
        assert not unknown, f"{page.name}: `{line}` has no {unknown}"
    every = set.union(*(options_of(command) for command in walk(cli)))
    flags = set(re.findall(r"`(--[a-z-]+)", prose(page)))
    assert flags <= every, f"{page.name} names {flags - every}"


def walk(command: click.Command):
    yield command
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from walk(each)


def test_the_first_sixty_lines_are_enough_to_embed_train_predict_and_compare():
    lines = README.read_text().splitlines()
    assert len(lines) <= 210
    first = "\n".join(lines[:60])
    for word in ("embed", "train", "predict", "compare"):
        assert f"$ featx {word} " in first
        assert re.search(rf"\.{word}\(", first), f"no {word} in Python"


def test_the_guide_to_the_shell_has_a_part_for_every_command():
    from featx.cli.commands import cli

    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/shell.md").read_text(), re.M)
    assert sorted(headings) == sorted(cli.commands)


def backbones_table() -> str:
    lines = ["| name | px | columns | parameters |", "|---|---:|---:|---:|"]
    lines += [
        f"| `{spec.name}` | {spec.input_size} | {spec.width} | {spec.parameters / 1e6:.1f} M |"
        for spec in featx.BACKBONES.values()
    ]
    return "\n".join(lines)


def test_the_guide_to_backbones_lists_every_network_as_the_table_has_it():
    page = ROOT / "docs/backbones.md"
    text = page.read_text()
    if UPDATE:
        old = re.search(r"<!-- backbones -->\n(?:\n(?:\|.*\n)+)?", text)
        text = text.replace(old[0], f"<!-- backbones -->\n\n{backbones_table()}\n", 1)
        page.write_text(text)
    assert backbones_table() in text


def test_the_guide_to_classifiers_lists_every_one():
    table = prose(ROOT / "docs/classifiers.md").partition("<!-- classifiers -->")[2]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.M) == list(featx.CLASSIFIERS)


def test_the_table_of_results_says_what_each_of_them_has():
    table = prose(ROOT / "docs/python.md").partition("## Results")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")]
        for line in re.findall(r"^\|(.*)\|$", table, re.M)
    ]
    (_, *headings, _), _, *rows = rows
    methods = [re.sub(r"\W", "", each) for each in headings]
    assert methods == ["to_dict", "to_frame", "plot"]
    for results, *told, words in rows:
        for name in re.findall(r"`(\w+)`", results):
            result = getattr(featx, name)
            assert [bool(each) for each in told] == [hasattr(result, each) for each in methods], (
                name
            )
            assert all(hasattr(result, each) for each in re.findall(r"`(\w+)`", words)), name


def test_readme_gives_a_reason_for_every_dependency():
    import tomllib

    table = README.read_text().partition("## Dependencies")[2].partition("\n## ")[0]
    named = [
        name for cell in re.findall(r"^\| ([a-z].*?) \|", table, re.M) for name in cell.split(", ")
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [re.split(r"[><=~]", each)[0] for each in project["dependencies"]]
    assert sorted(each for each in named if each != "package") == sorted(needed)


# Where a page leads ----------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", LINKING, ids=name_of)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.exists(), f"{name_of(page)} leads to {target}"
        assert not anchor or anchor in anchors(place), f"{name_of(page)} leads to {target}"


@pytest.mark.parametrize("page", [page for page in GUIDES if page.name != "README.md"], ids=name_of)
def test_every_guide_is_in_the_index(page):
    assert f"({page.name})" in (ROOT / "docs/README.md").read_text()


HOUSE = ROOT / "docs/house.md"
PACKAGE = ROOT / "featx"


def defined_in(module: Path) -> set[str]:
    """Return the names that a module defines: functions, classes, their methods, constants."""
    names = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
            names |= {
                f"{node.name}.{each.name}"
                for each in getattr(node, "body", ())
                if isinstance(each, ast.FunctionDef)
            }
        elif isinstance(node, ast.Assign):
            names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
    return names


def test_the_map_of_the_house_names_functions_where_they_are():
    found = re.findall(r"`([\w.]+)`\s+in\s+`([\w/]+\.py)`", HOUSE.read_text())
    assert len(found) > 20
    wrong = [
        f"{name} in {module}"
        for name, module in found
        if not (PACKAGE / module).is_file() or name not in defined_in(PACKAGE / module)
    ]
    assert wrong == []


def test_the_map_of_the_house_shows_every_folder_and_module():
    rows = re.findall(r"^\| `([\w/]+)/` \| (.*) \|$", HOUSE.read_text(), re.M)
    folders = {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}
    assert {PACKAGE / folder for folder, _ in rows} == folders
    for folder, text in rows:
        named = set(re.findall(r"`(\w+\.py)`", text))
        modules = {path.name for path in (PACKAGE / folder).glob("*.py")} - {"__init__.py"}
        assert named <= modules, f"{folder} has no {named - modules}"
        if not re.search(r"one \w+ a \w+", text):
            assert named == modules, f"{folder} has {modules - named}, too"


def test_the_folders_of_the_house_stand_in_the_order_of_their_imports():
    """A folder imports only from those above it in the table."""
    rows = [
        re.findall(r"`(\w+)(?:\.py|/)`", cells)
        for cells in re.findall(r"^\| ((?:`[\w.]+/?`(?:, )?)+) \| ", HOUSE.read_text(), re.M)
    ]
    floors = {name: number for number, row in enumerate(rows) for name in row}
    for path in PACKAGE.rglob("*.py"):
        here = path.relative_to(PACKAGE).with_suffix("").parts[0]
        imported = set(re.findall(r"^ *from featx\.(\w+)", path.read_text(), re.M)) - {here}
        upward = {each for each in imported if floors[each] > floors.get(here, len(rows))}
        assert not upward, f"{path.relative_to(PACKAGE)} imports {upward}"
