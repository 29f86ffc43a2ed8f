"""Classes that are empty, tiny or unequal are found, and names that look alike."""

from __future__ import annotations

from featx.images.folder import ImageFolder
from featx.inspection.folders import find_class_sizes, find_names, find_unknown_classes


def folder(*counts, **more):
    labels = [name for name, n in counts for _ in range(n)]
    paths = [f"photos/{label}/{row}.jpg" for row, label in enumerate(labels)]
    return ImageFolder(tuple(paths), tuple(labels), **more)


def details(findings):
    return [finding.detail for finding in findings]


def test_equal_classes_are_no_finding():
    assert find_class_sizes(folder(("ant", 10), ("bee", 12)), []) == []


def test_tiny_and_unequal_classes_are_found_by_what_can_be_read():
    images = folder(("ant", 20), ("bee", 7), ("cat", 5))
    assert find_class_sizes(images, images.paths[:1]) == []
    assert details(find_class_sizes(images, images.paths[-2:])) == [
        "fewer than 5 pictures that can be read: cat (3)",
        "unequal: 20 pictures of ant, and 3 of cat; see the recall of each class, too",
    ]


def test_an_empty_folder_is_a_class_without_pictures(photos):
    (photos / "violet").mkdir()
    (found,) = find_class_sizes(ImageFolder.of(photos), [])
    assert found.detail == "no class, since no picture is in the folder: violet (it is empty)"


def test_classes_of_one_folder_alone_are_named():
    images, test = folder(("cat", 5), ("dog", 5)), folder(("Cat", 2), ("dog", 2))
    assert details(find_unknown_classes(images, test)) == [
        "in the test alone: Cat; Cat looks like cat",
        "not in the test: cat",
    ]
    assert find_unknown_classes(images, images) == []


def test_files_whose_names_differ_in_case_or_spaces_are_found():
    names = ["a/IMG.jpg", "a/img.JPG", "a/x  1.png", "a/x 1.png", "a/caf\u00e9.png", "b/img.jpg"]
    names.append("a/cafe\u0301.png")
    found = find_names(ImageFolder(tuple(names), ("a",) * len(names)))
    assert [finding.path for finding in found] == ["a/img.JPG", "a/x 1.png", "a/cafe\u0301.png"]
    assert found[0].detail == "looks like 'IMG.jpg'; some file systems keep one only"


def test_classes_that_look_alike_are_found():
    (found,) = find_names(folder(("cat", 2), ("Cat", 2)))
    assert found.detail == "classes that look alike and count as different: 'Cat' and 'cat'"
