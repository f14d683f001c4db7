"""Retrieval and ranking as models that are deployed alone, behind the protocol that the recommender speaks."""
