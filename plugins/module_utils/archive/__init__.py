"""The archive of a Database's write-ahead log (WAL): its files in a store, and their names."""
