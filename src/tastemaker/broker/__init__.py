"""The message broker: protocols, the Kafka adapter, its in-memory twin, and the local Kafka node."""
