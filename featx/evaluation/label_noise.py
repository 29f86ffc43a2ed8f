"""Label noise: how probable it is that the label of an image is wrong."""

from __future__ import annotations

import numpy as np

_SHARPNESS = np.geomspace(0.25, 8, 25)  # powers that probabilities are taken to
_NOISE = np.append(0.0, np.geomspace(1e-3, 0.3, 24))  # shares of wrong labels
_SMALLEST = 1e-9  # probability that anything has
# A classifier is also wrong beyond its probabilities: in so much of the square of its error rate
# any class is as likely. Chosen on the training parts of the shared sets, clean and with planted
# labels (`python -m tests.benchmarks.label_noise`): without it a weak classifier on pixels accuses
# 2 of 100 right labels, with it none, and of the planted ones a good classifier finds as many.
_GROSS = 0.3


def wrong_label_probabilities(probabilities: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return how probable it is that each label is wrong.

    Each label is taken to be drawn from the probabilities of the classifier, to a power that makes
    them neither timid nor rash, or else, for an unknown share of the images, from all other
    classes alike. Both numbers are those under which the labels are the most probable. So a
    classifier that is often wrong, and knows it, accuses nobody: its mistakes are what its
    probabilities let expect, and the weaker it is, the more of them are put down to it. No label
    is taken for wrong where the share of wrong ones adds less to the log-likelihood than a further
    parameter must (Akaike).

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
    best, most, least = np.zeros(n), -np.inf, -np.inf
    for power in _SHARPNESS:
        share = _shares_of(own, power * logs)[:, None]
        drawn, other = share * (1 - _NOISE), (1 - share) * _NOISE / (n_classes - 1)
        likelihood = np.log(np.maximum(drawn + other, 1e-300)).sum(axis=0)
        at = int(likelihood.argmax())
        least = max(least, likelihood[0])
        if likelihood[at] > most:
            most = likelihood[at]
            best = other[:, at] / np.maximum(drawn[:, at] + other[:, at], 1e-300)
    return best if most - least > 1 else np.zeros(n)


def _shares_of(own: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Return the probability of each label, from logarithms that are not yet normalised."""
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    gross = _GROSS * (1 - shares.max(axis=1).mean()) ** 2
    return np.asarray((1 - gross) * shares[np.arange(len(own)), own] + gross / logs.shape[1])
