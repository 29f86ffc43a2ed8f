"""A watch labels what comes into a folder once, and remembers it by its table alone."""

import os
import time

import fakes
import pytest

import featx
from featx.errors import ImageSourceError, ModelFileError, OptionError
from featx.models import watch as module
from featx.models.prediction_table import read_rows


@pytest.fixture
def model(photos, fake_engine):
    return featx.train(photos, classifier="knn")


@pytest.fixture
def inbox(tmp_path):
    return fakes.draw_folder(tmp_path / "inbox", each=2, start=100)


@pytest.fixture
def table(tmp_path):
    return tmp_path / "labels.csv"


@pytest.fixture
def between(monkeypatch):
    """Return a function that lets steps be done, one after each look, in place of waiting.

    After the last one the watch is interrupted.
    """

    def take(*steps):
        left = list(steps)

        def sleep(seconds):
            if seconds == 0:  # of the fake engine
                return
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(time, "sleep", sleep)

    return take


def wait():
    """Let nothing happen before the next look."""


def once(model, inbox, table, **options):
    return list(featx.watch(model, inbox, table, once=True, every=0.001, **options))


def watched(model, inbox, table, **options):
    """Watch until the steps are done; return the rows."""
    rows = []
    try:
        for row in featx.watch(model, inbox, table, **options):
            rows.append(row)
    except KeyboardInterrupt:
        return rows
    raise AssertionError("it ended by itself")


def names(rows):
    return [os.path.basename(row["path"]) for row in rows]


def test_the_rows_are_those_of_predictions_and_of_the_table(model, inbox, table, tmp_path):
    (inbox / "bad.jpg").write_text("no picture")
    rows = once(model, inbox, table)
    predictions = model.predictions(inbox, only_new=tmp_path / "none.csv")
    assert [row | {"outcome": ""} for row in rows] == [
        row | {"outcome": ""} for row in predictions.rows
    ]
    predictions.save(tmp_path / "other.csv")
    assert table.read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_what_is_in_the_table_is_not_labelled_again(model, inbox, table, fake_engine):
    assert len(once(model, inbox, table)) == 6
    fake_engine.opened.clear()
    assert once(model, inbox, table) == []
    assert fake_engine.opened == [], "no network is opened where nothing is new"
    fakes.draw(inbox / "new.png", (200, 40, 40))
    assert [(row["path"], row["label"]) for row in once(model, inbox, table)] == [
        (str(inbox / "new.png"), "red")
    ]
    assert len(read_rows(table)[1]) == 7


def test_tables_of_predict_and_of_a_watch_are_one(model, inbox, table):
    model.predictions(inbox / "red", only_new=table).save(table, add=True)
    assert {row["label"] for row in once(model, inbox, table)} == {"blue", "green"}
    assert model.predictions(inbox, only_new=table).rows == []


def test_what_comes_is_labelled_while_the_engine_stays_open(
    model, inbox, table, between, fake_engine
):
    between(
        wait,
        lambda: fakes.draw(inbox / "new.png", (40, 60, 200)),
        wait,
        lambda: (inbox / "new.png").rename(inbox / "renamed.png"),
        wait,
        lambda: (inbox / "renamed.png").unlink(),
        wait,
    )
    fake_engine.opened.clear()
    rows = watched(model, inbox, table)
    assert names(rows[6:]) == ["new.png", "renamed.png"]
    assert len(fake_engine.opened) == 1
    assert read_rows(table)[1][-1]["label"] == "blue"


