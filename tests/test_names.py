"""What Python and notebooks show of results is text, whatever files and classes are called."""

import warnings

import fakes
import pytest

import featx
from featx.progress import progress_bar

CLASSES = ("\x1b[2Jred\x07", "green\u202e\ngnp", "blue\x9b31m\u2066")


@pytest.fixture
def photos(tmp_path, fake_engine):
    root = tmp_path / "\x1bphotos"
    for number, name in enumerate(CLASSES):
        color = [0, 0, 0]
        color[number] = 200
        for row in range(5):
            fakes.draw(root / name / f"\x1b{row}\u200f\n.png", (*color[:2], color[2] + row))
        (root / name / "bad\x1b\n.png").write_text("no picture")
    return root


def test_results_show_names_that_drive_no_terminal_and_add_no_line(photos):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = featx.train(photos, "knn", validation=True, test=photos, cache=False)
        comparison = featx.compare(
            model.training.features, classifiers=["knn", "centroid"], progress=False
        )
    training = model.training
    predictions = model.predictions(photos, cache=False)
    results = [training.features, model, training, training.validation, training.test, comparison]
    shown = [str(each.message) for each in caught]
    for result in [*results, predictions, training.features.recipe]:
        shown += [repr(result), getattr(result, "summary", ""), *getattr(result, "notes", ())]
        shown.append(getattr(result, "_repr_html_", str)())
    shown += [cell for row in predictions.cells for cell in row]
    shown += [outcome.failure for outcome in training.features.failed]
    for text in shown:
        assert not fakes.DRIVES_A_TERMINAL.search(text), text
        assert "\ngnp" not in text
    assert any(r"\x1b[2Jred\x07" in text for text in shown)
    assert any(r"bad\x1b\n.png: not an image" in text for text in shown)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_its_name_as_text(terminal, capsys, monkeypatch):
    monkeypatch.setattr("featx.progress.LINE_SECONDS", 0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    with progress_bar("net\x1b[2J\n", 1, "images", shown=True) as bar:
        bar.delay = 0
        bar.update()
    err = capsys.readouterr().err
    assert r"net\x1b[2J\n: 1" in err
    assert not fakes.DRIVES_A_TERMINAL.search(err.replace("\r", ""))
