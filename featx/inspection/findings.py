"""Findings of a check, and the kinds of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from featx.errors import OptionError
from featx.images.labels import Label
from featx.images.memory import MemoryImage
from featx.paths import plain_path
from featx.storage.address import absolute


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes
    ----------
    name : str
        What it is called in tables and by `--fail-on`.
    title : str
        What was found, for one and for several, such as "blank picture" and "blank pictures".
    about : str
        What it means, and what to do.
    leaves_out : bool
        Whether such a picture is better left out; else somebody should look.
    """

    name: str
    title: tuple[str, str]
    about: str
    leaves_out: bool = False


_KINDS = (
    Kind(
        "unreadable",
        ("file that cannot be read", "files that cannot be read"),
        "Damaged, truncated, or no picture at all. Every command leaves them out.",
        leaves_out=True,
    ),
    Kind(
        "contradiction",
        ("picture in two classes", "pictures in two classes"),
        "Copies of one picture, exact or nearly, have different labels: one of them is wrong. Move "
        "each to the right class; until then both are better left out.",
        leaves_out=True,
    ),
    Kind(
        "leak",
        ("picture of the test among the training ones", "pictures of the test among the others"),
        "A copy is trained on and tested with, which makes the accuracy too good. The training one "
        "is better left out.",
        leaves_out=True,
    ),
    Kind(
        "duplicate",
        ("exact copy", "exact copies"),
        "The same pixels again, in the same class.",
        leaves_out=True,
    ),
    Kind(
        "near-duplicate",
        ("near copy", "near copies"),
        "The same picture resized, recompressed or a little changed, in the same class.",
        leaves_out=True,
    ),
    Kind(
        "mislabelled",
        ("picture that may be mislabelled", "pictures that may be mislabelled"),
        "It looks like another class to a classifier that learned from the others. Look at each.",
    ),
    Kind(
        "blank",
        ("blank picture", "blank pictures"),
        "One colour and nothing on it.",
        leaves_out=True,
    ),
    Kind(
        "one-colour",
        ("picture of mostly one colour", "pictures of mostly one colour"),
        "Nearly all of it is one colour, unlike the other pictures.",
    ),
    Kind("dark", ("very dark picture", "very dark pictures"), "Hardly anything is lit."),
    Kind("bright", ("very bright picture", "very bright pictures"), "Hardly anything is dark."),
    Kind(
        "blurred",
        ("blurred picture", "blurred pictures"),
        "It has no fine detail: out of focus, or enlarged from a small picture.",
    ),
    Kind(
        "small",
        ("picture much smaller than the others", "pictures much smaller than the others"),
        "Its side is less than a quarter of the usual one: a thumbnail, perhaps.",
    ),
    Kind(
        "shape",
        ("picture of another shape than the others", "pictures of another shape than the others"),
        "It is much wider or higher than the others: a banner or a strip, perhaps.",
    ),
    Kind(
        "class",
        ("remark on the classes", "remarks on the classes"),
        "Classes that are empty, tiny, unequal, or unknown to the other folder.",
    ),
    Kind(
        "name",
        ("remark on names", "remarks on names"),
        "Names that differ only in upper and lower case, spaces or Unicode form.",
    ),
    Kind(
        "shortcut",
        ("shortcut", "shortcuts"),
        "Classes can be told without looking at what the pictures show: a classifier may learn "
        "that, and fail on other pictures.",
    ),
)

#: The kinds of findings, by name, the gravest first.
KINDS = {kind.name: kind for kind in _KINDS}


def is_same_file(path: str, other: str) -> bool:
    """Tell a file that was named twice from a copy of it."""
    if isinstance(path, MemoryImage) or not path or not other:
        return False
    return absolute(plain_path(path)) == absolute(plain_path(other))


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return names of kinds, "any" for all, after checking that there are such."""
    names = list(kinds)
    for name in names:
        if name != "any" and name not in KINDS:
            raise OptionError(f"unknown kind {name!r}: expected any, or some of {', '.join(KINDS)}")
    return tuple(KINDS) if "any" in names else tuple(names)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a picture, or with the folder.

    Attributes
    ----------
    kind : str
        A name of `Check.counts`, such as "leak".
    detail : str
        What was found, in words.
    path : str
        The picture; empty where it is the folder.
    label : str, int, bool or None
        Its class.
    other : str
        The picture that it is a copy of, if it is one.
    other_label : str, int, bool or None
        The class of that, or the one that the picture looks like.
    """

    kind: str
    detail: str
    path: str = ""
    label: Label | None = None
    other: str = ""
    other_label: Label | None = None

    @property
    def leave_out(self) -> tuple[str, ...]:
        """The paths that are better left out."""
        if not KINDS[self.kind].leaves_out:
            return ()
        if self.kind == "contradiction":
            return (self.path, self.other)
        # Of a file that was named twice nothing would be left.
        return () if is_same_file(self.path, self.other) else (self.path,)
