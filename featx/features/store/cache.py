"""The cache as a whole: what it holds, whether that is sound, and making room."""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from featx.backbones.calibration import Calibration
from featx.backbones.engines.conversion import DESCRIPTION, engines_folder
from featx.backbones.network_store import networks_folder
from featx.backbones.shipped import SUFFIX
from featx.errors import FeatxError, OptionError
from featx.features.recipe import Recipe
from featx.features.store.calibrations import calibrations_folder, read_calibration
from featx.features.store.derived import indices, indices_folder, mirrors
from featx.features.store.folder import THREADS, shard_paths, shards_folder
from featx.features.store.imported import clear_imported, imported_networks
from featx.features.store.shard import DamagedShardError, verify_shard
from featx.features.store.store import Damage
from featx.files import storage_errors
from featx.storage.deadline import request_threads
from featx.text import count, listed

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")  # other folders are not ours
_WRITING_SECONDS = 3600  # no shard takes longer to write


@dataclass(frozen=True)
class CachedRecipe:
    """What a cache holds for one recipe."""

    fingerprint: str  # the name of its folder
    settings: dict[str, Any] | None  # None where they cannot be read
    rows: int  # in sound shards
    bytes: int  # on disk
    damages: tuple[Damage, ...]
    newest: float  # when a vector was last added, in seconds since 1970; 0 for an empty folder

    @property
    def text(self) -> str:
        """The settings as people read them."""
        try:
            recipe = str(Recipe.from_dict(self.settings or {}))
        except FeatxError:
            recipe = "unreadable recipe.json"
        return recipe + (", DAMAGED" if self.damages else "")

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored as plain values."""
        return {
            "fingerprint": self.fingerprint,
            "rows": self.rows,
            "bytes": self.bytes,
            "damaged": [str(damage.path) for damage in self.damages],
            "days_old": round(days_since(self.newest), 2) if self.newest else None,
            "settings": self.settings,
        }


@dataclass(frozen=True)
class CachedEngine:
    """A network that is kept in a cache in OpenVINO's form."""

    key: str  # the name of its folder
    settings: dict[str, Any] | None  # what shaped it; None where that cannot be read
    bytes: int  # on disk
    newest: float  # when it was last compiled, in seconds since 1970

    @property
    def text(self) -> str:
        """The settings as people read them."""
        if self.settings is None:
            return "unreadable engine.json"
        known = {name: str(value) for name, value in self.settings.items() if value is not None}
        layer = f" at {known['layer']}" if "layer" in known else ""
        calibration = known.get("calibration", "")[:12]
        precision = f", {known['precision']}" if "precision" in known else ""
        return (
            f"{known.get('backbone')}{layer}, {known.get('pooling')} pooling, "
            f"{known.get('input_size')} px{precision}{calibration and ', calibration '}"
            f"{calibration}, weights {known.get('weights', '')[:12]}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored as plain values."""
        return {
            "key": self.key,
            "bytes": self.bytes,
            "days_old": round(days_since(self.newest), 2),
            "settings": self.settings,
        }


@dataclass(frozen=True)
class CachedCalibration:
    """A calibration that is kept in a cache for networks in int8."""

    path: Path
    calibration: Calibration
    bytes: int  # on disk
    newest: float  # when it was made, in seconds since 1970
    recipes: tuple[Path, ...]  # the folders of the recipes that name it

    @property
    def text(self) -> str:
        """What it is of, as people read it."""
        own = self.calibration
        layer = f" at {own.layer}" if own.layer else ""
        pictures = count(own.n_pictures, "picture")
        return f"{own.network}{layer}, {own.input_size} px, {pictures}, weights {own.weights[:12]}"

    def to_dict(self) -> dict[str, Any]:
        """Return what it is of as plain values."""
        own = self.calibration
        return {
            "calibration": own.digest,
            "bytes": self.bytes,
            "days_old": round(days_since(self.newest), 2),
            "recipes": [folder.name for folder in self.recipes],
            "settings": {
                "backbone": own.network,
                "weights": own.weights,
                "layer": own.layer,
                "input_size": own.input_size,
                "n_pictures": own.n_pictures,
            },
        }


def days_since(moment: float) -> float:
    """Return the days since a moment that is given in seconds since 1970."""
    return (time.time() - moment) / 86_400


def contents(cache: Path) -> list[CachedRecipe]:
    """Check every shard of a cache and say what each recipe has, sorted by fingerprint."""
    recipes = []
    for folder in _folders(shards_folder(cache)):
        with request_threads(THREADS, "featx-cache") as pool:
            shards = [each for each in pool.map(_verified, shard_paths(folder)) if each]
        rows, size = sum(each.rows for each in shards), sum(each.bytes for each in shards)
        newest = max((each.newest for each in shards), default=0.0)
        damages = [each.damage for each in shards if each.damage]
        settings = _settings(folder / "recipe.json")
        recipes.append(CachedRecipe(folder.name, settings, rows, size, tuple(damages), newest))
    return recipes


class _Verified(NamedTuple):
    """What is to be said of a shard."""

    rows: int
    bytes: int
    newest: float
    damage: Damage | None


def _verified(path: Path) -> _Verified | None:
    """Check a shard; None for one that is not there any more."""
    rows, size, newest, damage = 0, 0, 0.0, None
    try:
        status = path.stat()
        size, newest = status.st_size, status.st_mtime
        rows = verify_shard(path)
    except FileNotFoundError:  # cleared meanwhile
        return None
    except DamagedShardError as error:
        damage = Damage(path, str(error))
    except OSError as error:
        damage = Damage(path, f"cannot be read: {error.strerror or error}")
    return _Verified(rows, size, newest, damage)


def engines(cache: Path) -> list[CachedEngine]:
    """List the converted networks of a cache, sorted by key."""
    found = []
    for folder in _folders(engines_folder(cache)):
        with suppress(FileNotFoundError):  # cleared meanwhile
            states = [path.stat() for path in folder.iterdir()]
            size = sum(state.st_size for state in states)
            newest = max((state.st_mtime for state in states), default=0.0)
            settings = _settings(folder / DESCRIPTION)
            found.append(CachedEngine(folder.name, settings, size, newest))
    return found


def calibrations(cache: Path) -> list[CachedCalibration]:
    """List the calibrations of a cache, sorted by network."""
    naming = defaultdict(list)
    for folder in _folders(shards_folder(cache)):
        naming[(_settings(folder / "recipe.json") or {}).get("calibration")].append(folder)
    found = []
    for path in calibrations_folder(cache).glob(f"*{SUFFIX}"):
        if (known := read_calibration(path)) is not None:
            with suppress(FileNotFoundError):  # cleared meanwhile
                state, recipes = path.stat(), tuple(naming[known.digest])
                each = CachedCalibration(path, known, state.st_size, state.st_mtime, recipes)
                found.append(each)
    return sorted(found, key=lambda each: (each.text, each.calibration.digest))


def clear(cache: Path, names: tuple[str, ...] = (), older_than: float | None = None) -> int:
    """Remove what a cache holds, and return how many bytes that were.

    The names are fingerprints of recipes, keys of networks, indices and copies, digests of
    calibrations (or their first characters) or names of backbones; none for everything. Given
    `older_than`, what is younger, in days, is kept. A calibration stays as long as a recipe of the
    cache names it: without it, new pictures would not go with those vectors any more. Imported
    networks are no matter of age: what built them may not be there to build them again.
    """
    recipes, networks = _folders(shards_folder(cache)), _folders(engines_folder(cache))
    measured, imported = calibrations(cache), imported_networks(cache)
    derived = [*indices(cache), *mirrors(cache)]
    going = [] if names or older_than is not None else imported
    chosen = [] if names else [*recipes, *networks]
    no_longer = [] if names else measured
    copies = [] if names else derived
    for name in names:
        found = [folder for folder in recipes if _is_of(folder, "recipe.json", name)]
        found += [folder for folder in networks if _is_of(folder, DESCRIPTION, name)]
        of_name = [each for each in measured if _is_calibration_of(each, name)]
        no_longer += of_name
        whole = [each for each in imported if each.is_called(name)]
        going += [each for each in whole if each not in going]
        copied = [each for each in derived if each.is_called(name)]
        copies += copied
        if not (found or of_name or whole or copied):
            raise OptionError(
                f"nothing of {name!r} in the cache {cache}: expected a fingerprint or a backbone "
                "that `featx cache info` lists"
            )
        if not (found or whole or copied):
            _require_unused(of_name)
        chosen.extend(found)
    now = time.time()
    limit = math.inf if older_than is None else now - older_than * 86_400
    removed = clear_imported(going)
    for folder in dict.fromkeys(chosen):
        with storage_errors(folder):
            if folder in networks:
                removed += _clear_engine(folder, limit)
            else:
                removed += _clear_recipe(folder, limit, now)
    if not names:
        for place in (
            *(engines_folder(cache), networks_folder(cache)),
            *(calibrations_folder(cache), indices_folder(cache)),
        ):
            removed += _clear_half_written(place, now - _WRITING_SECONDS)
    removed += sum(each.clear(limit) for each in copies)
    removed += sum(_clear_calibration(each, limit) for each in no_longer)
    if not names:
        sound = {each.path for each in measured}
        kept = calibrations_folder(cache).glob("*")
        others = [path for path in kept if path not in sound and path.is_file()]  # damaged
        removed += sum(_remove(path, limit) for path in others)
    return removed


def _clear_calibration(kept: CachedCalibration, limit: float) -> int:
    """Remove a calibration that no recipe of the cache names any more."""
    return 0 if any(folder.is_dir() for folder in kept.recipes) else _remove(kept.path, limit)


def _require_unused(measured: Sequence[CachedCalibration]) -> None:
    """Raise an `OptionError` where recipes of the cache name each of some calibrations."""
    if not all(each.recipes for each in measured):
        return
    fingerprints = [folder.name[:12] for each in measured for folder in each.recipes]
    raise OptionError(
        f"features of {count(len(fingerprints), 'recipe')} in the cache were made by this "
        f"calibration: clear these first ({listed(fingerprints)})"
    )


def _is_calibration_of(kept: CachedCalibration, name: str) -> bool:
    own = kept.calibration
    return own.network == name or (len(name) >= 6 and own.digest.startswith(name))


def _clear_recipe(folder: Path, limit: float, now: float) -> int:
    removed = sum(_remove(path, limit) for path in shard_paths(folder))
    for path in folder.glob(".*"):  # left half-written by a process that was killed
        if path.suffix in (".arrow", ".json"):
            removed += _remove(path, now - _WRITING_SECONDS)
    if not shard_paths(folder):
        _remove(folder / "recipe.json")
        _remove(folder / "speed.json")
        with suppress(OSError):  # there are files in it that are not ours
            folder.rmdir()
    return removed


def _clear_engine(folder: Path, limit: float) -> int:
    """Remove a network whose newest file is older than `limit`, all of it or nothing."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if any(path.stat().st_mtime >= limit for path in files):
        return 0
    size = sum(path.stat().st_size for path in files)
    shutil.rmtree(folder)
    return size


def _clear_half_written(place: Path, limit: float) -> int:
    """Remove what processes that were killed left in a folder."""
    removed = 0
    for path in place.glob(".*"):
        with storage_errors(path):
            removed += _clear_engine(path, limit) if path.is_dir() else _remove(path, limit)
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


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    folders = (path for path in root.iterdir() if path.is_dir())
    return sorted(path for path in folders if _FINGERPRINT.fullmatch(path.name))


def _settings(description: Path) -> dict[str, Any] | None:
    try:
        settings = json.loads(description.read_text())
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) else None


def _is_of(folder: Path, description: str, name: str) -> bool:
    if len(name) >= 6 and folder.name.startswith(name):
        return True
    return (_settings(folder / description) or {}).get("backbone") == name
