"""make test: every test of the project, from nothing, on this machine."""

from __future__ import annotations

import sys

from harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
