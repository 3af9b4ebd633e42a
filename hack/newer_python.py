"""Debian's Python of the image, for a machine whose own Python is older: prints its path.

    python3 hack/newer_python.py

Ansible needs a newer Python than Debian 12's. The image's is unpacked into the cache from Debian's
own packages, together with the C library that it was built for (images/unpacked.py).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "images"))

from images import unpacked
from images.debian import RELEASE, machine_sources
from images.steps import cache_folder, print_path
from images.unpacked import bind, unpack

# With the wheel of pip that Debian's ensurepip installs.
PACKAGE = "python3-venv"
WHEELS = "/usr/share/python-wheels/"


def provide() -> Path:
    """Return the path of the interpreter, made once for this recipe."""
    recipe = b"".join(Path(file).read_bytes() for file in (__file__, unpacked.__file__))
    digest = hashlib.sha256(recipe).hexdigest()[:12]
    tree = cache_folder().parent / f"python-{RELEASE}-{digest}"
    # The ELF header names the folder, so it is made under its own name, and this link comes last.
    finished = tree / "python"
    if not finished.exists():
        shutil.rmtree(tree, ignore_errors=True)
        unpack(tree, machine_sources(), PACKAGE)
        finished.symlink_to(bind_interpreter(tree))
    # An environment looks for the library next to the file itself.
    return finished.resolve()


def bind_interpreter(tree: Path) -> Path:
    """Bind the interpreter to the tree, and return its path."""
    interpreter = (tree / "usr/bin/python3").resolve()
    bind(interpreter, tree)
    for settings in interpreter.parents[1].glob("lib/python3.*/_sysconfigdata*.py"):
        settings.write_text(settings.read_text().replace(f"'{WHEELS}'", f"'{tree}{WHEELS}'"))
    return interpreter


def main() -> int:
    """Print the path; returns the exit code."""
    return print_path(provide, f"newer Python for {os.uname().nodename}")


if __name__ == "__main__":
    sys.exit(main())
