"""The ranker: scores candidates from user × item features, trained on whole lists of several outcomes."""
