"""Memory that training may take: how much of it features need, and what to do where it is less."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from featx.errors import OptionError
from featx.features.blocks import release
from featx.features.matrix import Features
from featx.learning.learner import Learner
from featx.learning.out_of_core import Table, can_by_blocks, needed_by_blocks, sample_of
from featx.text import count, size

#: Bytes, or a text such as "2GB" or "500 MB".
Memory: TypeAlias = float | str

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30, "TI": 1 << 40}
_TEXT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?(?:e[0-9]{1,2})?)\s*([kmgt]?i?)b?\s*", re.IGNORECASE)

# Bytes, from peaks that tests/benchmarks/out_of_core.py measured.
BASE_BYTES = 100_000_000  # beside everything else, such as buffers of libraries
FILE_BYTES = 1500  # path, label and outcome
_PER_VALUE = {
    "knn": 20,
    "svd-svm": 24,
    "mlp": 24,
    "svm": 34,
}  # of the matrix, that included; of others:
_USUAL_PER_VALUE = 40
_OWN_PER_VALUE = 64  # of an estimator of a user's own
_PER_PROBABILITY = 64  # of each image and class, where a classifier is validated
_COPIES_PER_VALUE = 30  # where near copies are looked for
_FEWEST_OF_CLASS = 10  # images of a sample


@dataclass(frozen=True, eq=False)
class Plan:
    """How to learn from features within some memory.

    Attributes
    ----------
    features : Features
        What to learn from: what was given, or a sample of it.
    room : int
        Bytes that learning may take beside the features themselves.
    by_blocks : bool
        Whether the features are to be read block by block; else they are so small that everything
        goes as ever.
    note : str
        What was done to stay within the memory, in a few words.
    jobs : int
        Processes that may fit at once, where the features are not read block by block.
    """

    features: Features
    room: int
    by_blocks: bool
    note: str
    jobs: int = 1

    @property
    def room_for_probabilities(self) -> bool:
        """Whether the probabilities of all images can be kept and worked on."""
        return self.room >= _PER_PROBABILITY * len(self.features) * len(self.features.classes)

    def has_room_to_compare(self, test: Features) -> bool:
        """Whether near copies can be looked for among the images to learn from and a test."""
        rows = len(self.features) + len(test)
        return not self.by_blocks and self.room >= _COPIES_PER_VALUE * rows * test.width


def bytes_of(memory: Memory) -> int:
    """Read how much memory is meant.

    Raises
    ------
    OptionError
        Neither a number of bytes nor a text such as "2GB".
    """
    number: float | None = None
    if isinstance(memory, str) and (found := _TEXT.fullmatch(memory)):
        unit = _UNITS.get(found[2].upper())
        number = None if unit is None else float(found[1]) * unit // 1
    elif isinstance(memory, float | int | np.integer) and not isinstance(memory, bool):
        number = float(memory)
    if number is None or not number.is_integer() or number < 1:
        raise OptionError(
            f"memory is {memory!r}: expected a number of bytes, or a text such as '2GB' or '500MB'"
        )
    return int(number)


def plan_of(features: Features, learner: Learner, memory: Memory) -> Plan:
    """Decide how to learn from labelled features within some memory.

    Parameters
    ----------
    features : Features
        In memory, a memory map, or features of a folder that are read when they are asked for.
    learner : Learner
        What is to learn.
    memory : number or str
        Bytes above what Python and its libraries take, or a text such as "2GB".

    Raises
    ------
    OptionError
        It is too little, and the message says how much is needed; or all has to be in memory, as
        pixels have.
    """
    asked = bytes_of(memory)
    assert features.y is not None
    table, classes = Table.of(features), len(features.classes)
    room = asked - BASE_BYTES - FILE_BYTES * max(len(features.outcomes), len(features))
    of_image = len(table.matrices) * table.columns * _per_value(learner)
    of_image += _PER_PROBABILITY * classes
    within = f"within {size(asked)}"
    if room >= of_image * len(features):
        jobs = min(os.cpu_count() or 1, room // (of_image * len(features) + BASE_BYTES))
        note = f"{within}: as ever, since all features fit"
        return Plan(features, room, False, note, max(1, jobs))
    if learner.pixels:
        needed = asked - room + of_image * len(features)
        raise OptionError(
            f"{learner.name} learns from pixels, all of which are in memory: that takes "
            f"{_at_least(needed)}, and memory is {size(asked)}; ask for as much, or learn from "
            "fewer images"
        )
    tall = can_by_blocks(learner) and len(features) >= 2 * table.columns
    by_blocks = needed_by_blocks(learner, table) if tall else None
    if by_blocks is not None and room >= by_blocks:
        return Plan(features, room, True, within)
    most, least = room // of_image, _FEWEST_OF_CLASS * classes
    if most < least:
        needed = min(least, len(features)) * of_image
        needed = asked - room + (needed if by_blocks is None else min(needed, by_blocks))
        raise OptionError(
            f"memory of {size(asked)} is too little to learn {count(classes, 'class')} from "
            f"{count(len(features), 'image')} of {count(table.columns, 'column')}: expected at "
            f"least {_at_least(needed)}"
        )
    rows = sample_of(features.y, np.arange(len(features)), most)
    sample = features.select(rows)
    for matrix in table.matrices:
        release(matrix)
    note = f"{within}: from a sample of {len(rows):,} of {count(len(features), 'image')}"
    return Plan(sample, room, False, note)


def _per_value(learner: Learner) -> int:
    """Return how many bytes an ordinary fit takes of each value of the matrix."""
    if not isinstance(learner.given, str):
        return _OWN_PER_VALUE
    return _PER_VALUE.get(learner.given, _USUAL_PER_VALUE)


def _at_least(number: int) -> str:
    """Write a number of bytes, rounded up, so that asking for what is written is enough."""
    return f"{-(-number // 10**6):,} MB"
