"""Runs all tests: what to run (plan), how to run it (runner), what came of it (results)."""
