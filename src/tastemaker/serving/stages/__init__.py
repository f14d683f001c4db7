"""The stages of a list, one per file: plain functions from a frozen input to a frozen output."""
