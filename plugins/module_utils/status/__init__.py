"""Pure functions from what was observed to what a resource's status says."""
