"""The feature matrix: what makes it, where it is kept, what it holds."""
