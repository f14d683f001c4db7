"""``python -m tastemaker.cli``: the command without the console script."""

from tastemaker.cli.app import main

main()
