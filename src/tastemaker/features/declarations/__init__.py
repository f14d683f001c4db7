"""Compile Feast's objects, as a feature repository declares them, to the feature plan."""
