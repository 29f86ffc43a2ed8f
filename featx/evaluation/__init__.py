"""Evaluation: how good a classifier is on images that it was not trained on."""
