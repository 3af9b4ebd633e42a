"""Logical backups: dump into an artifact, read it back, restore it and compare."""
