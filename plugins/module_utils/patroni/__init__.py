"""What Patroni tells about a cluster through the Kubernetes API, and what it can be asked there."""
