"""Prefect flows, one per file. Their tasks call the package; schedules and approvals live in the Prefect UI."""
