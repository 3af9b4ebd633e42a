"""The Kubernetes API as this collection uses it."""

from __future__ import annotations

import importlib.util

# Where the library is not, as in a Job's pod, that is found out before anything else is loaded. It
# is not loaded here: that takes longer than all that most reconciles ask.
if importlib.util.find_spec("kubernetes") is None:
    raise ModuleNotFoundError("the library kubernetes is not there", name="kubernetes")
