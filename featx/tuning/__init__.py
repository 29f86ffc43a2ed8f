"""Tuning: the search for the best model in a given time."""
