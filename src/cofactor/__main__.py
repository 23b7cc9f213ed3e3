"""``python -m cofactor`` is the ``cofactor`` program."""

from cofactor.cli import main

if __name__ == "__main__":
    main()
