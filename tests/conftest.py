import atexit
import os

# Let pytest's summary be the last lines: DuckDB's binding reports leaked types on stderr when the interpreter ends.
atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
