"""Feast's offline and online stores and its Ray engine, over the lake and the packed rows."""
