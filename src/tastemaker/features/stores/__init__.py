"""Online stores: one protocol, and SQLite, Redis and memory behind it.

Read ``protocol`` first, then one store from the top down; the three are built alike.

- ``opening`` makes a store from its location; ``claims`` fences writers; ``view_ages`` says which views are complete.
- ``memory``, ``sqlite``, ``redis``: the store, which begins transactions. ``*_transaction`` writes, ``*_reader`` reads.
- Below them: ``memory_data``; ``sqlite_file`` (tables), ``sqlite_rows``, ``sqlite_changes`` (what changed),
  ``sqlite_seen`` (event ids), ``sqlite_checkpoint``; ``redis_link`` (the connection), ``redis_keys`` (names and
  packing), ``redis_scripts`` (Lua), ``redis_rows``, ``redis_buffer`` (pending writes), ``redis_log`` (what changed),
  ``redis_seen`` (event ids), ``redis_nodes`` (a cluster's pipeline), ``redis_states`` (raw reads).
"""
