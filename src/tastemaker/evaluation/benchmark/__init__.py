"""Any models on any data: tables in, one report out."""
