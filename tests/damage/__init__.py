"""Damage to files: what featx makes of them is right, or missing and said so, and they heal."""
