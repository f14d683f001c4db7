"""Online stores: one protocol, and SQLite, Redis and memory behind it."""
