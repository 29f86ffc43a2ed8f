"""The ImageNet classes."""

from __future__ import annotations

import csv
import re

import pytest

from featx.backbones import imagenet


def test_there_are_a_thousand_classes_each_at_its_index():
    classes = imagenet.classes()
    assert [each.index for each in classes] == list(range(1000))
    assert len({each.wnid for each in classes}) == 1000
    assert [each.wnid for each in classes if not re.fullmatch(r"n\d{8}", each.wnid)] == []
    assert [each.name for each in classes if not each.name.strip()] == []


@pytest.mark.parametrize(
    ("index", "wnid", "name"),
    [
        (0, "n01440764", "tench"),
        (207, "n02099601", "golden_retriever"),
        (954, "n07753592", "banana"),
    ],
)
def test_well_known_classes_are_where_every_classifier_has_them(index, wnid, name):
    assert imagenet.classes()[index] == imagenet.ImagenetClass(index, wnid, name)


def test_the_table_holds_the_facts_of_the_reference(shared):
    with (shared / "reference" / "imagenet_classes.csv").open(newline="") as lines:
        rows = [(int(i), wnid, name) for i, wnid, name in list(csv.reader(lines))[1:]]
    assert [(c.index, c.wnid, c.name) for c in imagenet.classes()] == rows


def test_the_file_is_read_once():
    assert imagenet.classes() is imagenet.classes()
