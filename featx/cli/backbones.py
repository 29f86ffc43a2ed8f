"""`featx backbones`."""

from __future__ import annotations

from featx.cli.flags import json_option
from featx.cli.help import command
from featx.cli.output import emit, table


@command(epilog="Example: featx backbones --json")
@json_option
def backbones(as_json: bool) -> None:
    """List the networks, and where their weights are."""
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
