"""Models: what is trained, saved and shipped."""
