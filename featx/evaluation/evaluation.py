"""The evaluation of a classifier on labelled images that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.evaluation.balance import Balance
from featx.evaluation.intervals import Estimate, accuracy_interval, effective_size
from featx.evaluation.label_noise import wrong_label_probabilities
from featx.features.duplicates import Contradiction, notes_on
from featx.images.decode import Outcome
from featx.images.labels import Label
from featx.learning.classes import resemblance
from featx.paths import shortener
from featx.text import count, listed, percent, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from featx.charts.overlay import Answer

UNFAMILIAR_SHARE = 0.05  # of images like those of training


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions on labelled images, and what they amount to.

    Attributes
    ----------
    paths : ndarray of shape (n,), object
        The images that could be read.
    y_true, y_pred : ndarray of shape (n,)
        Their classes, and the predicted ones.
    classes : tuple of str, int or bool
        The classes of the classifier and of the images, sorted.
    failed : tuple of Outcome
        The files that could not be read; they count nowhere.
    probabilities : ndarray of shape (n, n_classes), float, or None
        Columns in the order of `classes`; None where the classifier gives none.
    answered : ndarray of shape (n,), bool, or None
        Which images the model answers; the others it is unsure of, and `y_pred` is its best guess.
        None where it answers all.
    unfamiliar : ndarray of shape (n,), bool, or None
        Which images are unlike the training images; None where the model does not tell.
    target : float or None
        The precision that was asked of its answers, 0 to 1.
    leaks : mapping of str to str
        Images that are copies of training images, each with the path of that one.
    contradictions : tuple of tuple of (str, str)
        Pictures that lie in several classes: path and class of each copy.
    known : tuple of (str, int or bool), or None
        The classes that the classifier knows; None where it knows all.
    about_images : tuple of str
        What a reader should know of the images, a line each; see `Features.notes`.
    explanations : mapping of str to tuple of Explanation
        Mistakes that `featx.explain_mistakes` explained: of each, what spoke for the predicted
        class, and what for the true one.
    """

    paths: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    classes: tuple[Label, ...]
    failed: tuple[Outcome, ...] = ()
    probabilities: np.ndarray | None = None
    answered: np.ndarray | None = None
    unfamiliar: np.ndarray | None = None
    target: float | None = None
    leaks: Mapping[str, str] = field(default_factory=dict, repr=False)
    contradictions: tuple[Contradiction, ...] = ()
    known: tuple[Label, ...] | None = None
    about_images: tuple[str, ...] = ()
    explanations: Mapping[str, tuple[Answer, ...]] = field(default_factory=dict, repr=False)

    @property
    def n_failed(self) -> int:
        """The number of files that could not be read."""
        return len(self.failed)

    @property
    def predictions(self) -> np.ndarray:
        """Every prediction, of shape (repeats, n): one repeat, unless cross-validated."""
        return self.y_pred[None]

    @property
    def hits(self) -> np.ndarray:
        """Which predictions are right, of shape (repeats, n)."""
        return np.asarray(self.predictions == self.y_true)

    @property
    def accuracy(self) -> float:
        """Share of the predictions that are right, 0 to 1."""
        return float(np.mean(self.hits))

    @property
    def size(self) -> float:
        """How many independent images the accuracy stands on."""
        return effective_size(np.arange(len(self.y_true)))

    @property
    def interval(self) -> Estimate:
        """The accuracy with its 95 % interval, by Wilson's method."""
        return accuracy_interval(self.accuracy, self.size)

    @property
    def balance(self) -> Balance:
        """Balanced accuracy and the class that does worst; told where sizes of classes differ."""
        return Balance.of(self.y_true, self.hits, self.size)

    @property
    def about_balance(self) -> list[str]:
        """What the accuracy hides of classes of unequal size, in a line or none."""
        note = self.balance.note
        return [note] if note else []

    @property
    def coverage(self) -> Estimate:
        """Share of the images that the model answers, with its 95 % interval."""
        share = 1.0 if self.answered is None else float(np.mean(self.answered))
        return accuracy_interval(share, self.size)

    @property
    def precision(self) -> Estimate:
        """Share of right ones among its answers, with its 95 % interval; NaN without answers."""
        if self.answered is None:
            return self.interval
        share = float(np.mean(self.answered))
        if share == 0:
            return Estimate(math.nan, 0.0, 1.0)
        right = float(np.mean(self.hits[:, self.answered]))
        return accuracy_interval(right, share * self.size)

    @property
    def by_class(self) -> pd.DataFrame:
        """Precision, recall and F1 (0 to 1) and support (images) of each class."""
        import pandas as pd
        from sklearn.metrics import precision_recall_fscore_support

        *columns, support = precision_recall_fscore_support(
            np.tile(self.y_true, len(self.predictions)),
            self.predictions.ravel(),
            labels=list(self.classes),
            zero_division=0,
        )
        names = ["precision", "recall", "f1", "support"]
        columns.append(support // len(self.predictions))
        return pd.DataFrame(dict(zip(names, columns, strict=True)), index=self._index("class"))

    @property
    def counts(self) -> np.ndarray:
        """Images of each true class (rows) that are predicted as each class (columns).

        Of shape (n_classes, n_classes), float; after several repeats, the mean count of a repeat.
        """
        classes, predicted = np.array(self.classes), self.predictions
        own = np.broadcast_to(np.searchsorted(classes, self.y_true), predicted.shape)
        counts = np.zeros((len(classes), len(classes)))
        np.add.at(counts, (own, np.searchsorted(classes, predicted)), 1)
        return counts / len(predicted)

    @property
    def confusion(self) -> pd.DataFrame:
        """The `counts` as a table: a row for each true class, a column for each predicted one."""
        import pandas as pd

        counts = self.counts
        return pd.DataFrame(
            counts.astype(int) if len(self.predictions) == 1 else counts,
            index=self._index("true"),
            columns=self._index("predicted"),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per image.

        Columns are `path`, `true`, `predicted`, `probability` (of the predicted class, NaN where
        there is none) and `wrong` (share of the repeats in which it was wrong, 0 to 1).
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "path": _as_objects(self.paths),
                "true": _as_objects(self.y_true),
                "predicted": _as_objects(self.y_pred),
                "probability": self.certainty,
                "wrong": 1 - self.hits.mean(axis=0),
            }
        )

    @property
    def mistakes(self) -> pd.DataFrame:
        """The rows of `to_frame` that are wrong, the most constant and surest mistakes first."""
        frame = self.to_frame()
        wrong = frame[frame.true != frame.predicted]
        return wrong.sort_values(
            ["wrong", "probability"], ascending=False, kind="stable", ignore_index=True
        )

    @property
    def suspects(self) -> pd.DataFrame:
        """Images whose label is more probably wrong than right, the surest first.

        Columns are `path`, `label`, `looks_like`, `probability` (of what it looks like),
        `probability_of_label`, both of the classifier, and `probability_wrong` (that the label is
        wrong, 0 to 1; the sum says how many of the listed are). What a classifier confuses by
        itself accuses no label; see `featx.evaluation.label_noise`. Empty where the classifier
        gives no probabilities.
        """
        import pandas as pd

        rows, wrong, columns = self._doubted()
        if not len(rows):
            names = ["path", "label", "looks_like"]
            shares = ["probability", "probability_of_label", "probability_wrong"]
            return pd.DataFrame(columns=[*names, *shares])
        assert self.probabilities is not None
        shares, classes = self.probabilities[rows], np.array(self.classes)
        at = np.arange(len(rows))
        others = shares.copy()
        others[at, columns] = -1.0
        looks = others.argmax(axis=1)
        return pd.DataFrame(
            {
                "path": _as_objects(self.paths[rows]),
                "label": _as_objects(self.y_true[rows]),
                "looks_like": _as_objects(classes[looks]),
                "probability": shares[at, looks],
                "probability_of_label": shares[at, columns],
                "probability_wrong": wrong,
            }
        )

    @property
    def unlearned(self) -> tuple[Label, ...]:
        """Classes that the classifier could not learn, so that it says nothing of their labels."""
        return self.unknown

    def _doubted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows of `suspects`, how probably they are wrong, and their labels' columns."""
        known = np.flatnonzero(~np.isin(self.y_true, self.unlearned))
        own = np.searchsorted(np.array(self.classes), self.y_true[known])
        if self.probabilities is None or not len(known):
            return np.zeros(0, int), np.zeros(0), np.zeros(0, int)
        learned = [name not in self.unlearned for name in self.classes]
        places = np.cumsum(learned) - 1
        shares = self.probabilities[np.ix_(known, np.flatnonzero(learned))]
        wrong = wrong_label_probabilities(shares, places[own])
        found = np.flatnonzero(wrong > 0.5)
        found = found[np.argsort(-wrong[found], kind="stable")]
        return known[found], wrong[found], own[found]

    @property
    def certainty(self) -> np.ndarray:
        """Probability of each predicted class, of shape (n,); NaN where there is none."""
        if self.probabilities is None:
            return np.full(len(self.y_true), np.nan)
        columns = np.searchsorted(np.array(self.classes), self.y_pred)
        return self.probabilities[np.arange(len(columns)), columns]

    def without(self, paths: Collection[str]) -> Evaluation | None:
        """Return the evaluation of the other images.

        Parameters
        ----------
        paths : collection of str
            Images to leave out.

        Returns
        -------
        Evaluation, or None
            None where no image is left.
        """
        return self._kept(np.array([path not in paths for path in self.paths]))

    def _kept(self, keep: np.ndarray) -> Evaluation | None:
        """Return the evaluation of some images, None of none."""
        if not keep.any():
            return None
        shares = self.probabilities
        return Evaluation(
            paths=self.paths[keep],
            y_true=self.y_true[keep],
            y_pred=self.y_pred[keep],
            classes=self.classes,
            failed=self.failed,
            probabilities=None if shares is None else shares[keep],
            answered=None if self.answered is None else self.answered[keep],
            unfamiliar=None if self.unfamiliar is None else self.unfamiliar[keep],
            target=self.target,
        )

    @property
    def unknown(self) -> tuple[Label, ...]:
        """Classes of the images that the classifier does not know: these count as wrong."""
        if self.known is None:
            return ()
        return tuple(sorted(set(self.y_true.tolist()) - set(self.known)))

    @property
    def without_unknown(self) -> Evaluation | None:
        """The evaluation of the images of classes that the classifier knows; None if none is."""
        return self._kept(~np.isin(self.y_true, self.unknown)) if self.unknown else self

    @property
    def without_leaks(self) -> Evaluation | None:
        """The evaluation of the images that are no copies of training images; None if all are."""
        return self.without(self.leaks) if self.leaks else self

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know beside the accuracy, a line each."""
        return (
            *self.about_images,
            *self.about_unknown,
            *self._about_answers(),
            *self.about_balance,
            *self._about_unfamiliar(),
            *self._about_leaks(),
            *notes_on(self.contradictions),
        )

    @property
    def about_unknown(self) -> list[str]:
        """Name the classes that the classifier does not know, and the accuracy without them."""
        unknown, fair = [str(name) for name in self.unknown], self.without_unknown
        if not unknown:
            return []
        n = len(self.y_true) - (len(fair.y_true) if fair else 0)
        named = count(len(unknown), "class").removeprefix("1 ")
        line = (
            f"the model does not know the {named} {listed(unknown)}, of {n} of "
            f"{count(len(self.y_true), 'image')}, which count as wrong"
        )
        rest = f"; accuracy without them: {fair.interval}" if fair else ""
        return [line + rest + resemblance(unknown, [str(name) for name in self.known or ()])]

    @property
    def n_unfamiliar(self) -> int:
        """The number of images that are unlike the training images, where the model tells."""
        return 0 if self.unfamiliar is None else int(self.unfamiliar.sum())

    def _about_unfamiliar(self) -> list[str]:
        """Judge the others where more images are unfamiliar than chance makes so."""
        share = self.n_unfamiliar / len(self.y_true)
        if self.unfamiliar is None or accuracy_interval(share, self.size).low <= UNFAMILIAR_SHARE:
            return []
        line = (
            f"unfamiliar, unlike the training images: {self.n_unfamiliar} of "
            f"{count(len(self.y_true), 'image')} ({percent(share, 0)}, where of images "
            f"like those {percent(UNFAMILIAR_SHARE, 0)} are)"
        )
        others = self._kept(~self.unfamiliar)
        return [line + (f"; accuracy of the others: {others.interval}" if others else "")]

    def _about_answers(self) -> list[str]:
        """Say how many images a model that rejects has answered, and how many of these right."""
        if self.answered is None:
            return []
        share = f"coverage {self.coverage}"
        answers = int(self.answered.sum())
        if not answers:
            return [f"it answers none of these images: {share}"]
        of = count(len(self.y_true), "image")
        line = f"precision of its answers {self.precision}: {answers} of {of}, {share}"
        if self.target is not None and self.precision.high < self.target:
            line += (
                f"; less than the {self.target:g} asked for: these are not like the training images"
            )
        return [line]

    def _about_leaks(self) -> list[str]:
        """Name images that are copies of training images, and give the accuracy without them."""
        if not self.leaks:
            return []
        short = shortener([*self.leaks, *self.leaks.values()])
        pairs = [f"{short(copy)} is {short(original)}" for copy, original in self.leaks.items()]
        named = listed(pairs, 6)
        of = count(len(self.y_true), "test image")
        known = f"{len(self.leaks)} of {of} are copies of training images"
        fair = self.without_leaks
        if fair is None:
            return [
                f"{known}, so that accuracy says nothing; trust the cross-validated one: {named}"
            ]
        return [f"{known}; accuracy without them: {fair.interval} ({named})"]

    @property
    def summary(self) -> str:
        """The accuracy and the notes, a line each."""
        right = int(np.sum(self.y_true == self.y_pred))
        failed = f", {count(self.n_failed, 'file')} not readable" if self.failed else ""
        of = count(len(self.y_true), "image")
        strange = f", {self.n_unfamiliar:,} unfamiliar" if self.n_unfamiliar else ""
        told = f"accuracy {self.interval}: {right} of {of} right{failed}{strange}"
        return "\n".join([told, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        fair, known = self.without_leaks, self.without_unknown
        shares = self.interval.to_dict("accuracy")
        if self.answered is not None:
            shares |= self.coverage.to_dict("coverage") | self.precision.to_dict("precision")
        return {
            **shares,
            **self.balance.to_dict(),
            "n_images": len(self.y_true),
            "n_failed": self.n_failed,
            "n_unfamiliar": None if self.unfamiliar is None else self.n_unfamiliar,
            "failed": [{"path": each.path, "reason": each.reason} for each in self.failed],
            "leaks": dict(self.leaks),
            "accuracy_without_leaks": fair.accuracy if fair else None,
            "unknown_classes": list(self.unknown),
            "accuracy_without_unknown": known.accuracy if known else None,
            "contradictions": [
                [{"path": path, "class": label} for path, label in each]
                for each in self.contradictions
            ],
            "notes": list(self.notes),
            "classes": [
                {"class": name, **row} for name, row in self.by_class.to_dict("index").items()
            ],
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the confusion matrix; see `featx.plot_confusion`."""
        from featx.charts.confusion import plot_confusion

        return plot_confusion(self, ax)

    def gallery(self, *, mistakes: bool = False, columns: int | None = None) -> Figure:
        """Draw the images with their predictions, mistakes first; see `featx.plot_gallery`.

        Parameters
        ----------
        mistakes : bool, default=False
            Only the mistakes.
        columns : int, optional
            Pictures in a row.

        Raises
        ------
        OptionError
            There is nothing to draw: no mistake was made.
        """
        from featx.charts.gallery import plot_gallery

        right = self.y_true == self.y_pred
        order = np.lexsort((-np.nan_to_num(self.certainty), right))
        order = order[: int(np.sum(~right))] if mistakes else order
        return plot_gallery(
            self.paths[order].tolist(),
            self.y_pred[order].tolist(),
            true=self.y_true[order].tolist(),
            probabilities=self.certainty[order].tolist(),
            answered=None if self.answered is None else self.answered[order].tolist(),
            unfamiliar=None if self.unfamiliar is None else self.unfamiliar[order].tolist(),
            columns=columns,
        )

    def _index(self, name: str) -> pd.Index:
        import pandas as pd

        return pd.Index(self.classes, name=name, dtype=object)

    def __repr__(self) -> str:
        right = int(np.sum(self.y_true == self.y_pred))
        return f"Evaluation(accuracy {self.accuracy:.3f}, {right} of {len(self.y_true)} right)"

    def _repr_html_(self) -> str:
        table = self.by_class.rename(index=printable).to_html(float_format="{:.2f}".format)
        balance = "".join(f"<p>{escape(printable(line))}</p>" for line in self.about_balance)
        images = f"{len(self.y_true):,} images"
        return f"<p><b>accuracy {self.interval}</b>, {images}</p>{balance}{table}"


def _as_objects(values: np.ndarray) -> pd.Series:
    """Return a column of texts as they are: names of files need not be Unicode."""
    import pandas as pd

    return pd.Series(np.asarray(values, dtype=object), dtype=object)