def test_a_picture_that_is_half_there_is_tried_again_when_it_is_whole(model, inbox, table, between):
    whole = fakes.draw(inbox.parent / "whole.png", (200, 40, 40), size=(300, 300), seed=0)
    content = whole.read_bytes()
    half = inbox / "red" / "half.png"
    half.write_bytes(content[: len(content) // 2])
    between(wait, wait, lambda: half.write_bytes(content), wait)
    rows = [row for row in watched(model, inbox, table) if row["path"] == str(half)]
    assert [(row["label"], row["outcome"], bool(row["reason"])) for row in rows] == [
        (None, "failed", True),
        ("red", "embedded", False),
    ]
    assert once(model, inbox, table) == []


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_look(
    model, inbox, table, monkeypatch
):
    real, slow = module.read_file, str(inbox / "red" / "100.png")

    def read(path):
        content = real(path)
        if path == slow:
            os.utime(path, (5, 5))
        return content

    monkeypatch.setattr(module, "read_file", read)
    assert slow not in [row["path"] for row in once(model, inbox, table)]
    monkeypatch.undo()
    assert [row["path"] for row in once(model, inbox, table)] == [slow]


def test_a_file_that_is_still_written_is_left_for_the_next_run(model, inbox, table, between):
    growing = inbox / "growing.png"
    growing.write_bytes(b"1")
    between(lambda: growing.write_bytes(b"12"))
    watch = featx.watch(model, inbox, table, once=True)
    assert len(list(watch)) == 6
    assert watch.summary.splitlines() == [
        "6 pictures: 6 labelled (blue 2, green 2, red 2)",
        "left for the next run, since still being written: 1 file",
    ]


def test_what_the_system_refuses_is_tried_again_and_said_once(
    model, inbox, table, between, monkeypatch, caplog
):
    refused = str(inbox / "red" / "100.png")

    def read(path):
        if path == refused:
            raise PermissionError(13, "Permission denied")
        return real(path)

    real = module.read_file
    monkeypatch.setattr(module, "read_file", read)
    between(wait, wait, wait, lambda: monkeypatch.setattr(module, "read_file", real))
    rows = watched(model, inbox, table)
    assert rows[-1]["path"] == refused
    assert len(rows) == 6
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"1 file cannot be read, such as {refused} (Permission denied): tried again in the next "
        "look"
    ]


def test_a_folder_that_goes_is_waited_for_and_said_once(model, inbox, table, between, caplog):
    away = inbox.with_name("away")
    between(
        wait,
        lambda: inbox.rename(away),
        *[wait] * 3,
        lambda: away.rename(inbox),
        lambda: fakes.draw(inbox / "new.png", (40, 60, 200)),
        wait,
    )
    rows = watched(model, inbox, table)
    assert len(rows) == 7
    assert [record.getMessage() for record in caplog.records] == [
        f"'{inbox}' is not there: expected a folder; waiting for it",
        f"{inbox} can be listed again",
    ]


def test_a_table_that_is_replaced_meanwhile_is_added_to(model, inbox, table, between, caplog):
    def predict():
        fakes.draw(inbox / "other.png", (200, 40, 40))
        model.predictions(inbox / "other.png", only_new=table).save(table, add=True)

    between(wait, predict, wait, lambda: fakes.draw(inbox / "new.png", (40, 60, 200)), wait)
    assert names(watched(model, inbox, table)[6:]) == ["new.png"]
    assert names(read_rows(table)[1])[6:] == ["other.png", "new.png"]
    assert f"{table} was changed meanwhile: it is read again" in caplog.text


def test_many_pictures_are_labelled_some_at_a_time(model, inbox, table):
    fakes.draw_folder(inbox, each=30)
    sizes = []
    watch = featx.watch(model, inbox, table, once=True, every=0.001, batch_size=4)
    for predictions in watch.batches():
        sizes.append(len(predictions))
        assert len(read_rows(table)[1]) == sum(sizes), "what is given is in the table"
    assert max(sizes) == 8, "a batch for each of two streams"
    assert sum(sizes) == 96
    assert watch.tally.labels == {"blue": 32, "green": 32, "red": 32}


def test_an_empty_folder_makes_an_empty_table(model, tmp_path, table):
    (tmp_path / "empty").mkdir()
    assert once(model, tmp_path / "empty", table) == []
    assert read_rows(table)[0][:2] == ["path", "label"]


def test_unsure_answers_and_further_classes_are_in_the_rows(photos, inbox, table, fake_engine):
    model = featx.train(photos, reject=0.9)
    fakes.draw(inbox / "purple.png", (110, 60, 120))
    rows = once(model, inbox, table, top=2, probabilities=True)
    purple = next(row for row in rows if row["path"].endswith("purple.png"))
    assert purple["label"] is None
    assert {"best_guess", "top_2", "probability_red"} < purple.keys()
    assert once(model, inbox, table.with_name("all.csv"), answer_all=True)[4]["label"]


def test_a_watch_looks_less_often_where_a_look_takes_long(model, inbox, table, monkeypatch):
    slept, now = [], iter([0.0, 3.0, 10.0, 10.1])

    def sleep(seconds):
        slept.extend([seconds] if seconds else [])
        if len(slept) == 2:
            raise KeyboardInterrupt

    watch = featx.watch(model, inbox, table, every=2)
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        list(watch)
    assert slept == [27, 2]


def test_a_model_file_will_do(model, inbox, table, tmp_path):
    model.save(tmp_path / "m.featx")
    assert len(once(tmp_path / "m.featx", inbox, table)) == 6
    with pytest.raises(ModelFileError, match=r"none\.featx"):
        featx.watch(tmp_path / "none.featx", inbox, table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every 0: expected a number of seconds above 0"),
        ({"every": float("nan")}, "every nan"),
        ({"every": True}, "every True"),
        ({"top": 0}, "top 0"),
        ({"batch_size": 0}, "batch size 0"),
        ({"engine": "steam"}, "engine 'steam'"),
    ],
)
def test_options_that_cannot_be_are_refused_before_the_table_is_made(
    model, inbox, table, options, message
):
    with pytest.raises(OptionError, match=message):
        featx.watch(model, inbox, table, **options)
    assert not table.exists()


@pytest.mark.parametrize("what", ["missing", "file"])
def test_a_folder_that_is_none_is_refused(model, tmp_path, table, what):
    (tmp_path / "file").touch()
    found = {"missing": "does not exist", "file": "is no folder"}[what]
    with pytest.raises(ImageSourceError, match=f"{what}' {found}: expected a folder to watch"):
        featx.watch(model, tmp_path / what, table)


def test_a_table_of_another_model_is_refused(model, inbox, table, photos):
    once(model, inbox, table)
    content = table.read_bytes()
    with pytest.raises(OptionError, match=r"labels\.csv has no column best_guess: expected"):
        featx.watch(featx.train(photos, reject=0.9), inbox, table)
    for name in ("blue", "green", "red"):
        (photos / name).rename(photos / f"very {name}")
    with pytest.raises(OptionError, match=r"has the labels blue, green, red, and none of them is"):
        featx.watch(featx.train(photos), inbox, table)
    assert table.read_bytes() == content
    once(model, inbox, table)  # nobody holds it


def test_a_table_has_one_watch(model, inbox, table):
    with (
        featx.watch(model, inbox, table),
        pytest.raises(OptionError, match="another process is adding to"),
    ):
        featx.watch(model, inbox, table)
    featx.watch(model, inbox, table).close()
