"""The cluster command: `python3 cluster up|down|status|load|...`."""

from __future__ import annotations

import sys

from cluster.cli import main

if __name__ == "__main__":
    sys.exit(main())
