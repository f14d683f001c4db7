"""The whole of it: tuned candidate sources, and a ranker over what they offer."""
