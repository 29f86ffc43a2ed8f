"""The inspection of a model file: what it is, without trusting it or running anything in it.

Whatever the file holds, it takes no more than some tens of megabytes, and neither scikit-learn nor
skops is imported: nothing is built of the pipeline, of which only the names of its types are read.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from typing import IO, Any

from featx.errors import FeatxError, ModelFileError, one_line
from featx.features.options import MAX_VIEWS
from featx.features.recipe import Recipe
from featx.images.regular import open_regular
from featx.models.card import Card, origins_of
from featx.models.document import SCHEMA
from featx.models.file_kinds import EXPORTED, exported_metadata, kind_of_file
from featx.models.model_file import (
    ABOUT,
    CALIBRATION,
    EXAMPLES,
    FORMATS,
    PICTURES,
    PIPELINE,
    PROTOTYPES,
)
from featx.models.rejection import Rejection
from featx.models.type_names import TypeName, type_names
from featx.models.zip_contents import (
    MOST_LIST,
    MOST_TEXT,
    MOST_VALUES,
    member_within,
    small_json,
    unpacked,
    unpacked_chunks,
)
from featx.tensors.elements import RefusedError
from featx.tensors.stored_zip import Member, stored_members
from featx.text import count, listed, printable, shortened, size

MODEL = "featx model"
_MOST_SCHEMA = 1 << 24  # bytes of the description of a pipeline
_MOST_PIPELINE = 1 << 30  # bytes
_MOST_DIGESTED = 1 << 32  # bytes
_LONGEST = 1000  # characters of a text
_REASON = 160  # characters of what is wrong
_ESTIMATOR = re.compile(r"(sklearn|featx)\.(?!metrics|model_selection\._split).*\.[A-Z]\w*")
_INVALID = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class Inspection:
    """What a model file is.

    Attributes
    ----------
    path : str
        The file.
    kind : str
        "featx model", or what else it seems to be.
    n_bytes : int
        Its size.
    digest : str or None
        Its SHA-256, in hexadecimal; None of a file of more than 4 GB.
    problems : tuple of str
        What is wrong with it, a line each; none where `load` would look at its numbers.
    advice : str
        What to do with a file that is no model; "" for a model.
    format : int or None
        The number of its format.
    members : mapping of str to int
        What the file holds, by name, and the bytes that it takes unpacked.
    classes : tuple of str
        The classes, as text.
    recipe : Recipe or None
        How pictures become vectors.
    training : Card or None
        What its training knew.
    views : int
        Augmented views that its predictions are the mean of.
    rejection : Rejection or None
        From which certainty up it answers.
    n_prototypes : int
        Vectors that it tells unfamiliar pictures by; 0 where it does not tell them.
    n_pictures : int
        Training pictures that it keeps; 0 where it keeps none.
    types : tuple of TypeName
        The types that its pipeline is made of, those that are not known to be safe first.
    """

    path: str
    kind: str
    n_bytes: int
    digest: str | None = None
    problems: tuple[str, ...] = ()
    advice: str = ""
    format: int | None = None
    members: Mapping[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    recipe: Recipe | None = None
    training: Card | None = None
    views: int = 0
    rejection: Rejection | None = None
    n_prototypes: int = 0
    n_pictures: int = 0
    types: tuple[TypeName, ...] = ()

    @property
    def is_model(self) -> bool:
        """Whether it is a model of featx, be it one that cannot be loaded."""
        return self.kind == MODEL

    @property
    def unknown_types(self) -> tuple[str, ...]:
        """Names of the types that featx does not know to be safe: `load` refuses them."""
        return tuple(each.name for each in self.types if not each.known)

    @property
    def picture_bytes(self) -> int:
        """What the training pictures in it take."""
        return self.members.get(PICTURES, 0) + self.members.get(EXAMPLES, 0)

    def __repr__(self) -> str:
        return self.summary

    @property
    def summary(self) -> str:
        """All of it in words, a line each."""
        kind = self.kind if self.format is None else f"{self.kind} of format {self.format}"
        lines = [f"{printable(self.path)}: {kind}, {size(self.n_bytes)}"]
        if self.digest:
            lines.append(f"SHA-256 {self.digest}")
        if self.classes:
            counts = self.training.counts if self.training else None
            named = [f"{name} ({counts[name]})" if counts else name for name in self.classes]
            lines.append(f"{count(len(self.classes), 'class')}: {listed(named, 20)}")
        if self.training:
            lines.append(self.training.summary)
        if self.recipe:
            lines.append(f"recipe: {self.recipe}")
        if self.is_model:
            lines += self._about_the_model()
        lines += [f"wrong: {problem}" for problem in self.problems]
        return "\n".join([*lines, *filter(None, [self.advice])])

    def _about_the_model(self) -> list[str]:
        lines = [self.answers, self.familiarity, self.pictures]
        lines.append("holds " + listed([f"{name} {size(n)}" for name, n in self.members.items()]))
        return [*lines, *self._about_types()]

    def _about_types(self) -> list[str]:
        if not self.types:
            return []
        known = [each.name for each in self.types if each.known]
        lines = [f"{count(len(known), 'type')} known to be safe: {listed(known, 40)}"]
        if unknown := self.unknown_types:
            lines.append(
                f"{count(len(unknown), 'type')} NOT known to be safe: {listed(unknown, 40)}"
            )
        return lines

    @property
    def answers(self) -> str:
        """Which pictures it answers, in a line."""
        views = f", by the mean over {count(self.views, 'view')} more" if self.views else ""
        if self.rejection is None:
            return f"answers every picture{views}"
        return f"{self.rejection}{views}"

    @property
    def familiarity(self) -> str:
        """Whether it tells pictures that are unlike those of training, in a line."""
        if not self.n_prototypes:
            return "does not tell pictures that are unlike those of training"
        vectors = count(self.n_prototypes, "vector")
        return f"tells pictures that are unlike those of training, by {vectors}"

    @property
    def pictures(self) -> str:
        """Whether it keeps training pictures, in a line."""
        if not self.n_pictures:
            return "keeps no picture"
        pictures = count(self.n_pictures, "small training picture")
        return f"keeps {pictures}, {size(self.picture_bytes)}: whoever has it can see them"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        measured = self.training.measured if self.training else None
        accuracy = (
            measured.accuracy.to_dict("accuracy")
            if measured
            else dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"))
        )
        return {
            "path": self.path,
            "kind": self.kind,
            "format": self.format,
            "n_bytes": self.n_bytes,
            "digest": self.digest,
            "problems": list(self.problems),
            "advice": self.advice,
            "classes": list(self.classes),
            **accuracy,
            "method": measured.method if measured else None,
            "training": self.training.to_dict() if self.training else None,
            "recipe": self.recipe.to_dict() if self.recipe else None,
            "fingerprint": self.recipe.fingerprint if self.recipe else None,
            "views": self.views,
            "rejection": self.rejection.to_dict() if self.rejection else None,
            "n_prototypes": self.n_prototypes,
            "n_pictures": self.n_pictures,
            "picture_bytes": self.picture_bytes,
            "members": dict(self.members),
            "types": [each.to_dict() for each in self.types],
        }

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.summary)}</pre>"

    def card(self) -> str:
        """Return a model card in Markdown, under the usual headings, as hubs of models show it.

        Raises
        ------
        ModelFileError
            It is no model of featx, or one that says nothing of itself.
        """
        from featx.models.card_page import page_of

        return page_of(self)


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Say what a model file is, without trusting it or running anything in it.

    Files that `load` would refuse are looked into as well, and what is wrong with them is said. It
    takes less than 100 MB of memory, whatever is in the file.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Inspection

    Raises
    ------
    ModelFileError
        It is not there, or no regular file, such as a folder or a pipe.
    """
    with _opened(path) as file:
        length = os.fstat(file.fileno()).st_size
        found = Inspection(
            path=os.fspath(path), kind=MODEL, n_bytes=length, digest=_digest(file, length)
        )
        try:
            members = stored_members(file, length, MOST_LIST)
        except RefusedError as error:
            return _no_model(found, file, {}, str(error) if length else "it is empty")
        found = replace(found, members={name: each.unpacked for name, each in members.items()})
        if ABOUT not in members and PIPELINE not in members:
            return _no_model(found, file, members, "")
        return _Reading(file, members, length, found).result()


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a regular file, without waiting."""
    try:
        file = open(path, "rb", opener=open_regular)  # noqa: SIM115  closed below
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(
            f"cannot look into {os.fspath(path)}: {reason}; expected a model file"
        ) from error
    with file:
        try:
            yield file
        except OSError as error:
            raise ModelFileError(
                f"cannot read {os.fspath(path)}: {error.strerror or error}"
            ) from error


def _digest(file: IO[bytes], length: int) -> str | None:
    if length > _MOST_DIGESTED:
        return None
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(1 << 18):
        digest.update(chunk)
    return digest.hexdigest()


def _no_model(
    found: Inspection, file: IO[bytes], members: Mapping[str, Member], problem: str
) -> Inspection:
    """Say what a file seems to be that is no model."""
    file.seek(0)
    beginning = file.read(4096)
    kind, advice = kind_of_file(beginning, members)
    if (exported := _exported(found, file, members)) is not None:
        return exported
    damaged = kind is None and problem
    if beginning and not beginning.startswith(b"PK"):
        problem = "it is no zip file, as a model is"
    return replace(
        found,
        kind=kind or "no featx model",
        advice=advice,
        problems=(problem,) if damaged else (),
    )


def _exported(
    found: Inspection, file: IO[bytes], members: Mapping[str, Member]
) -> Inspection | None:
    """Say what an exported model says of itself; None of a file that is none, or a damaged one."""
    try:
        metadata = exported_metadata(found.path, file, members)
    except (RefusedError, FeatxError, *_INVALID):
        return None
    if metadata is None:
        return None
    return replace(
        found,
        kind=f"model exported by featx {shortened(metadata.featx)} on {shortened(metadata.date)}",
        advice=EXPORTED,
        classes=tuple(map(str, metadata.classes)),
        recipe=metadata.recipe,
    )


class _Reading:
    """The reading of a model, part by part; what is wrong with one is no reason to leave others."""

    def __init__(
        self, file: IO[bytes], members: Mapping[str, Member], length: int, found: Inspection
    ) -> None:
        self._file, self._members = file, members
        self._most = min(max(1 << 28, 100 * length), _MOST_PIPELINE)
        self._found = found
        self._problems: list[str] = []
        self._about: Mapping[str, Any] = {}

    def result(self) -> Inspection:
        """Return what is found."""
        self._about = self._part(ABOUT, self._document) or {}
        if self._about:
            self._read_about()
        types = self._part(PIPELINE, self._types) or ()
        self._found = replace(self._found, types=types)
        self._look_at_members()
        if unknown := self._found.unknown_types:
            self._problems.append(f"its types {listed(unknown)} are not known to be safe")
        if self._found.training is None and self._found.recipe is not None:
            self._found = replace(self._found, training=self._known_card())
        return replace(self._found, problems=tuple(self._problems))

    def _part(self, name: str, read: Callable[[], Any]) -> Any:
        """Read a part; None, with a problem told, where it cannot be."""
        try:
            return read()
        except (RefusedError, FeatxError, *_INVALID) as error:
            self._problems.append(f"{name}: {_reason(error)}")
            return None

    def _document(self) -> Mapping[str, Any]:
        if ABOUT not in self._members:
            raise RefusedError("it is missing")
        data = unpacked(self._file, self._members[ABOUT], MOST_TEXT)
        about = small_json(data)
        if not isinstance(about, dict):
            raise RefusedError("it is no JSON object")
        return about

    def _read_about(self) -> None:
        """Read the values of model.json, each by itself."""
        about, found = self._about, self._found
        number = about.get("format")
        if type(number) is not int or number not in FORMATS:
            self._problems.append(f"its format is none of 1 to {FORMATS[-1]}; update featx")
            number = None
        classes = self._part("classes", self._classes) or ()
        recipe = self._part("recipe", lambda: Recipe.from_dict(about["recipe"]))
        rejection = card = None
        if "rejection" in about:
            rejection = self._part("rejection", lambda: Rejection.from_file(about["rejection"]))
        if "card" in about or number == FORMATS[-1]:
            card = self._part("card", lambda: self._card(classes))
        self._found = replace(
            found,
            format=number,
            classes=classes,
            recipe=recipe,
            rejection=rejection,
            training=card,
            views=self._part("views", self._views) or 0,
            n_prototypes=self._part("familiarity", self._prototypes) or 0,
            n_pictures=self._part("examples", self._pictures) or 0,
        )

    def _classes(self) -> tuple[str, ...]:
        classes = self._about["classes"]
        if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
            raise ValueError("they are no names")
        if len(classes) < 2:
            raise ValueError(f"{count(len(classes), 'class')}, expected two or more")
        return tuple(classes)

    def _card(self, classes: tuple[str, ...]) -> Card:
        card = Card.from_file(self._about["card"])
        if card.counts is not None and tuple(card.counts) != classes:
            raise ValueError("it is of other classes")
        return card

    def _known_card(self) -> Card | None:
        """Return the card of a model that has none."""
        recipe, weights = self._found.recipe, self._about.get("weights")
        version = self._about.get("scikit-learn")
        versions = {"scikit-learn": version} if isinstance(version, str) else {}
        if recipe is None or not isinstance(weights, str) or len(weights) > _LONGEST:
            return None
        estimators = [each.name for each in self._found.types if _ESTIMATOR.match(each.name)]
        names = [name.rpartition(".")[2] for name in estimators or ["unknown"]]
        return Card(listed(names), versions=versions, weights=origins_of(recipe, weights))

    def _views(self) -> int:
        views = self._about.get("views", 0)
        if type(views) is not int or not 0 <= views <= MAX_VIEWS:
            raise ValueError("they are no number of views")
        return views

    def _prototypes(self) -> int:
        if "familiarity" not in self._about:
            return 0
        number = self._about["familiarity"]["n_prototypes"]
        if type(number) is not int or not 0 < number <= MOST_VALUES:
            raise ValueError("its number of vectors cannot be")
        return number

    def _pictures(self) -> int:
        if "examples" not in self._about:
            return 0
        sizes = self._about["examples"]["sizes"]
        if not isinstance(sizes, list) or not all(type(each) is int for each in sizes):
            raise ValueError("the sizes of its pictures are no numbers")
        if sum(sizes) != self._found.members.get(PICTURES):
            raise ValueError("its pictures are cut off")
        return len(sizes)

    def _types(self) -> tuple[TypeName, ...]:
        if PIPELINE not in self._members:
            raise RefusedError("it is missing")
        chunks = unpacked_chunks(self._file, self._members[PIPELINE], self._most)
        return type_names(member_within(chunks, SCHEMA, _MOST_SCHEMA))

    def _read_through(self, name: str) -> None:
        """Read a member, which is not what its checksum says if it is damaged."""
        for _ in unpacked_chunks(self._file, self._members[name], self._most):
            pass

    def _look_at_members(self) -> None:
        """Say which members are not those that the model says it has."""
        expected = {ABOUT, PIPELINE}
        expected |= {PROTOTYPES} if "familiarity" in self._about else set()
        expected |= {EXAMPLES, PICTURES} if "examples" in self._about else set()
        if self._found.recipe is not None:
            named = [part.cut.calibration for part in self._found.recipe.parts]
            expected |= {f"{each}{CALIBRATION}" for each in named if each}
        for name in self._members.keys() & expected - {ABOUT, PIPELINE}:
            self._part(name, partial(self._read_through, name))
        if missing := expected - self._members.keys() - {ABOUT, PIPELINE}:
            self._problems.append(f"it has no {listed(sorted(missing))}")
        known = set() if self._about else {PROTOTYPES, EXAMPLES, PICTURES}
        if more := self._members.keys() - expected - known:
            names = listed([each[:50] for each in sorted(more)])
            self._problems.append(f"it holds what no model does: {names}")


def _reason(error: BaseException) -> str:
    """Say what is wrong in a line; an error may hold a text of the file, whatever its length."""
    text = str(error.args[0]) if error.args else ""
    if isinstance(error, KeyError):
        return f"it has no {one_line(ValueError(text[:_REASON]))}"
    shown = type(error)(text[: 2 * _REASON])
    return one_line(shown)[:_REASON]
