"""The commands of kubectl postgres, a module for each group that belongs together."""
