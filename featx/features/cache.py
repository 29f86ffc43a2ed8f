"""What a cache holds: look at it, check it, make room."""

from __future__ import annotations

import json
import math
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.errors import OptionError
from featx.features.shard import DamagedShardError, verify_shard
from featx.features.store import Damage, shard_paths, shards_folder
from featx.files import storage_errors

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")  # other folders are not ours
_WRITING_SECONDS = 3600  # no shard takes longer to write


@dataclass(frozen=True)
class CachedRecipe:
    """What a cache holds for one recipe.

    Attributes
    ----------
    fingerprint : str
        Of the recipe; the name of its folder.
    settings : dict or None
        The recipe's settings; None where they cannot be read.
    rows : int
        Vectors in sound shards.
    bytes : int
        Size on disk.
    damages : tuple of Damage
        Shards that cannot be trusted.
    newest : float
        When a vector was last added, in seconds since 1970; 0 for an empty folder.
    """

    fingerprint: str
    settings: dict[str, Any] | None
    rows: int
    bytes: int
    damages: tuple[Damage, ...]
    newest: float


def contents(cache: Path) -> list[CachedRecipe]:
    """Check every shard of a cache and say what each recipe has.

    Parameters
    ----------
    cache : Path
        The cache folder; see `featx.features.store.cache_folder`.

    Returns
    -------
    list of CachedRecipe
        Sorted by fingerprint; empty where there is no cache yet.
    """
    recipes = []
    for folder in _recipe_folders(cache):
        rows, size, newest = 0, 0, 0.0
        damages = []
        for path in shard_paths(folder):
            try:
                status = path.stat()
                size += status.st_size
                newest = max(newest, status.st_mtime)
                rows += verify_shard(path)
            except FileNotFoundError:  # cleared meanwhile
                continue
            except DamagedShardError as error:
                damages.append(Damage(path, str(error)))
            except OSError as error:
                damages.append(Damage(path, f"cannot be read: {error.strerror or error}"))
        recipes.append(
            CachedRecipe(folder.name, _settings(folder), rows, size, tuple(damages), newest)
        )
    return recipes


def clear(cache: Path, recipes: tuple[str, ...] = (), older_than: float | None = None) -> int:
    """Remove vectors from a cache.

    Parameters
    ----------
    cache : Path
        The cache folder.
    recipes : tuple of str, default=()
        Fingerprints (or their first characters) or names of backbones; none for all recipes.
    older_than : float, optional
        Remove only what was written more than so many days ago.

    Returns
    -------
    int
        Bytes removed.

    Raises
    ------
    OptionError
        Nothing in the cache has one of these fingerprints or names.
    StorageError
        A file cannot be removed.
    """
    folders = _recipe_folders(cache)
    chosen = [folder for folder in folders if not recipes]
    for recipe in recipes:
        found = [folder for folder in folders if _is_of(folder, recipe)]
        if not found:
            raise OptionError(
                f"nothing of {recipe!r} in the cache {cache}: expected a fingerprint or a backbone "
                "that `featx cache info` lists"
            )
        chosen.extend(found)
    now = time.time()
    limit = math.inf if older_than is None else now - older_than * 86_400
    removed = 0
    for folder in dict.fromkeys(chosen):
        with storage_errors(folder):
            for path in shard_paths(folder):
                removed += _remove(path, limit)
            for path in folder.glob(".*"):  # left half-written by a process that was killed
                if path.suffix in (".arrow", ".json"):
                    removed += _remove(path, now - _WRITING_SECONDS)
            if not shard_paths(folder):
                _remove(folder / "recipe.json")
                with suppress(OSError):  # there are files in it that are not ours
                    folder.rmdir()
    return removed


def _remove(path: Path, limit: float = math.inf) -> int:
    """Remove a file last written before `limit`, and return the bytes that this frees."""
    try:
        status = path.stat()
        if status.st_mtime >= limit:
            return 0
        path.unlink()
    except FileNotFoundError:  # removed by another process meanwhile
        return 0
    return status.st_size


def _recipe_folders(cache: Path) -> list[Path]:
    root = shards_folder(cache)
    if not root.is_dir():
        return []
    folders = (path for path in root.iterdir() if path.is_dir())
    return sorted(path for path in folders if _FINGERPRINT.fullmatch(path.name))


def _settings(folder: Path) -> dict[str, Any] | None:
    try:
        settings = json.loads((folder / "recipe.json").read_text())
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) else None


def _is_of(folder: Path, recipe: str) -> bool:
    if len(recipe) >= 6 and folder.name.startswith(recipe):
        return True
    return (_settings(folder) or {}).get("backbone") == recipe
