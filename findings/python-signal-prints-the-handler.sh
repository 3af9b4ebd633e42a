#!/usr/bin/env bash
# CPython 3.11.7, signal.signal (the machine's Python is taken, since PyPI has none). Expected of setting a handler: it
# costs the same whatever the handler before it is.
# Seen: the one before it is looked up among the members of an enum, and as it is none of them, the message of an error is
# made with its repr() and thrown away. So a method of a dataclass has all fields of its object printed whenever the
# handler is replaced, as a process that was just forked does.
# Here: the object whose methods are handlers has no repr or comparison of its own (image/warm_runner/parent.py).
set -euo pipefail
python3 - <<'PYTHON'
import platform
import signal
from dataclasses import dataclass, field

printed = 0


class Item:
    def __repr__(self):
        global printed
        printed += 1
        return "Item()"


@dataclass
class Server:
    items: list = field(default_factory=lambda: [Item() for _ in range(1000)])

    def stop(self, number, frame):
        """Would stop it."""


print("CPython", platform.python_version())
signal.signal(signal.SIGUSR1, Server().stop)
print("set over SIG_DFL: items printed:", printed)
signal.signal(signal.SIGUSR1, signal.SIG_DFL)
print("set over the method: items printed:", printed)
if printed != 1000:
    raise SystemExit("changed: the handler before it is not printed")
PYTHON
