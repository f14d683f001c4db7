"""Two-tower retrieval: a query tower over histories, an item tower over id and content, one inner product."""
