"""The Kubernetes API as this collection uses it."""

# Where the library is not, as in a Job's pod, that is found out before anything else is loaded.
import kubernetes  # noqa: F401
