"""Groups: pictures that belong together are never on both sides of a split."""

import re

import numpy as np
import pandas as pd
import pytest
from fakes import objects
from hypothesis import given, settings
from hypothesis import strategies as st

import featx
from featx.errors import ImageSourceError, ImageSourceWarning, OptionError
from featx.evaluation.groups import Grouping, merged
from featx.evaluation.splits import split
from featx.images.folder import ImageFolder
from featx.images.table import Table


def folder(*paths, **columns):
    table = Table(pd.DataFrame(columns)) if columns else None
    return ImageFolder(tuple(paths), (None,) * len(paths), table=table)


class TestWhatNamesGroups:
    def test_a_pattern_takes_its_first_parentheses_out_of_the_names_of_files(self):
        images = folder("patient_1/cat/patient_07_1.jpg", "patient_1/dog/patient_08_1.jpg")
        made = Grouping.of(r"patient_(\d+)", images)
        assert made.names.tolist() == ["07", "08"]
        assert made.n_groups == 2
        assert made.rule == r"the pattern patient_(\d+)"

    def test_a_pattern_that_no_name_has_is_sought_below_the_folder_that_all_share(self):
        images = folder("/p9/photos/p1/a.jpg", "/p9/photos/p1/b.jpg", "/p9/photos/p2/a.jpg")
        assert Grouping.of(r"p(\d+)/", images).names.tolist() == ["1", "1", "2"]

    def test_the_parentheses_that_matched_count(self):
        images = folder("a1.jpg", "b2.jpg")
        assert Grouping.of(r"a(\d)|b(\d)", images).names.tolist() == ["1", "2"]

    def test_a_column_of_the_table_goes_before_a_pattern(self, tmp_path):
        table = pd.DataFrame({"path": ["a.jpg", "b.jpg", "c.jpg"], "(.)": [7, 7, None]})
        images = ImageFolder.of(table)
        assert Grouping.of("(.)", images).names.tolist() == ["7", "7", None]
        table.to_csv(tmp_path / "table.csv", index=False)
        images = ImageFolder.of(tmp_path / "table.csv")
        assert Grouping.of("(.)", images).names.tolist() == ["7.0", "7.0", None]

    def test_a_mapping_goes_by_path_or_by_name(self):
        images = folder("x/a.jpg", "x/b.jpg", "x/c.jpg")
        made = Grouping.of({"x/a.jpg": "one", "b.jpg": "one"}, images)
        assert made.names.tolist() == ["one", "one", None]

    @pytest.mark.parametrize("kind", [list, np.array, pd.Series])
    def test_a_sequence_has_a_group_for_each_image(self, kind):
        made = Grouping.of(kind([1, 1, 2]), folder("a.jpg", "b.jpg", "c.jpg"))
        assert made.names.tolist() == ["1", "1", "2"]

    def test_a_sequence_may_tell_the_groups_of_images_that_cannot_be_read(
        self, photos, fake_engine
    ):
        (photos / "blue" / "000.png").write_text("no picture")
        features = featx.embed(photos)
        made = Grouping.of(list(range(18)), features)
        assert made.names.tolist() == [str(number) for number in range(1, 18)]

    def test_images_without_a_group_count_as_their_own_and_are_named(self):
        made = Grouping.of(r"p(\d)", folder("p1_1.jpg", "p1_2.jpg", "odd.jpg", "even.jpg"))
        assert made.n_groups == 3
        assert made.notes == (
            r"2 of 4 images have no group by the pattern p(\d), so that each counts as its own: "
            "odd.jpg, even.jpg",
        )

    @pytest.mark.parametrize("groups", [None, False])
    def test_there_may_be_none(self, groups):
        assert Grouping.of(groups, folder("a.jpg")) is None

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            (r"patient_\d+", "has no part in parentheses: expected a pattern with a part in"),
            ("(", "is no pattern (missing ), unterminated subpattern at position 0)"),
            (r"patient_(\d+)", "gives none of 2 images a group, such as a.jpg"),
            ([1], "groups has 1 entries for 2 images: expected one for each"),
            ([[1, 2], [3, 4]], "groups are a list: expected a group for each image"),
            (7, "groups are a int: expected a group for each image"),
            ({}, "a mapping of paths gives none of 2 images a group"),
        ],
    )
    def test_mistakes_say_what_is_expected(self, groups, message):
        with pytest.raises(OptionError, match=re.escape(message)):
            Grouping.of(groups, folder("a.jpg", "b.jpg"))

    def test_a_column_that_is_not_there_is_told_with_those_that_are(self):
        images = folder("a.jpg", site=["x"], patient=["y"])
        with pytest.raises(OptionError, match=r"'pateint' is no column.*columns are site, patient"):
            Grouping.of("pateint", images)


