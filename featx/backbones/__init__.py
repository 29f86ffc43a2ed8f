"""From pixels to vectors: networks, their weights, and what runs them."""
