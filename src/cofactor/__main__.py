"""``python -m cofactor`` is the ``cofactor`` program."""

from cofactor.cli import main

main()
