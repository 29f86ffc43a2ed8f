"""The model file: a recipe and a fitted pipeline in one zip file, without pickle."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from featx.backbones.calibration import Calibration
from featx.errors import ModelFileError, OptionError, StorageError, one_line
from featx.features.options import MAX_VIEWS
from featx.features.recipe import Recipe
from featx.features.request import calibration_of
from featx.files import written
from featx.learning.scratch.architecture import ArchitectureError
from featx.models.audited import TRUSTED_TYPES
from featx.models.card import Card
from featx.models.document import (
    Document,
    check_array,
    import_skops,
    member_named,
    reproducible,
)
from featx.models.examples import Examples
from featx.models.familiarity import Familiarity
from featx.models.fitted import check_fitted
from featx.models.rejection import Rejection
from featx.models.zip_contents import MOST_LIST
from featx.tensors.stored_zip import stored_members
from featx.text import listed, shortened, size

# 2 rejects or has views, 3 knows unfamiliar pictures, 4 has calibrations, 5 has a card: an older
# featx would pass over them.
FORMATS = (1, 2, 3, 4, 5)
ABOUT = "model.json"  # format, recipe, weights, classes and so on: readable by a person
PIPELINE = "pipeline.skops"
PROTOTYPES = "prototypes.npy"  # what it keeps of its training pictures, from format 3 on
EXAMPLES = "examples.npy"  # vectors of the training pictures that it keeps to show
PICTURES = "examples.jpg"  # these pictures, one behind the other
CALIBRATION = ".calibration"  # behind the digest: of a network that computes in int8, in format 4
_MOST_CALIBRATIONS = 64
_MAGIC = b"PK\x03\x04"  # what an archive begins with
_MEMBERS = (ABOUT, PIPELINE, PROTOTYPES, EXAMPLES, PICTURES)

# A file may not unpack to more than so many times its size, or this: a deflated zip member of
# zeros shrinks a thousand times, features of networks (half of them zeros) not four times.
_MOST_TIMES = 100
_MOST_AT_LEAST = 256 << 20  # bytes
_MOST_ABOUT = 16 << 20  # bytes of what a person reads
_LONGEST = 1000  # characters of a text


class _UntrustedTypesError(Exception):
    """Names types that are neither audited nor trusted."""


# What comes of invalid values.
_INVALID = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)


@dataclass(frozen=True)
class StoredModel:
    """What a model file holds: what `ImageClassifier` is made of."""

    pipeline: Any
    recipe: Recipe
    weights: str
    views: int = 0
    rejection: Rejection | None = None
    familiarity: Familiarity | None = None
    calibrations: tuple[Calibration, ...] = ()
    card: Card | None = None  # of its training; one without a date tells nothing
    examples: Examples | None = None


def write(path: Path, model: StoredModel, trusted: Sequence[str] = ()) -> None:
    """Write a model file; for the errors see `ImageClassifier.save`."""
    import sklearn

    pipeline = _packed(model.pipeline, trusted)
    about: dict[str, Any] = {
        "format": FORMATS[0],
        "recipe": model.recipe.to_dict(),
        "weights": model.weights,
        "classes": [str(label) for label in model.pipeline.classes_],
        "scikit-learn": sklearn.__version__,
    }
    if model.views:
        about |= {"format": FORMATS[1], "views": model.views}
    if model.rejection is not None:
        about |= {"format": FORMATS[1], "rejection": asdict(model.rejection)}
    members: dict[str, str | bytes] = {PIPELINE: pipeline}
    if model.familiarity is not None:
        about |= {"format": FORMATS[2], "familiarity": model.familiarity.to_dict()}
        members[PROTOTYPES] = _as_bytes(model.familiarity.prototypes)
    for part in model.recipe.parts:
        if (calibration := calibration_of(part, model.calibrations)) is not None:
            about["format"] = FORMATS[3]
            members[f"{calibration.digest}{CALIBRATION}"] = calibration.to_bytes()
    if model.examples is not None:
        about["examples"] = model.examples.about(np.asarray(model.pipeline.classes_).tolist())
        members[EXAMPLES] = _as_bytes(model.examples.vectors)
        members[PICTURES] = b"".join(model.examples.pictures)
    card = model.card or Card.known(model.pipeline, model.recipe, model.weights)
    if card.date is not None or model.examples is not None:
        about |= {"format": FORMATS[4], "card": card.to_dict()}
    members[ABOUT] = json.dumps(about, indent=2)
    with written(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in sorted(members.items()):
            archive.writestr(member_named(name, zipfile.ZIP_DEFLATED), content)


def _as_bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _packed(pipeline: Any, trusted: Sequence[str]) -> bytes:
    """Return a pipeline as a model file holds it, after reading it again: what is saved, loads."""
    try:
        data = reproducible(import_skops().dumps(pipeline))
    except TypeError as error:  # skops's UnsupportedTypeException is one
        raise OptionError(
            f"this pipeline cannot be saved without pickle ({one_line(error)}); replace the step"
        ) from error
    try:
        _rebuild(data, trusted)
    except _UntrustedTypesError as error:
        raise OptionError(
            f"this pipeline holds types that a model file cannot hold safely: {error}; use another "
            "step (docs/classifiers.md lists those that can be saved), or save and load it in "
            "Python with trusted=[these names]"
        ) from error
    except _INVALID as error:
        raise OptionError(
            f"this pipeline could not be loaded again ({one_line(error)}); replace the step"
        ) from error
    return data


def read(path: Path, trusted: Sequence[str] = ()) -> StoredModel:
    """Read a model file, running nothing that it holds.

    Trusted types are accepted beyond those of `featx.models.audited`. Raises a `ModelFileError` if
    the file is missing, is no model, is damaged, or holds types that are not trusted or invalid
    values, and a `StorageError` if it cannot be read.
    """
    if not os.path.isfile(path):
        raise ModelFileError(f"no model file {path}: expected one that `featx train` wrote")
    try:
        members = _unpacked(path)
        about = json.loads(members[ABOUT])
        pipeline = _rebuild(members[PIPELINE], trusted)
        stored = _stored(path, about, pipeline, members.get(PROTOTYPES))
        return replace(
            stored,
            calibrations=_calibrations(about, stored.recipe, members),
            examples=_examples(about, pipeline, members),
        )
    except (ModelFileError, MemoryError):
        raise
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except _UntrustedTypesError as error:
        raise ModelFileError(
            f"{path} holds types that are not known to be safe: {error}; if you trust its source, "
            "load it in Python with trusted=[these names]"
        ) from error
    except ArchitectureError as error:
        raise ModelFileError(
            f"{path} holds a network with what is not known to be safe: {one_line(error)}; "
            "nothing of it was run"
        ) from error
    except Exception as error:  # whatever zip, JSON and skops make of another or a damaged file
        raise ModelFileError(
            f"{path} is no featx model, or a damaged one ({one_line(error)}); train it again"
        ) from error


def _unpacked(path: Path) -> dict[str, bytes]:
    """Read the members of a model file, if they are not much larger than the file."""
    try:
        with path.open("rb") as file:  # `zipfile` takes a thousand bytes for each of a million
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("no archive")
            stored_members(file, path.stat().st_size, MOST_LIST)
        opened = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError("no archive") from error
    with opened as archive:
        members = archive.infolist()
        others = [each for each in members if not each.filename.endswith(CALIBRATION)]
        if len(others) > len(_MEMBERS) or len(members) > len(_MEMBERS) + _MOST_CALIBRATIONS:
            raise ValueError(f"{len(members)} members instead of {len(_MEMBERS)} at most")
        most = max(_MOST_AT_LEAST, _MOST_TIMES * path.stat().st_size)
        if missing := {ABOUT, PIPELINE} - {member.filename for member in members}:
            raise ValueError(f"it has no {listed(sorted(missing))}")
        unpacked = sum(member.file_size for member in members)
        if archive.getinfo(ABOUT).file_size > _MOST_ABOUT or unpacked > most:
            raise ValueError(f"it would unpack to {size(unpacked)}")
        if odd := {each.compress_type for each in members} - {
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        }:  # which zipfile would unpack beyond the size that they say
            raise ValueError(f"members packed by method {odd.pop()}")
        return {
            each.filename: archive.read(each)
            for each in members
            if each.filename in _MEMBERS or each.filename.endswith(CALIBRATION)
        }


def _stored(
    path: Path, about: dict[str, Any], pipeline: Any, prototypes: bytes | None
) -> StoredModel:
    """Put a model together from what a file says of it, value by value."""
    number = about["format"]
    if type(number) is not int or number not in FORMATS:
        raise ModelFileError(
            f"{path} is a model of format {shortened(repr(number))}, expected {FORMATS[-1]} or "
            "less; update featx or train again"
        )
    recipe, weights = Recipe.from_dict(about["recipe"]), about["weights"]
    if not isinstance(weights, str) or len(weights) > _LONGEST:
        raise ValueError(f"weights is {weights!r}")
    views = about.get("views", 0)
    if type(views) is not int or not 0 <= views <= MAX_VIEWS:
        raise ValueError(f"views {views!r}")
    rejection = Rejection.from_file(about["rejection"]) if "rejection" in about else None
    if number == FORMATS[1] and rejection is None and not views:
        raise ValueError("it neither rejects nor has views")
    if rejection is not None and not hasattr(pipeline, "predict_proba"):
        raise ValueError("it rejects, but gives no probabilities")
    if about["classes"] != [str(label) for label in pipeline.classes_]:
        raise ValueError("its classes are not those of its pipeline")
    familiarity = _familiarity(about, pipeline, prototypes)
    if number == FORMATS[2] and familiarity is None:
        raise ValueError("it knows no prototypes")
    card = _card(about) or _known_card(about, pipeline, recipe)
    return StoredModel(pipeline, recipe, weights, views, rejection, familiarity, card=card)


def _known_card(about: dict[str, Any], pipeline: Any, recipe: Recipe) -> Card:
    """Write the card that can be known of a file of an older format."""
    version = about.get("scikit-learn")
    versions = {"scikit-learn": version} if isinstance(version, str) else {}
    return Card.known(pipeline, recipe, about["weights"], versions)


def _card(about: dict[str, Any]) -> Card | None:
    """Build the card of a file, which has one from format 5 on."""
    if ("card" in about) != (about["format"] == FORMATS[4]):
        raise ValueError(f"a card is for format {FORMATS[4]} alone, which has to have one")
    if "card" not in about:
        return None
    card = Card.from_file(about["card"])
    if card.counts is not None and list(card.counts) != about["classes"]:
        raise ValueError("its card is of other classes")
    return card


def _calibrations(
    about: dict[str, Any], recipe: Recipe, members: dict[str, bytes]
) -> tuple[Calibration, ...]:
    """Read the calibrations that a recipe names, all of which a file has to hold."""
    named = dict.fromkeys(part.cut.calibration for part in recipe.parts)
    found = []
    for digest in filter(None, named):
        name = f"{digest}{CALIBRATION}"
        if name not in members:
            raise ValueError("it has no calibration of its network")
        try:
            calibration = Calibration.from_bytes(members[name])
        except StorageError as error:
            raise ValueError(f"its calibration is {error}") from error
        if calibration.digest != digest:
            raise ValueError("its calibration is another one")
        found.append(calibration)
    if any(part.cut.precision == "int8" and not part.cut.calibration for part in recipe.parts):
        raise ValueError("its recipe names no calibration")
    if not found and any(name.endswith(CALIBRATION) for name in members):
        raise ValueError("it has a calibration which its recipe does not name")
    if (found and about["format"] < FORMATS[3]) or (not found and about["format"] == FORMATS[3]):
        raise ValueError(f"a calibration is for format {FORMATS[3]}, which has to have one")
    return tuple(found)


def _familiarity(
    about: dict[str, Any], pipeline: Any, prototypes: bytes | None
) -> Familiarity | None:
    """Build what a file holds of the training pictures, if it fits its pipeline."""
    if "familiarity" not in about and prototypes is None:
        return None
    if prototypes is None:
        raise ValueError(f"it has no {PROTOTYPES}")
    familiarity = Familiarity.from_file(about["familiarity"], _array(prototypes))
    _require_columns("prototypes", familiarity.n_columns, pipeline)
    return familiarity


def _examples(about: dict[str, Any], pipeline: Any, members: dict[str, bytes]) -> Examples | None:
    """Build the training pictures that a file keeps, if they fit its pipeline."""
    kept = {EXAMPLES, PICTURES} & members.keys()
    if "examples" not in about and not kept:
        return None
    if len(kept) < 2 or about["format"] < FORMATS[4]:
        raise ValueError(f"pictures are for format {FORMATS[4]}, with their vectors")
    classes = np.asarray(pipeline.classes_).tolist()
    vectors = _array(members[EXAMPLES])
    examples = Examples.from_file(about["examples"], vectors, members[PICTURES], classes)
    _require_columns("pictures", examples.n_columns, pipeline)
    return examples


def _array(data: bytes) -> np.ndarray:
    """Read an array that is as long as it says."""
    file = io.BytesIO(data)
    check_array(file, len(data))
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _require_columns(what: str, number: int, pipeline: Any) -> None:
    columns = getattr(pipeline, "n_features_in_", number)
    if columns != number:
        raise ValueError(f"{what} of {number} columns instead of {columns}")


def _rebuild(data: bytes, trusted: Sequence[str]) -> Any:
    """Build a pipeline from the bytes of its document, after every check."""
    document = Document(data)
    untrusted = document.untrusted_types(set(trusted))
    if untrusted:
        raise _UntrustedTypesError(listed(untrusted))
    pipeline = document.build(sorted({*TRUSTED_TYPES, *trusted}))
    check_fitted(pipeline)
    for step in (pipeline, *(step for _, step in getattr(pipeline, "steps", ()))):
        if hasattr(step, "check_file"):
            step.check_file()
    return pipeline
