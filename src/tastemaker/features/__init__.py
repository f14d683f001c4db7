"""Features: declared once in Feast's words, computed by one engine in batch and in stream, read as matrices."""
