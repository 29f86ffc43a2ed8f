r"""Series: pictures that seem to belong together though nobody has said so.

Names tell of series where a number names the object and what comes after it the picture of it:
patient_07_1.jpg, patient_07_2.jpg, patient_08_1.jpg. A name with one number (banana_01, IMG_1234)
tells nothing, nor does a date. What comes after the number begins anew with each object, or the
word before the number is one for objects, such as "patient"; else the numbers may be those of a
camera that counts on. Times tell of bursts: shots of one class within seconds of each other.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from featx.errors import OptionError
from featx.evaluation.groups import BURST, Grouping
from featx.features.matrix import Features
from featx.paths import plain_path
from featx.text import count, printable

_SHARE = 0.8  # of the pictures that are in a series of two or more
_BURSTS = 0.5  # the same of bursts, beside which there may be single shots
_FEWEST = 3  # series in all
_MOST_NUMBERS = 4  # in a name
_DATE = re.compile(r"(?<!\d)(19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d(?!\d)")
_DIGITS = r"\d+"
_NUMBER = re.compile(_DIGITS)
_OBJECTS = re.compile(
    r"(patient|subject|person|participant|case|donor|animal|mouse|specimen|sample|plant|plot|tree"
    r"|leaf|video|clip|movie|seq|sequence|scene|session|track|object|obj|item|product|sku)[-_ ]?$",
    re.IGNORECASE,
)

_FOUND: WeakKeyDictionary[Features, Series | None] = WeakKeyDictionary()  # files are opened once


@dataclass(frozen=True, eq=False)
class Series:
    """Pictures that seem to belong together.

    Attributes
    ----------
    groups : str
        What to give as `groups`: a pattern over names, or "burst".
    grouping : Grouping
        The groups that it makes.
    why : str
        What tells of them, in a few words.
    """

    groups: str
    grouping: Grouping
    why: str

    def note(self, accuracy: str, apart: str | None) -> str:
        """Say what was found, and the accuracy both ways; `apart` is None if not measured."""
        shell, python = shlex.quote(self.groups), repr(self.groups)
        if "\\" in self.groups and '"' not in self.groups:
            python = f'r"{self.groups}"'
        figures = f"the accuracy is {apart}, not {accuracy}" if apart else f"{accuracy} may be less"
        return (
            f"{self.why} may belong together, in {count(self.grouping.n_groups, 'group')}: with "
            f"each on one side of every split {figures}; if they do, say --groups {shell}, if not, "
            f"--groups none (in Python groups={python}, or False)"
        )


def find_series(features: Features) -> Series | None:
    """Find series that names of files, or times of photographs, tell of; None where none does.

    Parameters
    ----------
    features : Features
        Labelled features.
    """
    if features not in _FOUND:
        _FOUND[features] = _by_names(features) or _by_times(features)
    return _FOUND[features]


def _by_names(features: Features) -> Series | None:
    """Try the numbers in the names from the first on: the widest series that fits counts."""
    stems = [os.path.splitext(_name(path))[0] for path in features.paths]
    numbered = [stem for stem in stems if not _DATE.search(stem) and _NUMBER.search(stem)]
    if len(numbered) < _SHARE * len(stems):
        return None
    most = max(len(_NUMBER.findall(stem)) for stem in numbered)
    for number in range(1, min(most, _MOST_NUMBERS)):
        pattern = _pattern(numbered, number)
        found = [re.search(pattern, stem) for stem in stems]
        if sum(map(bool, found)) < _SHARE * len(stems) or not _begin_anew(stems, found, number):
            continue
        grouping = Grouping.of(pattern, features)
        if grouping is not None and _fits(grouping, features, _SHARE):
            first = _member(grouping, features)
            return Series(pattern, grouping, f"pictures with names such as {first}")
    return None


def _pattern(stems: Sequence[str], number: int) -> str:
    """Write a pattern that takes a name up to one of its numbers.

    Without the word before the first, where nearly all have the same.
    """
    kinds = Counter(
        tuple(_NUMBER.split(stem)[:number]) for stem in stems if len(_NUMBER.findall(stem)) > number
    )
    if kinds:
        texts, times = kinds.most_common(1)[0]
        first, *others = map(_escaped, texts)
        if times >= _SHARE * len(stems):
            rest = "".join(text + _DIGITS for text in others)
            return f"{first or '^'}({_DIGITS}{rest})"
    return r"^(\D*\d+)" if number == 1 else rf"^((?:\D*\d+){{{number}}})"


def _escaped(text: str) -> str:
    """Escape what means something in a pattern, and nothing else."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)


def _begin_anew(stems: Sequence[str], found: Sequence[re.Match[str] | None], number: int) -> bool:
    """Whether what follows the number is no number that runs on from one object to the next."""
    pairs = [(stem, each) for stem, each in zip(stems, found, strict=True) if each]
    rests = [stem[each.end() :] for stem, each in pairs]
    if not all(_NUMBER.search(rest) for rest in rests):
        return False
    named = sum(bool(_OBJECTS.search(_NUMBER.split(stem)[number - 1])) for stem, _ in pairs)
    return len(set(rests)) <= len(rests) / 2 or named >= _SHARE * len(pairs)


def _by_times(features: Features) -> Series | None:
    try:
        grouping = Grouping.of(BURST, features)
    except OptionError:  # no times
        return None
    if grouping is None or not _fits(grouping, features, _BURSTS):
        return None
    return Series(BURST, grouping, "pictures of a class taken within seconds of each other")


def _fits(grouping: Grouping, features: Features, share: float) -> bool:
    """Whether enough pictures are in series of their class, and each class has several groups.

    Pictures of other classes do not count: cat/1_2.jpg and dog/1_2.jpg are often numbered apart.
    """
    names, class_of = np.unique(np.asarray(features.y), return_inverse=True)
    numbers = grouping.numbers
    _, own, sizes = np.unique(
        numbers * len(names) + class_of, return_inverse=True, return_counts=True
    )
    if (sizes[own] > 1).mean() < share or (sizes > 1).sum() < _FEWEST:
        return False
    return all(len(np.unique(numbers[class_of == name])) > 1 for name in range(len(names)))


def _member(grouping: Grouping, features: Features) -> str:
    """Name a picture of the first series of several."""
    numbers = grouping.numbers
    row = int(np.flatnonzero(np.bincount(numbers)[numbers] > 1)[0])
    return printable(_name(features.paths[row]))


def _name(path: str) -> str:
    """Return the name of a picture without its folders."""
    return os.path.basename(plain_path(str(path)))
