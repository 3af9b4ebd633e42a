"""A Restore: its status and its safety backup."""
