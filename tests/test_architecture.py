"""The shape of the house: imports go downward, modules stay small, importing is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "featx"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))

# Each room may import from those of a lower number, and from itself.
FLOORS = {
    "errors": 0,
    "files": 1,
    "images": 2,
    "backbones": 2,
    "features": 3,
    "learning": 4,
    "insight": 5,
    "cli": 6,
    "__main__": 7,
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else name


def imports(path: Path) -> set[str]:
    """Return the featx modules that a module imports, at the top or inside functions."""
    names = {module_name(each) for each in MODULES}
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & names) or {node.module}
    return {name for name in found if name in names} - {"featx"}


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path != PACKAGE / "__init__.py"], ids=module_name
)
def test_imports_go_downward(path):
    here = room(module_name(path))
    upward = {
        name for name in imports(path) if room(name) != here and FLOORS[room(name)] >= FLOORS[here]
    }
    assert not upward, f"{module_name(path)} imports {sorted(upward)} from its own floor or above"


def test_imports_make_no_circle():
    graph = {module_name(path): imports(path) - {module_name(path)} for path in MODULES}
    graph.pop("featx")
    while graph:
        free = [name for name, needs in graph.items() if not needs & graph.keys()]
        assert free, f"these modules import one another in a circle: {sorted(graph)}"
        for name in free:
            del graph[name]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_modules_are_small_and_say_what_they_are_for(path):
    source = path.read_text()
    assert source.count("\n") <= 350, f"{path.name} has {source.count(chr(10))} lines"
    assert ast.get_docstring(ast.parse(source)), f"{path.name} has no docstring"


def loaded_by(code: str) -> set[str]:
    code += "; import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    ["import featx; dir(featx)", "import featx.cli.main", "import featx; featx.embed"],
)
def test_importing_loads_no_heavy_library(code):
    frameworks = {"keras", "tensorflow", "torch", "jax", "openvino"}
    heavy = frameworks | {"matplotlib", "sklearn", "pandas", "pyarrow"}
    assert not loaded_by(code) & heavy


def test_learning_from_features_loads_no_deep_learning_framework():
    code = "import featx; featx.train; featx.Features; featx.ImageEmbedder; featx.cross_validate"
    frameworks = {"keras", "tensorflow", "torch", "jax", "openvino"}
    assert not loaded_by(code) & (frameworks | {"matplotlib"})


def test_every_public_name_can_be_imported_and_has_a_docstring():
    import featx

    for name in featx.__all__:
        value = getattr(featx, name)
        assert not callable(value) or value.__doc__, f"featx.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error():
    import featx

    with pytest.raises(AttributeError, match="no attribute 'embedd'"):
        _ = featx.embedd
