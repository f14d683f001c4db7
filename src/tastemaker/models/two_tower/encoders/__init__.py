"""History encoders: packed histories to one query vector per position."""
