"""Prometheus and Alertmanager as parts of the local stack."""