@settings(deadline=None, max_examples=60)
@given(
    groups=st.lists(st.integers(0, 12), min_size=12, max_size=40),
    copies=st.data(),
    seed=st.integers(0, 100),
)
def test_neither_groups_nor_copies_are_on_both_sides(groups, copies, seed):
    groups = np.array(groups)
    same = np.array(copies.draw(st.lists(st.integers(0, 30), min_size=len(groups))))[: len(groups)]
    y = np.where(np.arange(len(groups)) % 3, "many", "few")
    grouping = Grouping.of(groups, folder(*map(str, range(len(groups)))))
    whole = merged(same, groups)
    if all(len(np.unique(whole[y == name])) == 1 for name in np.unique(y)):
        with pytest.raises(ImageSourceError, match="of a single group"):
            split(y, same, grouping, seed=seed)
        return
    made = split(y, same, grouping, seed=seed)
    for train, test in made.parts:
        assert len(test)
        assert not set(groups[train]) & set(groups[test])
        assert not set(same[train]) & set(same[test])


def test_groups_that_share_a_copy_are_one():
    assert merged(np.array([0, 1, 1, 2, 3]), np.array([7, 7, 8, 9, 9])).tolist() == [0, 0, 0, 1, 1]


class TestObjectsWithClassesAtRandom:
    """Ten pictures each of twenty objects: nothing but the object itself tells its class."""

    @pytest.mark.parametrize("classifier", ["logistic", "knn"])
    def test_with_groups_the_accuracy_is_that_of_chance(self, classifier):
        features = objects()
        shuffled = featx.cross_validate(features, classifier, groups=False)
        apart = featx.cross_validate(features, classifier, groups=r"object_(\d+)")
        assert shuffled.accuracy > 0.9
        assert apart.interval.low < 0.5 < apart.interval.high
        assert apart.accuracy < 0.65
        assert apart.size == pytest.approx(16)  # objects, less a fifth that is held out
        assert "20 groups kept together" in apart.summary
        assert r"20 groups by the pattern object_(\d+) kept together" in apart.method
        assert apart.to_dict()["n_groups"] == 20

    def test_a_learning_curve_adds_whole_objects(self):
        features = objects()
        curve = featx.learning_curve(features, "knn", groups=r"object_(\d+)", shares=(0.25, 0.5))
        assert curve.sizes[0] == pytest.approx(20, abs=2)  # two objects of each class
        assert curve.hits[-1].mean() < 0.65

    def test_a_comparison_keeps_them_together(self):
        comparison = featx.compare(
            objects(), classifiers=["knn", "centroid"], groups=r"object_(\d+)", progress=False
        )
        assert all(each.validation.accuracy < 0.65 for each in comparison.candidates)
        assert "20 groups by the pattern" in comparison.best.validation.method

    def test_a_model_is_validated_and_rejects_by_them(self):
        features = objects()
        model = featx.train(features, "knn", groups=r"object_(\d+)", validation=True)
        assert model.training.validation.accuracy < 0.65
        with pytest.raises(OptionError, match="out of reach"):
            featx.train(features, "knn", groups=r"object_(\d+)", reject=0.95)
        assert featx.train(features, "knn", groups=False, reject=0.95).rejection

    def test_rejection_goes_by_the_groups_of_a_validation_that_is_given(self):
        features = objects()
        validation = featx.cross_validate(features, "logistic", groups=r"object_(\d+)")
        with pytest.raises(OptionError, match="out of reach"):
            featx.train(features, "logistic", validation=validation, reject=0.95)


