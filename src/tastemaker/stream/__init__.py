"""Events on their way: the HTTP collector in front of Kafka, the worker behind it, backfill and replay."""
