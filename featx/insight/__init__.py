"""Insight: what a person looks at."""
