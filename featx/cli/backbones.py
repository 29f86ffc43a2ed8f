"""`featx backbones`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from featx.cli.flags import json_option
from featx.cli.help import command, option
from featx.cli.output import emit, table, working
from featx.errors import OptionError, UnknownBackboneError

if TYPE_CHECKING:
    from featx.backbones.kinds import Kind


@command(epilog="Example: featx backbones resnet50 --json")
@click.argument("name", required=False)
@option("--search", metavar="TEXT", help="List the networks of every kind whose name holds a text.")
@option(
    "--weights",
    default="imagenet",
    show_default=True,
    metavar="imagenet|random|PATH",
    help="Weights of the network whose layers are listed, where it is none of the table.",
)
@json_option
def backbones(name: str | None, search: str | None, weights: str, as_json: bool) -> None:
    """List the networks, or the layers of one.

    The networks stand with where their weights are, and below them the other kinds that there are.
    NAME is one: its layers are those that --layer takes, with the size of their maps for pictures
    of its usual size, height x width x channels for the networks of the table, mostly channels
    first for others. The beginning of a kind lists the networks of that: `featx backbones timm:`.
    """
    if search is not None:
        if name is not None:
            raise OptionError(f"--search looks through all networks: leave {name!r} out")
        _list_names(_found(search), as_json)
    elif name is None:
        _list_networks(as_json)
    elif kind := _kind_with(name):
        _list_names(_names_of(kind), as_json)
    else:
        _list_layers(name, weights, as_json)


def _list_networks(as_json: bool) -> None:
    from featx.backbones.kinds import KINDS
    from featx.backbones.table import BACKBONES
    from featx.backbones.weights import at_hand

    rows = [{**spec.to_dict(), "at_hand": at_hand(spec)} for spec in BACKBONES.values()]
    header = ["name", "px", "features", "parameters", "weights from", "at hand"]
    cells = [
        [
            row["name"],
            row["input_size"],
            row["n_features"],
            f"{row['parameters'] / 1e6:.1f} M",
            row["weights"],
            row["at_hand"] or "no",
        ]
        for row in rows
    ]
    kinds = [
        {
            "name": kind.usage,
            "what": kind.text,
            "installed": kind.installed,
            "install": kind.advice if kind.install else None,
        }
        for kind in KINDS
        if kind.usage
    ]
    others = [
        [
            row["name"],
            row["what"],
            "yes" if row["installed"] else f"no: {row['install']}",
        ]
        for row in kinds
    ]
    text = table(header, cells, right=("px", "features", "parameters"))
    text += f"\n\n{table(['other networks', 'what they are', 'installed'], others)}"
    emit({"networks": rows, "kinds": kinds}, text, as_json=as_json)


def _kind_with(prefix: str) -> Kind | None:
    """Return the kind whose names begin with a text and a colon, if that is all there is of it."""
    from featx.backbones.kinds import KINDS

    return next((kind for kind in KINDS if kind.lister and kind.prefix == prefix.lower()), None)


def _names_of(kind: Kind) -> list[str]:
    """List the networks of a kind, with what their names begin with."""
    from featx.backbones.framework import imported

    if not kind.installed:
        raise OptionError(f"{kind.name} lists its networks once it is installed: {kind.advice}")
    assert kind.lister is not None
    with working():
        names: list[str] = imported(kind.lister)()
    return names


def _found(text: str) -> list[str]:
    """Return the names of networks, of whatever kind, that hold a text."""
    from featx.backbones.kinds import KINDS
    from featx.backbones.table import BACKBONES

    kinds = [kind for kind in KINDS if kind.lister]
    names = [*BACKBONES, *(name for kind in kinds if kind.installed for name in _names_of(kind))]
    found = [name for name in names if text.lower() in name.lower()]
    if not found:
        missing: dict[str, list[str]] = {}
        for kind in kinds:
            if not kind.installed:
                missing.setdefault(kind.advice, []).append(kind.name)
        others = "".join(
            f"; to look in {' and '.join(names)}, {advice}" for advice, names in missing.items()
        )
        raise UnknownBackboneError(f"no name of a network holds {text!r}{others}")
    return found


def _list_names(names: list[str], as_json: bool) -> None:
    emit(names, "\n".join(names), as_json=as_json)


def _layers_of(name: str, weights: str) -> tuple[str, int, dict[str, tuple[int, ...]]]:
    """Return what recipes call a network, its input size, and the shapes of its layers."""
    from featx.backbones import applications, layers
    from featx.backbones.backbone import Backbone
    from featx.backbones.kinds import KINDS, kind_of
    from featx.backbones.table import find

    kind = kind_of(name)
    if kind is KINDS[-1]:
        spec = find(name)
        with working():
            return spec.name, spec.input_size, applications.layer_shapes(spec)
    with working():
        # What pixels go through first plays no part in the layers of a file, which may not say it.
        preprocess = "none" if kind.preprocesses else None
        backbone = Backbone.load(name, weights, preprocess=preprocess)
        return backbone.name, backbone.input_size, layers.layer_shapes(backbone)


def _list_layers(name: str, weights: str, as_json: bool) -> None:
    network, size, shapes = _layers_of(name, weights)
    rows: list[dict[str, Any]] = [
        {"layer": layer, "shape": list(shape)} for layer, shape in shapes.items()
    ]
    cells = [[layer, " x ".join(map(str, shape))] for layer, shape in shapes.items()]
    document = {"name": network, "input_size": size, "layers": rows}
    emit(document, table(["layer", "size"], cells, right=("size",)), as_json=as_json)
