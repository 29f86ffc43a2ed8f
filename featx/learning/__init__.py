"""What scikit-learn does with a feature matrix."""
