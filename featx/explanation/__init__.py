"""Why a model answers what it does: which parts of a picture speak for a class."""
