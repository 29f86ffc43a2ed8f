"""Export: a network and the pipeline behind it as one file for another runtime."""
