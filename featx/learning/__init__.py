"""Learning: what scikit-learn does with a feature matrix."""
