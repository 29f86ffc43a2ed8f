"""`featx backbones`."""

from __future__ import annotations

import click

from featx.cli.flags import json_option
from featx.cli.help import command
from featx.cli.output import emit, table, working


@command(epilog="Example: featx backbones resnet50 --json")
@click.argument("name", required=False)
@json_option
def backbones(name: str | None, as_json: bool) -> None:
    """List the networks, or the layers of one.

    The networks stand with where their weights are. NAME is one: its layers are those that --layer
    takes, with the size of their maps for pictures of its usual size, height x width x channels.
    """
    if name is None:
        _list_networks(as_json)
    else:
        _list_layers(name, as_json)


def _list_networks(as_json: bool) -> None:
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
    emit(rows, table(header, cells, right=("px", "features", "parameters")), as_json=as_json)


def _list_layers(name: str, as_json: bool) -> None:
    from featx.backbones.applications import layer_shapes
    from featx.backbones.table import find

    spec = find(name)
    with working():
        shapes = layer_shapes(spec)
    rows = [{"layer": layer, "shape": list(shape)} for layer, shape in shapes.items()]
    cells = [[layer, " x ".join(map(str, shape))] for layer, shape in shapes.items()]
    document = {"name": spec.name, "input_size": spec.input_size, "layers": rows}
    emit(document, table(["layer", "size"], cells, right=("size",)), as_json=as_json)