def test_a_class_of_one_group_is_told_and_counts_as_wrong():
    features = objects(9, 4, labels=("a", "a", "a", "a", "b", "b", "b", "b", "c"))
    result = featx.cross_validate(features, "logistic", groups=r"object_(\d+)")
    assert any(
        note.startswith("all images of c are of one group: they count as wrong")
        for note in result.notes
    )
    assert not result.hits[:, features.y == "c"].any()


def test_a_class_of_one_group_accuses_no_label_and_asks_for_no_weight():
    features = objects(9, 6, labels=("a", "a", "a", "a", "b", "b", "b", "b", "c"))
    model = featx.train(features, "logistic", groups=r"object_(\d+)", validation=True)
    result = model.training.validation
    assert result.unlearned == ("c",)
    assert "c" not in set(result.suspects.label)
    assert not any("class-weight" in step for step in model.training.next_steps)
    curve = featx.learning_curve(features, "knn", groups=r"object_(\d+)")
    assert np.isfinite(curve.gain.value)


def test_of_two_groups_a_class_there_is_no_curve():
    features = objects(4, 6, labels=("a", "a", "b", "b"))
    model = featx.train(features, "logistic", groups=r"object_(\d+)", validation=True)
    assert not any("nan" in step for step in model.training.next_steps)


def test_a_class_of_one_group_beside_a_single_other_is_told_too():
    features = objects(5, 4, labels=("a", "a", "a", "a", "b"))
    result = featx.cross_validate(features, "logistic", groups=r"object_(\d+)")
    assert result.splits.notes[-1].startswith("all images of b are of one group")
    assert not result.hits[:, features.y == "b"].any()


def test_classes_of_one_group_each_cannot_be_judged():
    features = objects(3, 4, labels=("a", "b", "c"))
    with pytest.raises(ImageSourceError, match="expected at least two groups of a class"):
        featx.cross_validate(features, "knn", groups=r"object_(\d+)")


def test_copies_are_named_apart_from_groups():
    features = objects(6, 4)
    features.X[5] = features.X[0]  # of another object
    result = featx.cross_validate(features, "knn", groups=r"object_(\d+)")
    assert result.twins == ((features.paths[0], features.paths[5]),)
    assert len(np.unique(result.splits.groups)) == 5
    assert result.splits.grouping.n_groups == 6


class TestTestImagesOfGroupsThatWereTrainedOn:
    """Other pictures of an object that was learned are no test of new objects."""

    @pytest.fixture
    def halves(self):
        features = objects()
        seen = np.array([int(path[-6:-4].strip("_")) for path in features.paths]) < 8
        strange = np.array(["object_19" in path for path in features.paths])
        return features.select(seen & ~strange), features.select(~seen)

    def test_they_are_told_with_the_accuracy_without_them(self, halves):
        learned, test = halves
        with pytest.warns(ImageSourceWarning, match="are of groups that were trained on") as told:
            model = featx.train(learned, "knn", groups=r"object_(\d+)", test=test)
        found = model.training.test
        fair = found.without([path for path in found.paths if "object_19" not in path])
        assert len(told) == 1
        assert found.about_images == (
            "38 of 40 test images are of groups that were trained on (00, 01, 02, 03, 04, 05, 06, "
            f"07 and 11 more); accuracy without them: {fair.interval}",
        )
        assert found.about_images[0] in model.training.summary

    @pytest.mark.filterwarnings("error")
    def test_groups_of_the_training_images_alone_say_nothing(self, halves):
        learned, test = halves
        given = [path.rpartition("_")[0] for path in learned.paths]
        for groups in (given, np.array(given)):
            model = featx.train(learned, "knn", groups=groups, test=test)
            assert model.training.test.about_images == ()
