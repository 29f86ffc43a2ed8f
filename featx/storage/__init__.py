"""Objects at addresses: buckets of Amazon, Google and Azure, and web servers, by way of fsspec."""
