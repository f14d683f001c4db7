"""Training: from the lake and point-in-time features to a release directory that serving loads."""
