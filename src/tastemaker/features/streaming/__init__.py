"""The stream executor: batches of events to new rows of the online store."""
