"""Certificates: made for a Database, or given, and whether a server serves them."""
