"""A Backup: its place, its turn, its status and its deletion."""
