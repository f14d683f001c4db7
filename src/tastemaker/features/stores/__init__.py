"""Where online feature rows are kept: packed SQLite (default), packed Redis, and this process's memory."""
