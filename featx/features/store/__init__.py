"""The cache on disk: vectors by content and recipe."""
