"""Has Ansible load collections from compiled files.

Ansible compiles every Python file of a collection anew in every process. The agent's tree cannot
be written where it is used, and its files are compiled when the image is built: so they never are
older than the sources beside them.
"""

from __future__ import annotations

from importlib.machinery import SourcelessFileLoader
from importlib.util import cache_from_source
from types import CodeType
from typing import Any


def read(name: str, source: str) -> CodeType | None:
    """Return the code that was compiled from a source file; None where there is none for us."""
    try:
        return SourcelessFileLoader(name, cache_from_source(source)).get_code(name)
    except (OSError, ImportError, EOFError):
        return None


def install(loader: Any) -> None:
    """Have Ansible's loader of collections, a class, look for compiled files first."""
    compile_source = loader.get_code

    def get_code(self: Any, fullname: str) -> CodeType | None:
        source = self._source_code_path
        if self._compiled_code is None and source:
            self._compiled_code = read(fullname, source)
        code: CodeType | None = compile_source(self, fullname)
        return code

    loader.get_code = get_code
