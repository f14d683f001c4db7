"""The serving path: features out of the online store, straight into numpy matrices."""
