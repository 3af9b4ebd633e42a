"""Stores of backup artifacts: where files are, how they become durable. Knows no PostgreSQL."""
