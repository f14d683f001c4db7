"""The batch executor: features as of any moment, as SQL over the lake."""
