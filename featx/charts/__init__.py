"""Charts: pictures of what was measured."""
