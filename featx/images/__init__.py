"""From a folder of files to pixels: find images, recognise unchanged ones, decode them."""
