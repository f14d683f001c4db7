"""Content vectors of products, learned from the shop's own titles."""
