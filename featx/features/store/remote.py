"""A cache at an address as a whole: what it holds, whether that is sound, and making room."""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from featx.errors import FeatxError, OptionError
from featx.features.store.cache import CachedRecipe
from featx.features.store.folder import DESCRIPTION, THREADS, is_shard
from featx.features.store.index import Entry, ShardIndex
from featx.features.store.mirror import folder_of
from featx.features.store.store import Damage
from featx.storage import objects
from featx.storage.deadline import request_threads
from featx.storage.entry import Entry as Object

_KEY = re.compile(r".*/features/(?P<fingerprint>[0-9a-f]{32})/(?P<name>[^/]+)")
_NANOSECONDS = re.compile(r"[0-9]{20}(?=-)")  # when a shard was written, in its name


def contents(address: str, *, thorough: bool = False) -> list[CachedRecipe]:
    """Say what each recipe has at an address, sorted by fingerprint.

    The keys of each shard are checked, and if `thorough` every vector, which reads all of them.
    """
    return [
        _recipe(address, fingerprint, found, thorough)
        for fingerprint, found in sorted(_objects(address).items())
    ]


def clear(address: str, names: tuple[str, ...] = (), older_than: float | None = None) -> int:
    """Remove vectors at an address, and return how many bytes that were.

    The names are fingerprints of recipes (or their first characters) or names of backbones; none
    for everything. Given `older_than`, what is younger, in days, is kept, and so is what a runner
    wrote and has not merged yet.
    """
    recipes = _objects(address)
    chosen = dict.fromkeys(recipes if not names else ())
    for name in names:
        found = [each for each in recipes if _is_of(address, each, name)]
        if not found:
            raise OptionError(
                f"nothing of {name!r} in the cache {address}: expected a fingerprint or a backbone "
                "that `featx cache info` lists"
            )
        chosen |= dict.fromkeys(found)
    limit = math.inf if older_than is None else time.time() - older_than * 86_400
    return sum(_clear(address, fingerprint, recipes[fingerprint], limit) for fingerprint in chosen)


def _objects(address: str) -> dict[str, dict[str, Object]]:
    """Return the objects of each recipe, by name."""
    recipes: defaultdict[str, dict[str, Object]] = defaultdict(dict)
    for each in objects.entries(f"{address.rstrip('/')}/features"):
        if key := _KEY.fullmatch(each.address):
            recipes[key["fingerprint"]][key["name"]] = each
    return dict(recipes)


def _recipe(
    address: str, fingerprint: str, found: Mapping[str, Object], thorough: bool
) -> CachedRecipe:
    shards = {name: each for name, each in found.items() if is_shard(name)}
    rows, damages = 0, []
    entries = ShardIndex(folder_of(address, fingerprint)).entries()
    with request_threads(THREADS, "featx-cache") as pool:
        judged = pool.map(lambda each: _damage(each, thorough), entries.values())
        for (path, entry), reason in zip(entries.items(), judged, strict=True):
            if reason:
                damages.append(Damage(path, reason))
            elif entry.shard is not None:
                rows += len(entry.shard.keys)
    size = sum(each.size for each in shards.values())
    newest = max(map(_written, shards), default=0.0)
    settings = _settings(address, fingerprint)
    return CachedRecipe(fingerprint, settings, rows, size, tuple(damages), newest)


def _damage(entry: Entry, thorough: bool) -> str:
    """Return what is wrong with a shard; nothing of one that is not there any more."""
    shard = entry.shard
    if shard is None:
        return entry.damage
    with suppress(FileNotFoundError):
        if thorough and not shard.are_sound(range(len(shard.keys))):
            bad = sum(not shard.is_sound(row) for row in range(len(shard.keys)))
            return f"{bad} of {len(shard.keys)} vectors do not match their checksums"
    return ""


def _written(name: str) -> float:
    """Return when a shard was written, in seconds since 1970; 0 if its name does not tell."""
    moment = _NANOSECONDS.match(name)
    return int(moment[0]) / 1e9 if moment else 0.0


def _settings(address: str, fingerprint: str) -> dict[str, Any] | None:
    try:
        settings = json.loads(objects.read(f"{folder_of(address, fingerprint)}/{DESCRIPTION}"))
    except (OSError, ValueError, FeatxError):
        return None
    return settings if isinstance(settings, dict) else None


def _is_of(address: str, fingerprint: str, name: str) -> bool:
    if len(name) >= 6 and fingerprint.startswith(name):
        return True
    return (_settings(address, fingerprint) or {}).get("backbone") == name


def _clear(address: str, fingerprint: str, found: Mapping[str, Object], limit: float) -> int:
    """Remove the shards of a recipe that are old enough, and with the last the rest of it."""

    def is_old(name: str) -> bool:
        return limit == math.inf or 0 < _written(name) < limit

    going = [name for name in found if is_shard(name) and is_old(name)]
    if len(going) == sum(map(is_shard, found)):
        going += [name for name in found if name == DESCRIPTION]
    with request_threads(THREADS, "featx-cache") as pool:
        list(pool.map(lambda name: _remove(found[name]), going))
    files = folder_of(address, fingerprint)
    if len(going) == len(found):
        shutil.rmtree(files.path, ignore_errors=True)
    else:
        files.refresh()
    return sum(found[name].size for name in going)


def _remove(found: Object) -> None:
    with suppress(FileNotFoundError):
        objects.remove(found.address)
