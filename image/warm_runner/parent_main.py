"""Starts a parent: python parent_main.py FOLDER KEY RUNNER LOCK LISTENER. Clients call it."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # This folder's modules are importable as parts of warm_runner only: a role may have its own.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    from warm_runner import parent

    sys.exit(parent.main(sys.argv[1:]))
