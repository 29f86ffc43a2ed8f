"""Backbones: networks from pixels to vectors, their weights, and what runs them."""
