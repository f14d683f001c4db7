"""Re-rank: diversity, caps, business rules and exploration, on the candidates that the ranker has scored."""
