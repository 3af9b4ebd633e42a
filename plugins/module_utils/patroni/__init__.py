"""Patroni's state of a cluster in the Kubernetes API, and requests to Patroni there."""
