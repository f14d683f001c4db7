"""The local stack: processes under a supervisor, their records and logs, and work done on a home directory."""
