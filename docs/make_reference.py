"""The reference of the public names: `python docs/make_reference.py` writes it from docstrings.

A page for each folder of the package, in `docs/reference/`. The names, and the folders they belong
to, are those of `featx/__init__.pyi`; what is said of them stands in the code, once.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

from docstring_parser import Docstring, DocstringMeta, DocstringParam
from docstring_parser.numpydoc import NumpydocParser, ParamSection

import featx
from featx.errors import FeatxError

FOLDER = Path(__file__).parent / "reference"
STUB = Path(featx.__file__).with_suffix(".pyi")
_WIDTH = 96
_SECTIONS = {
    "param": "Parameters",
    "attribute": "Attributes",
    "returns": "Returns",
    "raises": "Raises",
}


class _Described(ParamSection):
    """A section of names, whose types are taken as they are written: "int, default=5"."""

    def _parse_item(self, key: str, value: str) -> DocstringParam:
        name, _, kind = key.partition(" : ")
        return DocstringParam(
            [self.key, name], value, arg_name=name, type_name=kind, is_optional=None, default=None
        )


_PARSER = NumpydocParser()
_PARSER.add_section(_Described("Parameters", "param"))
_PARSER.add_section(_Described("Attributes", "attribute"))


@functools.cache
def public_modules() -> dict[str, str]:
    """Return the module of each public name, such as "features.embed" of "embed"."""
    return {
        alias.name: str(node.module)
        for node in ast.parse(STUB.read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def documentation(value: object) -> Docstring:
    """Parse the docstring of a function, a class, a method or a property."""
    return _PARSER.parse(inspect.getdoc(value))


def described(value: object, kind: str = "param") -> dict[str, str]:
    """Return the names that a section of a docstring describes, in order, with their types."""
    return {
        name.strip(): item.type_name or ""
        for item in documentation(value).meta
        if isinstance(item, DocstringParam) and item.args[0] == kind
        for name in item.arg_name.split(",")
    }


def members(cls: type) -> dict[str, Any]:
    """Return what a class defines itself, in order, and then what bases do that are not public."""
    found = dict(vars(cls))
    for base in cls.__mro__[1:]:
        if base.__module__.startswith("featx.") and base.__name__ not in public_modules():
            found = {
                **found,
                **{name: each for name, each in vars(base).items() if name not in found},
            }
    return found


def methods(cls: type) -> dict[str, Any]:
    """Return the public methods of a class, without those of another public one, in order."""
    return {
        name: getattr(value, "__func__", value)
        for name, value in members(cls).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, classmethod | staticmethod))
    }


def properties(cls: type) -> dict[str, Any]:
    """Return the public properties of a class, but for documented attributes."""
    known = described(cls, "attribute")
    found = {}
    for name, value in members(cls).items():
        if not name.startswith("_") and name not in known:
            if isinstance(value, property):
                found[name] = value.fget
            elif isinstance(value, functools.cached_property):
                found[name] = value.func
    return found


def comment_on(name: str) -> str:
    """Return the lines that begin with "#:" above the assignment of a public constant."""
    module = importlib.import_module(f"featx.{public_modules()[name]}")
    found = re.search(rf"^((?:#: .*\n)+){name}\b", inspect.getsource(module), re.M)
    return "" if found is None else " ".join(re.findall(r"^#: (.*)$", found[1], re.M))


def pages() -> dict[str, str]:
    """Return the text of every page by the name of its file."""
    folders: dict[str, list[str]] = {}
    for name, module in public_modules().items():
        folders.setdefault(module.partition(".")[0], []).append(name)
    folders = {folder: sorted(names, key=_rank) for folder, names in folders.items()}
    pages = {f"{folder}.md": _page(folder, names) for folder, names in folders.items()}
    return {"README.md": _index(folders), **pages}


def _rank(name: str) -> int:
    """Functions come first, then classes, then constants."""
    value = getattr(featx, name)
    return 0 if inspect.isfunction(value) else 1 if inspect.isclass(value) else 2


def _index(folders: dict[str, list[str]]) -> str:
    parts = [
        "# Reference",
        f"Every public name of featx {featx.__version__}: what it takes, gives and raises. The "
        "[guides](../README.md) say when to use which.",
        "`python docs/make_reference.py` writes these pages from the docstrings.",
    ]
    for folder, names in folders.items():
        parts += [f"## [featx.{folder}]({folder}.md)", _about(folder)]
        rows = [f"| {_link(name)} | {_escaped(_summary(name))} |" for name in names]
        parts.append("\n".join(["| | |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _page(folder: str, names: list[str]) -> str:
    parts = [f"# featx.{folder}", _about(folder), "[All public names](README.md)"]
    for name in names:
        value = getattr(featx, name)
        parts.append(f"## {_title(name)}")
        if inspect.isclass(value):
            parts += _class(name, value)
        elif inspect.isfunction(value):
            parts += [_signature(f"featx.{name}", value), *_body(value)]
        else:
            parts.append(_text(textwrap.fill(comment_on(name), _WIDTH)))
    return "\n\n".join(parts) + "\n"


def _about(folder: str) -> str:
    """Return what the first lines of a folder, or of a single module, say of it."""
    return inspect.getdoc(importlib.import_module(f"featx.{folder}")) or ""


def _summary(name: str) -> str:
    value = getattr(featx, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        return " ".join(str(documentation(value).short_description).split())
    return comment_on(name).partition(". ")[0].rstrip(".") + "."


def _title(name: str) -> str:
    return f"class {name}" if inspect.isclass(getattr(featx, name)) else f"featx.{name}"


def _link(name: str, text: str = "", member: str = "") -> str:
    """Return a link to a public name, or to a method of it."""
    value = getattr(featx, name)
    known = inspect.isclass(value) and member in methods(value)
    anchor = _anchor(f"{name}.{member}" if known else _title(name))
    return f"[`{text or name}`]({public_modules()[name].partition('.')[0]}.md#{anchor})"


def _anchor(title: str) -> str:
    """Return what a heading is called in links, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _class(name: str, cls: type) -> list[str]:
    parts = _body(cls)
    if described(cls):  # else it is a result, which nobody makes by hand
        parts.insert(0, _signature(f"featx.{name}", cls))
    for base in cls.__mro__[1:]:
        if base.__name__ in public_modules():
            parts.append(f"It has all that {_link(base.__name__)} has, and:")
    if cls is FeatxError:
        parts.append(_errors())
    if own := properties(cls):
        parts += ["**Properties**", "\n".join(_property(*each) for each in own.items())]
    for each, method in methods(cls).items():
        title = f"{name}.{each}"
        parts += [f"### {title}", _signature(title, method), *_body(method)]
    return parts


