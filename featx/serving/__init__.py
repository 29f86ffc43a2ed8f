"""A model as an HTTP service, and the page to try it on."""
