"""Evidence about features: why a value is what it is, skew on live traffic, leaks into training."""
