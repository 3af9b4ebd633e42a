"""The Kubernetes API as this collection uses it."""
