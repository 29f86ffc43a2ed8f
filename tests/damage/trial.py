"""Trials: a target is damaged at one place after the other, used, and used again."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import fakes

from .places import KINDS
from .targets import Target, restore

_USES = 3  # by which it must have healed


def try_places(target: Target, places: int, work: Path, seed: int = 0) -> int:
    """Damage a target at random places; return how often it was noticed.

    Raises an `AssertionError` that says how the damage was made wherever something wrong comes of
    it, or where it is still there at the next use.
    """
    noticed = 0
    sound, folder = work / "sound", work / "used"
    folder.mkdir(parents=True)
    with fakes.install():
        target.make(folder)
        shutil.copytree(folder, sound)
        assert target.use(folder), "it is not sound to begin with"
        for number in range(places):
            random = Random(f"{seed} {target.name} {number}")
            restore(sound, folder)
            path = random.choice(sorted(folder.glob(target.files)))
            damage = KINDS[number % len(KINDS)]
            path.write_bytes(damage(path.read_bytes(), random))
            place = f"{target.name}, seed {seed}, place {number}: {path.name} {damage.__name__}"
            try:
                noticed += not target.use(folder)
                healed = any(target.use(folder) for _ in range(_USES))
                assert healed or not target.heals, "it does not heal"
            except Exception as error:
                raise AssertionError(f"{place}: {error!r}") from error
    return noticed
