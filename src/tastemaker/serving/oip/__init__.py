"""The Open Inference Protocol, versions 1 and 2 over REST: what KServe and its clients speak."""
