"""The history of a network shows loss and accuracy by epoch, and where over-fitting begins."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from featx.charts.history import plot_history
from featx.errors import OptionError


def history(epochs=30, held_out=True):
    """Draw a network that learns its pictures by heart from epoch 11 on."""
    epoch = np.arange(1, epochs + 1)
    frame = pd.DataFrame({"loss": 2 / epoch, "accuracy": 1 - 0.9 / epoch}, index=epoch)
    if held_out:
        frame["val_loss"] = 1 + 0.01 * (epoch - 11.0) ** 2
        frame["val_accuracy"] = 0.5 - 0.2 / epoch
    return frame


def drawn(ax) -> dict[str, np.ndarray]:
    """The curves by the name at their end."""
    ends = {text.get_text(): text.xy for text in ax.texts}
    curves = [line.get_xydata() for line in ax.lines if len(line.get_xdata()) > 2]
    return {
        name: curve for name, xy in ends.items() for curve in curves if np.allclose(curve[-1], xy)
    }


def test_both_curves_of_both_measures_are_drawn_and_named():
    frame = history()
    loss, accuracy = plot_history(frame)
    assert drawn(loss)["training"][:, 1] == pytest.approx(frame.loss)
    assert drawn(loss)["held out"][:, 1] == pytest.approx(frame.val_loss)
    assert drawn(accuracy)["training"][:, 1] == pytest.approx(100 * frame.accuracy)
    assert drawn(accuracy)["held out"][:, 1] == pytest.approx(100 * frame.val_accuracy)
    assert drawn(loss)["training"][:, 0].tolist() == list(range(1, 31))


def test_a_line_stands_at_the_epoch_that_was_taken():
    axes = plot_history(history())
    for ax in axes:
        assert [list(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2] == [
            [11, 11]
        ]
    assert "taken: epoch 11" in [text.get_text() for text in axes[0].texts]


def test_without_pictures_held_out_there_is_one_curve():
    loss, accuracy = plot_history(history(held_out=False))
    assert [*drawn(loss), *drawn(accuracy)] == ["training", "training"]


def test_a_model_is_drawn_by_its_history_into_given_axes():
    axes = Figure().subplots(2, 1)
    returned = plot_history(SimpleNamespace(history=history()), axes)
    assert list(returned) == list(axes)
    assert len(drawn(axes[1])) == 2


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_history_of_an_epoch_or_two_can_be_drawn_and_saved(epochs, tmp_path):
    axes = plot_history(history(epochs))
    axes[0].figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 5_000


@pytest.mark.parametrize("source", [SimpleNamespace(), pd.DataFrame({"label": ["a"]})])
def test_what_has_no_history_is_told(source):
    with pytest.raises(OptionError, match=r"has no history: expected a model .* as 'cnn'"):
        plot_history(source)


def test_one_axes_is_too_few():
    with pytest.raises(OptionError, match="1 axes: expected two"):
        plot_history(history(), Figure().subplots())