def _errors() -> str:
    """List the errors, which are all in one module."""
    rows = ["| in `featx.errors` | is a | raised when |", "|---|---|---|"]
    for name, value in vars(importlib.import_module("featx.errors")).items():
        if inspect.isclass(value) and issubclass(value, FeatxError) and value is not FeatxError:
            builtin = next(each for each in value.__mro__ if not issubclass(each, FeatxError))
            rows.append(f"| `{name}` | `{builtin.__name__}` | {_escaped(inspect.getdoc(value))} |")
    return "\n".join(rows)


def _signature(name: str, value: Any) -> str:
    signature = inspect.signature(value)
    own = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    bare = signature.replace(
        parameters=[each.replace(annotation=inspect.Parameter.empty) for each in own],
        return_annotation=inspect.Signature.empty,
    )
    text = str(bare)
    if len(name) + len(text) > _WIDTH:
        filled = textwrap.fill(text[1:-1], _WIDTH - 4, break_on_hyphens=False)
        text = f"(\n{textwrap.indent(filled, '    ')}\n)"
    return f"```text\n{name}{text}\n```"


def _body(value: object) -> list[str]:
    """Write what a docstring says, section by section."""
    about = documentation(value)
    parts = [_text(about.description or "").strip()]
    for kind, title in _SECTIONS.items():
        items = [_item(item) for item in about.meta if item.args[0] == kind]
        if items:
            parts += [f"**{title}**", "\n".join(items)]
    examples = [str(item.snippet) for item in about.examples if item.snippet]
    if examples:
        parts += ["**Examples**", "```pycon\n" + "\n".join(examples) + "\n```"]
    return parts


def _item(item: DocstringMeta) -> str:
    """Write an entry of a section: its name, its type, and what is said of it."""
    known: Any = item
    if item.args[0] == "raises":
        return _entry(", ".join(f"`{each}`" for each in known.type_name.split(", ")), item)
    if item.args[0] == "returns":
        name, kind = known.return_name, known.type_name
        return _entry(f"`{name}` ({_types(kind)})" if name else _types(kind), item)
    name, kind = known.arg_name, known.type_name
    return _entry(f"`{name}` ({_types(kind)})" if kind else f"`{name}`", item)


def _entry(head: str, about: DocstringMeta | Docstring) -> str:
    text = _text(about.description or "").strip()
    return f"- {head}: {textwrap.indent(text, '  ').lstrip()}" if text else f"- {head}"


def _property(name: str, getter: Any) -> str:
    kind = _types(str(inspect.signature(getter).return_annotation))
    return _entry(f"`{name}` ({kind})", documentation(getter))


def _types(text: str) -> str:
    """Write a type, with links to what is public."""
    words = re.split(r"(\b(?<![`.])[A-Z]\w+\b)", _text(text))
    return "".join(_link(word) if word in public_modules() else word for word in words)


def _text(text: str) -> str:
    """Write prose, with links from names in backticks to what is public."""

    def linked(match: re.Match[str]) -> str:
        name, _, member = match[1].removeprefix("featx.").partition(".")
        if name not in public_modules():
            return match[0]
        if match[1] == name and name.capitalize() in public_modules():
            return match[0]  # `label` may be a column; `featx.label` is the function
        return _link(name, match[1], member)

    return re.sub(r"`([\w.]+)`", linked, _escaped(text))


def _escaped(text: str | None) -> str:
    """Keep Markdown from taking signs for its own, but in backticks."""
    parts = re.split(r"(`[^`]*`)", text or "")
    return "".join(
        part if part.startswith("`") else re.sub(r"([*<|])", r"\\\1", part) for part in parts
    )


def main() -> None:
    """Write the pages, and remove those of folders that are gone."""
    FOLDER.mkdir(exist_ok=True)
    new = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in new:
            path.unlink()
    for name, text in new.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
