"""The ``tastemaker`` command: one file per group of sub-commands."""
