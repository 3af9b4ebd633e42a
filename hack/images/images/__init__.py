"""Builds the operator image with whatever container tool the machine has."""
