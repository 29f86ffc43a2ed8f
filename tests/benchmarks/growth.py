"""How embedding grows from a thousand pictures to a thousand million: machines, hours, money.

    python -m tests.benchmarks.growth [FILE]

`FILE` has the figures of `python -m tests.benchmarks.scale --json FILE`; without it those of
tests/benchmarks/scale.json are taken. What was not measured is in `Assumed`. The tables are those
of docs/scale.md, which `tests/test_scale.py` holds against them.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.features.ray_runner import BLOCK_FILES
from featx.text import size

from .pipeline import Pipeline, Pool, Simulated, Step, simulate

FIGURES = Path(__file__).with_name("scale.json")
SIZES = tuple(10**power for power in range(3, 10))
WIDTHS = {"efficientnet_lite0": "1280", "resnet50": "2048"}  # columns, by network
NETWORKS = tuple(WIDTHS)
_SIMULATED = 3_000  # blocks, and a few for each machine; longer runs go on at the same pace


@dataclass(frozen=True)
class Assumed:
    """What was not measured here: other machines, a bucket, prices.

    Attributes
    ----------
    cores : int
        Of a machine, each as quick as those measured.
    hours : float
        In which a run is to end; it decides how many machines there are.
    block : int
        Pictures of a block.
    connections, at_once : int
        Open to the bucket, of each machine, and how many of them read a block.
    get_seconds, put_seconds, list_seconds : float
        For an object, a block, and a page of a thousand names.
    memory_bytes, rate : float
        Of a machine, for what does not stream; requests that a bucket answers in a second, below
        one prefix.
    deaths : float
        Of a machine, in an hour: those of the cheap kind are taken back.
    core_hour, gpu_hour, get, put, gigabyte_month : float
        Prices in dollars: of a million requests, and `put` of those to list, too.
    """

    cores: int = 16
    hours: float = 8.0
    block: int = BLOCK_FILES
    connections: int = 128
    at_once: int = 16
    get_seconds: float = 0.03
    put_seconds: float = 0.1
    list_seconds: float = 0.15
    memory_bytes: float = 16e9
    rate: float = 5_500
    deaths: float = 0.05
    core_hour: float = 0.04
    gpu_hour: float = 4.0
    get: float = 0.4
    put: float = 5.0
    gigabyte_month: float = 0.023


@dataclass(frozen=True)
class Growth:
    """What so many pictures take with one network.

    Attributes
    ----------
    pictures, machines, runs : int
        Of each; runs go side by side.
    hours : float
        From the first picture listed to the last vector stored, and the start of Ray.
    made : Simulated
        A run of as many machines, over these pictures or the first of them.
    feature_bytes : float
        In the store.
    dollars : dict of str to float
        For the machines, for requests, and for a month of the features.
    """

    pictures: int
    machines: int
    runs: int
    hours: float
    made: Simulated
    feature_bytes: float
    dollars: dict[str, float]


def core_ms(figures: Mapping[str, Any], network: str, precision: str = "float32") -> float:
    """Return milliseconds of one core for a picture, all of it, in a precision.

    Only float32 was measured as a whole; in others the network is another.
    """
    alone = figures["networks"][network]
    return figures["whole"][network]["ms"] - alone["float32"] + alone[precision]


def pipeline(
    figures: Mapping[str, Any],
    assumed: Assumed,
    network: str,
    machines: int,
    runs: int = 1,
) -> Pipeline:
    """Return the pipeline of several machines that read a bucket and write to it.

    Several runs share the machines and the pictures; each lists its part, and has a driver.
    """
    block = assumed.block
    decoding = figures["decoding"]["450x375"]["full"]
    embedding = core_ms(figures, network) - decoding
    steps = [
        Step("list", "list", assumed.list_seconds * block / 1000),
        Step("get", "bucket", assumed.get_seconds * block / assumed.at_once, spread=0.3),
        Step("decode", "cores", decoding * block / 1000, spread=0.2),
        Step("embed", "cores", embedding * block / 1000, spread=0.05),
        Step("put", "bucket", assumed.put_seconds, spread=0.5, stores=True),
        Step("note", "driver", driver_seconds(figures, block)),
    ]
    pools = {
        "list": Pool(runs, shared=True),
        "bucket": Pool(assumed.connections // assumed.at_once),
        "cores": Pool(assumed.cores),
        "driver": Pool(runs, shared=True),
    }
    under_way = assumed.connections // assumed.at_once + 2 * assumed.cores
    return Pipeline(steps, pools, machines, under_way, failures=assumed.deaths)


def driver_seconds(figures: Mapping[str, Any], block: int) -> float:
    """Return what the driver does for a block: two tasks of Ray, and its rows."""
    rows = block * figures["pictures"]["second_run_us"] / 1e6
    return 2 * figures["ray"]["task_ms"] / 1000 + rows


def grow(
    figures: Mapping[str, Any], pictures: int, network: str, assumed: Assumed, runs: int = 1
) -> Growth:
    """Simulate so many pictures on as many machines as end in the time asked for."""
    core_hours = pictures * core_ms(figures, network) / 3.6e6
    machines = max(1, math.ceil(core_hours / (0.9 * assumed.cores * assumed.hours)))
    blocks = math.ceil(pictures / assumed.block)
    line = pipeline(figures, assumed, network, machines, runs)
    made = simulate(line, min(blocks, _SIMULATED + 2 * machines * line.under_way))
    start = figures["ray"]["start_seconds"] if machines > 1 else 0.0
    hours = (start + made.seconds + (blocks - made.blocks) * made.pace) / 3600
    feature_bytes = pictures * figures["storing"][WIDTHS[network]]["bytes_per_row"]
    dollars = {
        "machines": machines * assumed.cores * hours * assumed.core_hour,
        "requests": pictures * assumed.get / 1e6
        + blocks * assumed.put / 1e6
        + pictures / 1000 * assumed.put / 1e6,
        "month": feature_bytes / 1e9 * assumed.gigabyte_month,
    }
    return Growth(pictures, machines, runs, hours, made, feature_bytes, dollars)


def growth_table(figures: Mapping[str, Any], network: str) -> str:
    """Return the table of all sizes in Markdown; where one run is held up, more are tried."""
    lines = [
        "| pictures | machines | runs | time | busiest | features | machines, $ | requests, $ "
        "| features, $ a month |",
        f"|{'---:|' * 4}---|{'---:|' * 4}",
    ]
    for pictures in SIZES:
        for runs in (1, 2, 4, 8, 16):
            made = grow(figures, pictures, network, Assumed(), runs)
            lines.append(_row(made))
            if made.made.bottleneck not in ("list", "driver"):
                break
    return "\n".join(lines)


def limits_table(figures: Mapping[str, Any]) -> str:
    """Return in Markdown where each part of a plain run comes to its end, one after the other."""
    assumed, pictures = Assumed(), figures["pictures"]
    memory = assumed.memory_bytes
    pace = assumed.block / driver_seconds(figures, assumed.block)
    machine = {name: 1000 * assumed.cores / core_ms(figures, name) for name in NETWORKS}
    rows = [
        ("the matrix in memory", "pictures", memory / (4 * 1280)),
        ("listing in an hour", "pictures", 3600 / assumed.list_seconds * 1000),
        ("names, digests and outcomes in memory", "pictures", memory / pictures["peak_bytes"]),
    ]
    for name in NETWORKS:
        rows += [
            (f"requests of one prefix, `{name}`", "machines", assumed.rate / machine[name]),
            (
                f"listing as fast as they embed, `{name}`",
                "machines",
                1000 / assumed.list_seconds / machine[name],
            ),
            (f"a driver as fast as they embed, `{name}`", "machines", pace / machine[name]),
        ]
    lines = ["| | is enough for |", "|---|---:|"]
    return "\n".join(
        [*lines, *(f"| {what} | {_rounded(number)} {of} |" for what, of, number in rows)]
    )


def _rounded(number: float) -> str:
    """Return two digits of a number: nothing here is known better."""
    if number < 10:
        return f"{number:.1f}"
    return f"{float(f'{number:.2g}'):,.0f}"


def _row(made: Growth) -> str:
    pool = made.made.bottleneck
    busiest = f"{pool}, {made.made.busy[pool]:.0%}".replace("%", " %")
    cells = [
        f"{made.pictures:,}",
        f"{made.machines}",
        f"{made.runs}",
        _time(made.hours),
        busiest,
        size(made.feature_bytes),
        *(_dollars(each) for each in made.dollars.values()),
    ]
    return f"| {' | '.join(cells)} |"


def _time(hours: float) -> str:
    if hours < 1:
        return f"{3600 * hours:.0f} s" if hours < 0.05 else f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def _dollars(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 10 else f"{amount:.2f}"


def measured_table(figures: Mapping[str, Any]) -> str:
    """Return in Markdown what was measured, each network in a column where they differ."""
    networks = [figures["networks"][name] for name in NETWORKS]
    stores = [figures["storing"][WIDTHS[name]] for name in NETWORKS]
    pictures, decoding = figures["pictures"], figures["decoding"]
    large, bucket = decoding["4000x3000"], figures["bucket"]
    rows: list[tuple[str, Sequence[str]]] = [
        *(
            (f"network alone, {precision}, ms", [f"{each[precision]:.1f}" for each in networks])
            for precision in ("float32", "bfloat16", "int8")
        ),
        *(
            (
                f"whole, {precision}, ms",
                [f"{core_ms(figures, name, precision):.1f}" for name in NETWORKS],
            )
            for precision in ("float32", "bfloat16")
        ),
        ("bytes of a row in the store", [f"{each['bytes_per_row']:,.0f}" for each in stores]),
        ("write 128 rows, ms", [f"{each['append_block_ms']:.1f}" for each in stores]),
        ("find and check a row, then read it, µs", [_found(each) for each in stores]),
        ("decode 450x375 (56 kB), ms", [f"{decoding['450x375']['full']:.1f}"]),
        (
            "decode 4000x3000 (3.4 MB), in full and scaled, ms",
            [f"{large['full']:.0f}, {large['scaled']:.0f}"],
        ),
        ("list a file of a folder, µs", [f"{pictures['list_us']:.1f}"]),
        ("a picture that the cache has, µs", [f"{pictures['second_run_us']:.0f}"]),
        ("memory of a picture beside its vector, bytes", [_rounded(pictures["peak_bytes"])]),
        (
            "list, get, put an object, with the server of S3, ms",
            [", ".join(f"{bucket[f'{each}_ms']:.2g}" for each in ("list", "get", "put"))],
        ),
        ("an empty task of Ray, ms by the clock", [f"{figures['ray']['task_ms']:.1f}"]),
    ]
    heads = [
        "| one core | " + " | ".join(f"`{name}`" for name in NETWORKS) + " |",
        "|---|---:|---:|",
    ]
    return "\n".join(
        [*heads, *(f"| {what} | {' | '.join([*cells, ''][:2])} |" for what, cells in rows)]
    )


def _found(store: Mapping[str, float]) -> str:
    return f"{store['sound_us_per_row']:.0f} + {store['read_us_per_row']:.0f}"


def assumed_table(assumed: Assumed) -> str:
    """Return in Markdown what was not measured."""
    rows = [
        ("cores of a machine, each as quick as those measured", assumed.cores),
        ("time in which a run is to end, which decides on the machines", f"{assumed.hours:g} h"),
        ("pictures of a block", assumed.block),
        ("connections of a machine to the bucket", assumed.connections),
        ("get an object; put a block; list 1,000 names", _seconds(assumed)),
        ("requests a second that a bucket answers below one prefix", f"{assumed.rate:,.0f}"),
        ("memory of a machine for what does not stream", size(assumed.memory_bytes)),
        ("machines of the cheap kind that are taken back", f"{100 * assumed.deaths:g} % an hour"),
        (
            "a core for an hour; a GPU with 16 cores",
            f"${assumed.core_hour:g}; ${assumed.gpu_hour:g}",
        ),
        ("a million requests to get; to put or to list", f"${assumed.get:g}; ${assumed.put:g}"),
        ("a gigabyte for a month", f"${assumed.gigabyte_month:g}"),
    ]
    return "\n".join(
        ["| assumed | |", "|---|---:|", *(f"| {what} | {value} |" for what, value in rows)]
    )


def _seconds(assumed: Assumed) -> str:
    times = (assumed.get_seconds, assumed.put_seconds, assumed.list_seconds)
    return "; ".join(f"{1000 * each:.0f} ms" for each in times)


def tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of docs/scale.md by the names that they have there."""
    return {
        "measured": measured_table(figures),
        "assumed": assumed_table(Assumed()),
        **{name: growth_table(figures, name) for name in NETWORKS},
        "limits": limits_table(figures),
    }


def main() -> None:
    """Print the tables."""
    figures = json.loads(Path(sys.argv[1] if sys.argv[1:] else FIGURES).read_text())
    for name, table in tables(figures).items():
        print(f"{name}\n\n{table}\n")


if __name__ == "__main__":
    main()
