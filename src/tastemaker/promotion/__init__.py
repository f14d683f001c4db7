"""Promotion: the gate, its verdicts, releases and their lineage, and the champion in production."""
