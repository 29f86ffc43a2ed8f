"""`python -m featx`, the same as `featx`."""

from featx.cli.main import main

main()
