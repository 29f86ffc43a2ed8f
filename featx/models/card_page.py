"""The page of a model's card: Markdown under the usual headings, as hubs of models show it.

The headings are those of Mitchell et al. (Model cards for model reporting, FAT* 2019), as the
Hugging Face hub has them; before them stands what hubs read, in YAML.
"""

from __future__ import annotations

import re
from html import escape
from typing import Protocol

from featx.errors import ModelFileError
from featx.features.recipe import Recipe
from featx.models.card import Card, Measurement
from featx.models.rejection import Rejection
from featx.text import count, percent, printable, shortened, size

_MARKS = re.compile(r"([\\`*_\[\]|~#!])")
_MOST_CLASSES = 200  # rows of a table
_HEAD = """---
license: other
library_name: featx
pipeline_tag: image-classification
tags:
- image-classification
- transfer-learning
- featx
---
"""


class Inspected(Protocol):
    """What is known of a model file: an `Inspection`."""

    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def is_model(self) -> bool: ...
    @property
    def problems(self) -> tuple[str, ...]: ...
    @property
    def format(self) -> int | None: ...
    @property
    def n_bytes(self) -> int: ...
    @property
    def digest(self) -> str | None: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def recipe(self) -> Recipe | None: ...
    @property
    def training(self) -> Card | None: ...
    @property
    def rejection(self) -> Rejection | None: ...
    @property
    def answers(self) -> str: ...
    @property
    def familiarity(self) -> str: ...
    @property
    def pictures(self) -> str: ...


def page_of(found: Inspected) -> str:
    """Return the page of a model that was inspected; see `Inspection.card`."""
    if not found.is_model or found.recipe is None or not found.classes:
        raise ModelFileError(
            f"{found.path} says too little of itself for a card: "
            f"{'; '.join(found.problems) or found.kind}"
        )
    name = found.path.replace("\\", "/").rpartition("/")[2]
    parts = [
        _HEAD,
        f"# {_plain(name)}\n",
        _details(found, name),
        _use(found),
        _training_data(found),
        _evaluation(found),
        _limitations(found),
        _how_to_use(name),
    ]
    return "\n".join(parts)


def _plain(text: object) -> str:
    """Return a text that is no Markdown and no HTML, whatever it holds."""
    return _MARKS.sub(r"\\\1", escape(printable(text), quote=False))


def _section(title: str, *paragraphs: str) -> str:
    return "\n\n".join([f"## {title}", *filter(None, paragraphs)]) + "\n"


def _list(items: list[str]) -> str:
    return "\n".join(f"- {each}" for each in items)


def _details(found: Inspected, name: str) -> str:
    card = found.training
    items = [
        f"An image classifier of {count(len(found.classes), 'class')}: frozen features of a "
        f"pretrained network and a classifier on top, {_plain(card.classifier if card else '?')}.",
        f"Recipe of the features: {_plain(found.recipe)}",
    ]
    if card is not None:
        items += [f"Network {_plain(each)}" for each in card.weights]
        versions = ", ".join(f"{name} {version}" for name, version in card.versions.items())
        items.append(f"Trained on {card.date or 'an unknown day'}; {_plain(versions)}")
    items += [
        f"File: {_plain(name)}, format {found.format}, {size(found.n_bytes)}, "
        f"SHA-256 `{found.digest}`",
        "Licence of the model: to be said by who publishes it. Mind those of the network and of "
        "the pictures.",
    ]
    return _section("Model details", _list(items))


def _use(found: Inspected) -> str:
    return _section(
        "Intended use",
        "Photographs like those that it learned from, to be told apart as one of the classes "
        "below; each is taken to show exactly one of them.",
        f"It {_plain(found.answers)}. It {_plain(found.familiarity)}.",
    )


def _training_data(found: Inspected) -> str:
    counts = found.training.counts if found.training else None
    if counts is None:
        lines = ["How many pictures it learned from is not known.", ", ".join(_names(found))]
        return _section("Training data", *lines)
    rows = ["| class | pictures |", "|---|---|"]
    shown = list(counts.items())[:_MOST_CLASSES]
    rows += [f"| {_plain(shortened(name, 80))} | {number:,} |" for name, number in shown]
    more = len(counts) - len(shown)
    total = f"{count(sum(counts.values()), 'picture')} of {count(len(counts), 'class')}"
    return _section(
        "Training data",
        f"{total}; the file {_plain(found.pictures)}.",
        "\n".join(rows),
        f"And {count(more, 'more class')}." if more else "",
    )


def _names(found: Inspected) -> list[str]:
    return [_plain(shortened(name, 80)) for name in found.classes[:_MOST_CLASSES]]


def _evaluation(found: Inspected) -> str:
    card = found.training
    measured = [each for each in (card.test, card.validation) if each] if card else []
    if not measured:
        return _section("Evaluation", "It was not measured when it was trained.")
    rows = ["| accuracy | 95 % interval | measured |", "|---|---|---|", *map(_row, measured)]
    if found.rejection is None:
        return _section("Evaluation", "\n".join(rows))
    return _section("Evaluation", "\n".join(rows), f"It {_plain(found.rejection)}.")


def _row(measured: Measurement) -> str:
    accuracy = measured.accuracy
    interval = f"{percent(accuracy.low)} to {percent(accuracy.high)}"
    return f"| {percent(accuracy.value)} | {interval} | {_plain(measured.method)} |"


def _limitations(found: Inspected) -> str:
    items = [
        "It knows no class but these, and gives every picture one of them"
        + (", unless it is unsure of it." if found.rejection else "."),
        "The accuracy holds for pictures that come about as the training ones did: another camera, "
        "place or season can make it worse.",
        "What the pretrained network learned from, and whatever is one-sided in that, is not known "
        "to featx.",
    ]
    if found.training and found.training.counts:
        smallest = min(found.training.counts.items(), key=lambda item: item[1])
        if smallest[1] < 20:
            name, number = smallest
            items.append(
                f"The smallest class, {_plain(shortened(name, 80))}, has "
                f"{count(number, 'training picture')}: its own accuracy is little known."
            )
    if found.problems:
        items.append(f"Something is wrong with the file: {_plain('; '.join(found.problems))}")
    return _section("Limitations", _list(items))


def _how_to_use(name: str) -> str:
    plain = name if re.fullmatch(r"[\w.-]+", name, re.ASCII) else "model.featx"
    return _section(
        "How to use",
        f"```sh\npip install featx\nfeatx predict {plain} photos/\n```",
        f'```python\nimport featx\n\nfeatx.load("{plain}").predict("photos/")\n```',
        "Loading it runs nothing of the file: it holds no pickle, and types that are not known to "
        "be safe are refused.",
    )
