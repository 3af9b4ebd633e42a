"""Sees that files which a parent has loaded were changed since."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class LoadedFiles:
    """The times of files and folders.

    All loaded files of collections are watched. Of installed packages it is the folders that
    packages are installed into: installing anything changes them, and they are few.
    """

    times: dict[str, int]

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def of_this_process(cls) -> LoadedFiles:
        """Record what this process has imported."""
        paths = {path for path in sys.path if os.path.isdir(path)}
        own = os.path.dirname(os.path.realpath(__file__))
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name.startswith("ansible_collections."):
                paths.update(_paths_of_a_collection(name, list(getattr(module, "__path__", []))))
                if file:
                    paths.add(file)
            elif file and os.path.realpath(file).startswith(own):
                paths.add(file)
        return cls({path: _time(path) for path in sorted(paths)})

    def changed(self) -> str:
        """Return the first path whose time is another one now, empty where there is none."""
        return next((path for path, time in self.times.items() if _time(path) != time), "")


def _paths_of_a_collection(name: str, folders: list[str]) -> list[str]:
    """Return the folders and files that show new, removed and redirected plugins."""
    depth = name.count(".")
    if depth > 2:
        return folders
    return [os.path.join(folder, "meta", "runtime.yml") for folder in folders if depth == 2]


def _time(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
