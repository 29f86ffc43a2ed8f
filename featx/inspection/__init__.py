"""Inspection: what is wrong with a folder of images, before anything learns from it."""
