"""Label noise: how probable it is that the label of an image is wrong."""

from __future__ import annotations

import numpy as np

_POWERS = np.geomspace(0.02, 8, 36)  # that probabilities are taken to
_NOISE = np.append(0.0, np.geomspace(1e-3, 0.3, 24))  # shares of wrong labels
_PIECE = 1 << 20  # probabilities that are worked on at once
_SMALLEST = 1e-9  # probability that anything has


def wrong_label_probabilities(probabilities: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return how probable it is that each label is wrong.

    Each label is taken to be drawn from the probabilities of the classifier, to a power that makes
    them neither timid nor rash, or else, for an unknown share of the images, from all other
    classes alike. Both numbers are those under which the labels are the most probable. A classifier
    is also wrong whatever its probabilities: of its mistakes as great a share as it makes mistakes.
    So one that is often wrong accuses nobody. No label is taken for wrong where the share of wrong
    ones adds less to the log-likelihood than a further parameter must (Akaike).

    Chosen on the training parts of five sets, clean and with planted labels, by
    `python -m tests.benchmarks.label_noise`.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes), float
        Of classifiers that did not learn from the image.
    own : ndarray of shape (n,), int
        The column of each image's label.

    Returns
    -------
    ndarray of shape (n,), float
        From 0 to 1.
    """
    n, n_classes = probabilities.shape
    if n == 0 or n_classes < 2:
        return np.zeros(n)
    logs = np.log(np.maximum(probabilities, _SMALLEST))
    gross = float(np.mean(probabilities.argmax(axis=1) != own)) ** 2
    best, most, without = np.zeros(n), -np.inf, -np.inf
    for power in _POWERS:
        share = (1 - gross) * _shares_of(own, logs, power) + gross / n_classes
        drawn = share[:, None] * (1 - _NOISE)
        other = (1 - share[:, None]) * _NOISE / (n_classes - 1)
        likelihood = np.log(np.maximum(drawn + other, 1e-300)).sum(axis=0)
        at = int(likelihood.argmax())
        without = max(without, likelihood[0])
        if likelihood[at] > most:
            most = likelihood[at]
            best = other[:, at] / np.maximum(drawn[:, at] + other[:, at], 1e-300)
    return best if most - without > 1 else np.zeros(n)


def _shares_of(own: np.ndarray, logs: np.ndarray, power: float) -> np.ndarray:
    """Return the probability of each label to a power, from logarithms that are not normalised."""
    found = np.empty(len(own))
    step = max(1, _PIECE // logs.shape[1])
    for start in range(0, len(own), step):
        raised = power * logs[start : start + step]
        shares = np.exp(raised - raised.max(axis=1, keepdims=True))
        column = own[start : start + step]
        found[start : start + step] = shares[np.arange(len(column)), column] / shares.sum(axis=1)
    return found
