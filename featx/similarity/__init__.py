"""Similar pictures: which of many features are nearest to those of a picture."""
