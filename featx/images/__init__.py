"""Images: found in a folder, recognised where unchanged, decoded to pixels."""
