"""The shape of the house: imports go downward, modules stay small, importing is cheap."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache, cached_property
from importlib import import_module, metadata
from pathlib import Path
from types import FunctionType
from typing import is_typeddict

import pytest

import featx

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "featx"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# From the ground up: a room imports from the floors below its own, and from itself.
FLOORS = [
    ("text",),
    ("errors",),
    ("forks", "paths", "processes"),
    ("progress",),
    ("storage",),
    ("files",),
    ("images",),
    ("charts",),
    ("tensors",),
    ("backbones",),
    ("features",),
    ("learning",),
    ("evaluation",),
    ("explanation",),
    ("export",),
    ("models",),
    ("similarity",),
    ("tuning",),
    ("inspection",),
    ("insight",),
    ("serving",),
    ("featx",),  # the public names
    ("cli",),
    ("__main__",),
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
STRANGERS = [  # know nothing of each other
    ("backbones", "images"),
    ("backbones", "charts"),
    ("tensors", "images"),
    ("tensors", "charts"),
]
OTHER_BEGINNINGS = {"What", "Where", "How", "When", "Who", "Read", "Write", "Make", "From"}
# The public functions that may be long, and take what users set by name.
DOORS = {"embed", "train", "compare", "tune"}

OTHER_BACKENDS = {"torch", "jax"}  # which Keras may run on, where somebody installed them
FRAMEWORKS = {"keras", "tensorflow", "openvino"} | OTHER_BACKENDS


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


NAMES = {module_name(path) for path in MODULES}


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else name


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> list[ast.AST]:
    """List all nodes of a module; walking is slow, and many tests do it."""
    return list(ast.walk(tree(path)))


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the modules that a module imports, at the top or inside functions."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} imports relatively"
            assert node.level == 0, f"{path} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & NAMES) or {node.module}
    return frozenset(found)


def own_imports(path: Path) -> set[str]:
    return set(imports(path) & NAMES)


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in nodes(path) if isinstance(node, ast.FunctionDef)]


# ---------------------------------------------------------------- imports


def test_every_room_has_its_floor():
    rooms = {room(name) for name in NAMES}
    assert rooms == set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_downward(path):
    here = room(module_name(path))
    upward = {
        name
        for name in own_imports(path)
        if room(name) != here and FLOOR[room(name)] >= FLOOR[here]
    }
    assert upward == set()


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_rooms_that_need_nothing_of_each_other_know_nothing_of_each_other(path):
    here = room(module_name(path))
    strange = {
        name for name in own_imports(path) for pair in STRANGERS if {here, room(name)} == set(pair)
    }
    assert strange == set()


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_warnings_and_logs_go_through_errors_which_makes_names_printable(path):
    calls = {ast.unparse(node) for node in nodes(path) if isinstance(node, ast.Call)}
    past = {each for each in calls if each.startswith(("warnings.warn(", "python_warnings.warn("))}
    past |= calls & {"logging.getLogger(__name__)"}
    assert past == set() or module_name(path) == "featx.errors"


def test_imports_make_no_circle():
    """Whoever imports a module runs the packages around it first."""
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        name = module_name(path)
        needs = own_imports(path)
        around = {parent for each in needs for parent in packages_of(each)}
        graph[name] = needs | (around - set(packages_of(name))) - {name}
    del graph["featx"]  # its names are imported on first use
    while graph:
        free = [name for name, needs in graph.items() if not needs & graph.keys()]
        assert free, f"these modules import one another in a circle: {sorted(graph)}"
        for name in free:
            del graph[name]


def packages_of(name: str) -> list[str]:
    """List the packages around a module, from the outermost in."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def test_every_library_that_is_imported_is_declared():
    """Declared by featx, or by what featx declares: scikit-learn brings scipy along."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].items()  # what is used where it is installed
    optional = [each for name, needs in extras if name not in ("test", "dev") for each in needs]
    declared = {distribution_of(each) for each in [*project["dependencies"], *optional]}
    for name in sorted(declared):
        if name in map(distribution_of, optional):
            continue
        needed = [each for each in metadata.requires(name) or () if "extra ==" not in each]
        declared |= {distribution_of(each) for each in needed}
    owners = metadata.packages_distributions()
    found = {name.partition(".")[0] for path in MODULES for name in imports(path)}
    found -= {"featx", *sys.stdlib_module_names, *OTHER_BACKENDS}
    undeclared = {
        name: owners.get(name)
        for name in found
        if not {distribution_of(each) for each in owners.get(name, [name])} & declared
    }
    assert undeclared == {}


def distribution_of(requirement: str) -> str:
    """Return the name in a requirement such as "lazy-loader>=0.4", as pip compares names."""
    name = re.match(r"[\w.-]+", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


# ---------------------------------------------------------------- sizes and names


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_is_read_in_one_go(path):
    assert path.read_text().count("\n") <= 500


def test_no_room_has_more_than_a_quarter_of_the_lines():
    lines: dict[str, int] = {}
    for path in MODULES:
        here = room(module_name(path))
        lines[here] = lines.get(here, 0) + path.read_text().count("\n")
    most = max(lines, key=lines.__getitem__)
    assert lines[most] <= sum(lines.values()) / 4, f"{most} has {lines[most]} lines: {lines}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_function_is_seen_at_a_glance(path):
    long = {node.name: lines_of_code(path, node) for node in functions(path)}
    assert {name: n for name, n in long.items() if n > 50 and name not in DOORS} == {}


def lines_of_code(path: Path, function: ast.FunctionDef) -> int:
    """Count the lines of a function that are no documentation, no comment and not blank."""
    documented: set[int] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            documented |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = path.read_text().split("\n")
    return sum(
        number not in documented and not re.match(r"\s*(#|$)", lines[number - 1])
        for number in range(function.lineno, function.end_lineno + 1)
    )


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_function_has_at_most_ten_parameters_and_a_door_twelve(path):
    counts = {}
    for node in functions(path):
        each = node.args
        named = [arg.arg for arg in (*each.posonlyargs, *each.args, *each.kwonlyargs)]
        named += [arg.arg for arg in (each.vararg, each.kwarg) if arg]
        counts[node.name] = len([name for name in named if name not in ("self", "cls")])
    most = {name: 12 if name in DOORS else 10 for name in counts}
    assert {name: n for name, n in counts.items() if n > most[name]} == {}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_has_the_name_of_what_it_holds(path):
    words = re.split(r"[._]", module_name(path))
    assert not {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"} & {
        *words
    }


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_begins_by_naming_what_it_holds(path):
    first = (ast.get_docstring(tree(path)) or "").partition("\n")[0]
    assert re.match(r"[A-Z`]", first), f"{first!r} is no noun phrase"
    assert first.endswith("."), first
    word = first.split()[0].rstrip(":,")
    assert word not in OTHER_BEGINNINGS, first


# ---------------------------------------------------------------- public names


def test_every_public_name_can_be_imported_and_has_a_docstring():
    undocumented = []
    for name in featx.__all__:
        value = getattr(featx, name)
        if callable(value) and not inspect.getdoc(value):
            undocumented.append(name)
    assert undocumented == []
    assert len(featx.__all__) == len(set(featx.__all__)) > 40


def test_everything_that_public_classes_offer_is_documented():
    undocumented = []
    for name, function in public_functions():
        owner, _, attribute = name.partition(".")
        listed = re.search(rf"^ *{attribute} : ", getattr(featx, owner).__doc__, re.MULTILINE)
        if not function.__doc__ and not listed:
            undocumented.append(name)
    assert undocumented == []


def test_public_functions_say_what_they_take_and_give():
    """Where any object will do, an alias says which; see `featx.images.folder.ImageSource`."""
    vague = [
        f"{name}: {parameter}"
        for name, function in public_functions(methods=False)
        for parameter, annotation in function.__annotations__.items()
        if re.search(r"\bAny\b", annotation)
    ]
    assert vague == []
    untold = [
        name
        for name, function in public_functions()
        if name.rpartition(".")[2] != "__init__" and "return" not in function.__annotations__
    ]
    assert untold == []


def test_every_class_that_people_get_is_public():
    """What functions return, and what a model is made of; options are plain dicts."""
    hidden = {}
    for name, function, annotation in annotations_of_what_people_get():
        for word in re.findall(r"\w+", annotation):
            value = meaning(function, word)
            own = inspect.isclass(value) and value.__module__.startswith("featx")
            if own and not is_typeddict(value) and getattr(featx, word, None) is not value:
                hidden[name] = word
    assert hidden == {}


def annotations_of_what_people_get() -> Iterator[tuple[str, FunctionType, str]]:
    """Yield a name, the function that has the annotation, and the annotation."""
    for name, function in public_functions():
        yield name, function, str(function.__annotations__.get("return", ""))
    build = featx.ImageClassifier.__init__
    for parameter, annotation in build.__annotations__.items():
        yield f"ImageClassifier.{parameter}", build, str(annotation)


def public_functions(*, methods: bool = True) -> Iterator[tuple[str, FunctionType]]:
    """Yield the public functions and, of public classes, the methods and properties."""
    for name in featx.__all__:
        value = getattr(featx, name)
        if inspect.isfunction(value):
            yield name, inspect.unwrap(value)
        elif inspect.isclass(value) and methods:
            for inner, each in vars(value).items():
                function = bare(each)
                written = function and function.__module__.startswith("featx")
                if written and not inner.startswith("_"):
                    yield f"{name}.{inner}", function


def bare(value: object) -> FunctionType | None:
    """Return the function within a method or a property."""
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, cached_property):
        value = value.func
    elif isinstance(value, classmethod | staticmethod):
        value = value.__func__
    return value if inspect.isfunction(value) else None


def meaning(function: FunctionType, word: str) -> object:
    """Return what a word means in the module of a function, by imports for type checkers too."""
    module = import_module(function.__module__)
    if hasattr(module, word):
        return getattr(module, word)
    for node in nodes(Path(module.__file__)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("featx"):
            for alias in node.names:
                if (alias.asname or alias.name) == word:
                    return getattr(import_module(node.module), alias.name)
    return None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="No featx attribute embedd"):
        _ = featx.embedd


# ---------------------------------------------------------------- what importing costs


def loaded_by(code: str) -> set[str]:
    code += "; import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    ["import featx; dir(featx)", "import featx.cli.main", "import featx; featx.embed"],
)
def test_importing_loads_no_heavy_library(code):
    heavy = FRAMEWORKS | {"matplotlib", "sklearn", "pandas", "pyarrow"}
    assert loaded_by(code) & heavy == set()


def test_learning_from_features_loads_no_deep_learning_framework():
    code = "import featx; featx.train; featx.Features; featx.ImageEmbedder; featx.cross_validate"
    assert loaded_by(code) & (FRAMEWORKS | {"matplotlib"}) == set()


# ---------------------------------------------------------------- tests


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_use_what_is_public(path):
    private, ours, own = [], {"featx"}, {"self", "cls", "os"}  # os._exit is public
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("featx"):
            private += [each.name for each in node.names if is_private(each.name)]
            ours |= {each.asname or each.name for each in node.names}
        own |= {node.name} if isinstance(node, ast.ClassDef) else set()
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            public = root_of(node) in own or ast.unparse(node) == "os._exit"  # in the manual of os
            private += [] if public else [node.attr]
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("setattr", "delattr"):
            texts = [str(each.value) for each in node.args[:2] if isinstance(each, ast.Constant)]
            if root_of(node.args[0]) in ours or "".join(texts).startswith("featx."):
                private += [text for text in texts if is_private(text.rpartition(".")[2])]
    assert private == []


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")  # _repr_html_ is for all


def root_of(node: ast.AST) -> str | None:
    """Return the name at the left end of a.b.c."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
