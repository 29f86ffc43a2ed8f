"""`featx cache`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.cli.flags import cache_option, json_option
from featx.cli.help import Group, option
from featx.cli.output import emit, table
from featx.files import cache_place
from featx.text import count, printable, size

if TYPE_CHECKING:
    from featx.features.store.cache import CachedCalibration, CachedEngine, CachedRecipe
    from featx.features.store.derived import Derived
    from featx.features.store.imported import ImportedNetwork

    _Stored = CachedRecipe | CachedEngine | CachedCalibration | ImportedNetwork | Derived

_ABOUT = ("size", "age", "settings")


@click.group(cls=Group, invoke_without_command=True, epilog="Example: featx cache info")
@cache_option
@json_option
@click.pass_context
def cache(context: click.Context, cache: str | None, as_json: bool) -> None:
    """Look at the cache, check it, or make room in it.

    Without a command it does what `info` does.
    """
    options = {"cache": cache, "as_json": as_json}
    if context.invoked_subcommand is None:
        context.invoke(info, **options)
    else:  # options before the command count as those behind it
        context.default_map = {context.invoked_subcommand: options}


@cache.command(epilog="Example: featx cache info --json")
@cache_option
@json_option
def info(cache: str | None = None, as_json: bool = False) -> None:
    """List what is stored for each recipe, the networks converted for OpenVINO, and calibrations.

    A calibration is what int8 needs of a network. An imported network is one that PyTorch built,
    which is needed no more as long as it is there. An index is what `featx similar` searches in,
    and a copy is what this machine has of a cache at an address.
    """
    from featx.features.store.cache import calibrations, engines
    from featx.features.store.derived import indices, mirror_of, mirrors
    from featx.features.store.imported import imported_networks

    place = cache_place(cache)
    folder = None if isinstance(place, str) else place  # only features are at an address
    recipes = _contents(place)
    networks = engines(folder) if folder else []
    measured = calibrations(folder) if folder else []
    imported = imported_networks(folder) if folder else []
    indexed = indices(folder) if folder else []
    copied = mirrors(folder) if folder else mirror_of(str(place))
    document = {
        "cache": str(place),
        "recipes": [recipe.to_dict() for recipe in recipes],
        "engines": [network.to_dict() for network in networks],
        "calibrations": [each.to_dict() for each in measured],
        "imported": list(map(_as_plain, imported)),
        "indices": list(map(_as_plain, indexed)),
        "copies": list(map(_as_plain, copied)),
    }
    here = copied if folder else []
    stored: list[_Stored] = [*recipes, *networks, *measured, *imported, *indexed, *here]
    tables = _tables(recipes, networks, measured, imported, indexed, here)
    counts = [
        count(len(rows), noun) for noun, (_, rows) in tables.items() if rows or noun == "recipe"
    ]
    total = sum(each.bytes for each in stored)
    lines = [f"{printable(place)}: {', '.join(counts)}, {size(total)}"]
    lines += [table(header, rows, right=header[1:-1]) for header, rows in tables.values() if rows]
    lines += [] if folder else map(_about_copy, copied)
    emit(document, "\n".join(lines), as_json=as_json)


@cache.command(epilog="Example: featx cache clear resnet50 --older-than 30")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Only what is older.")
@option("--all", "everything", is_flag=True, help="Remove everything.")
@cache_option
@json_option
def clear(
    names: tuple[str, ...],
    older_than: float | None,
    everything: bool,
    cache: str | None,
    as_json: bool,
) -> None:
    """Remove features, converted networks and what else `info` lists: by name, by age, or all.

    NAME is the fingerprint of a recipe, a network or a calibration, or the name of an index or of
    a copy, or its first characters, or a backbone. A calibration stays as long as features are
    there that it made. Imported networks go by name, or with all.
    """
    from featx.features.store import cache as local
    from featx.features.store import remote

    if not names and older_than is None and not everything:
        raise click.UsageError("nothing to remove was named: expected NAME, --older-than or --all")
    if names and everything:
        raise click.UsageError(f"--all and {names[0]} exclude each other")
    place = cache_place(cache)
    if isinstance(place, str):
        removed = remote.clear(place, names, older_than)
    else:
        removed = local.clear(place, names, older_than)
    document = {"cache": str(place), "bytes_removed": removed}
    emit(document, f"{printable(place)}: removed {size(removed)}", as_json=as_json)


@cache.command(epilog="Example: featx cache verify")
@cache_option
@json_option
def verify(cache: str | None, as_json: bool) -> None:
    """Check every vector; status 1 where one is damaged."""
    place = cache_place(cache)
    recipes = _contents(place, thorough=True)
    damages = [(each.path, each.reason) for recipe in recipes for each in recipe.damages]
    rows = sum(recipe.rows for recipe in recipes)
    lines = [f"{printable(place)}: {count(rows, 'vector')} intact"]
    lines += [
        printable(f"damaged: features/{path.parent.name}/{path.name}: {reason}")
        for path, reason in damages
    ]
    if damages:
        lines.append("the next run embeds the images of damaged files again and removes them")
    document = {
        "cache": str(place),
        "rows": rows,
        "damaged": [{"path": str(path), "reason": reason} for path, reason in damages],
    }
    emit(document, "\n".join(lines), as_json=as_json)
    if damages:
        sys.exit(1)


def _contents(place: str | Path, *, thorough: bool = False) -> list[CachedRecipe]:
    """Say what a cache holds; at an address every vector is read only if `thorough`."""
    from featx.features.store import cache, remote

    if isinstance(place, str):
        return remote.contents(place, thorough=thorough)
    return cache.contents(place)


def _tables(
    recipes: Sequence[CachedRecipe],
    networks: Sequence[CachedEngine],
    measured: Sequence[CachedCalibration],
    imported: Sequence[ImportedNetwork],
    indexed: Sequence[Derived],
    copied: Sequence[Derived],
) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Lay out what is stored, by its noun: the header of a table, and the rows."""
    return {
        "recipe": (
            ["recipe", "rows", *_ABOUT],
            [[each.fingerprint[:12], f"{each.rows:,}", *_about(each)] for each in recipes],
        ),
        "converted network": (["network", *_ABOUT], _rows(networks)),
        "calibration": (
            ["calibration", "recipes", *_ABOUT],
            [
                [each.calibration.digest[:12], str(len(each.recipes)), *_about(each)]
                for each in measured
            ],
        ),
        "imported network": (["imported", *_ABOUT], _rows(imported)),
        "index": (["index", "size", "age", "of"], _rows(indexed)),
        "copy": (["copy", "size", "age", "of"], _rows(copied)),
    }


def _rows(stored: Sequence[CachedEngine | ImportedNetwork | Derived]) -> list[list[str]]:
    return [[each.key[:12], *_about(each)] for each in stored]


def _about_copy(copied: Derived) -> str:
    """Say where the copy of a cache at an address is, and how it is removed."""
    return printable(
        f"on this machine: {size(copied.bytes)} of it, in {copied.path}; removed by "
        f"`featx cache clear {copied.key} --cache {copied.path.parents[1]}`"
    )


def _as_plain(stored: ImportedNetwork | Derived) -> dict[str, Any]:
    from featx.features.store.cache import days_since

    return {**stored.to_dict(), "days_old": round(days_since(stored.newest), 2)}


def _about(stored: _Stored) -> list[str]:
    """Write the size, the age and the settings of something stored."""
    return [size(stored.bytes), _age(stored.newest), stored.text]


def _age(newest: float) -> str:
    from featx.features.store.cache import days_since

    if not newest:
        return "-"
    days = round(days_since(newest))
    return count(days, "day") if days >= 0 else "in the future"
