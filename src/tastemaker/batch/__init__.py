"""Lists for many users at once, into Parquet."""
