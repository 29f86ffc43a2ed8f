"""Imported networks of a cache: what other libraries built, kept whole in OpenVINO's form."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.backbones.network_store import DESCRIPTION, networks_folder
from featx.files import storage_errors
from featx.text import printable

_KEY = re.compile(r"[0-9a-f]{32}")
_LEAST_CHARACTERS = 6  # of a key


@dataclass(frozen=True)
class ImportedNetwork:
    """A network that another library built, with all its layers."""

    path: Path  # its folder
    settings: dict[str, Any] | None  # what shaped it; None where that cannot be read
    bytes: int  # on disk
    newest: float  # when it was made, in seconds since 1970

    @property
    def key(self) -> str:
        """The name of its folder."""
        return self.path.name

    @property
    def text(self) -> str:
        """The settings as people read them."""
        if self.settings is None:
            return f"unreadable {DESCRIPTION}"
        known = {name: str(value) for name, value in self.settings.items()}
        weights = known.get("weights", "")[:12]
        return printable(f"{known.get('name')}, {known.get('input_size')} px, weights {weights}")

    def is_called(self, name: str) -> bool:
        """Whether a name is its own, or the first characters of its key."""
        by_key = len(name) >= _LEAST_CHARACTERS and self.key.startswith(name)
        return by_key or (self.settings or {}).get("name") == name

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored as plain values, but for its age."""
        return {"key": self.key, "bytes": self.bytes, "settings": self.settings}


def imported_networks(cache: Path) -> list[ImportedNetwork]:
    """List the imported networks of a cache, sorted by name."""
    found = []
    for folder in networks_folder(cache).glob("*"):
        if folder.is_dir() and _KEY.fullmatch(folder.name):
            with suppress(FileNotFoundError):  # cleared meanwhile
                states = [path.stat() for path in folder.iterdir()]
                size = sum(state.st_size for state in states)
                newest = max((state.st_mtime for state in states), default=0.0)
                settings = _read(folder / DESCRIPTION)
                found.append(ImportedNetwork(folder, settings, size, newest))
    return sorted(found, key=lambda each: (each.text, each.path.name))


def clear_imported(networks: list[ImportedNetwork]) -> int:
    """Remove networks, with what is noted of their names, and return how many bytes that were."""
    removed = 0
    for network in networks:
        with storage_errors(network.path):
            shutil.rmtree(network.path)
        removed += network.bytes
        for note in network.path.parent.glob("*.json"):
            about = _read(note)
            if about is not None and about.get("name") == (network.settings or {}).get("name"):
                removed += note.stat().st_size
                note.unlink(missing_ok=True)
    return removed


def _read(description: Path) -> dict[str, Any] | None:
    try:
        about = json.loads(description.read_text())
    except (OSError, ValueError):
        return None
    return about if isinstance(about, dict) else None
