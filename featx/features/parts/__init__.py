"""Features in parts: a folder of Parquet files with a manifest, read lazily."""
