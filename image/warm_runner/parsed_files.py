"""Has the YAML of collections' roles parsed before a run asks for it.

Parsing is a third of what a small role costs, copying the result as much again. A document that was
parsed by the parent is handed out once, to the first that asks for a file of the same name and the
same text: the process of a run is its own copy, so that no other has the document. Who asks
again gets it as ever.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDERS = ("defaults", "handlers", "meta", "tasks", "vars")
SUFFIXES = (".yml", ".yaml")

Documents = dict[tuple[str, str, bool], Any]


def parse(collections: Sequence[str]) -> Documents:
    """Return the documents of all roles of these collections, by path, text and trust."""
    dataloader: Any = importlib.import_module("ansible.parsing.dataloader")
    tags: Any = importlib.import_module("ansible._internal._datatag._tags")
    loader = dataloader.DataLoader()
    documents: Documents = {}
    for path in _files(collections):
        # Ansible reads a role's own files as templates, and its meta data both ways.
        for trusted in (True, False) if path.parent.name == "meta" else (True,):
            text = loader.get_text_file_contents(str(path))
            data = tags.TrustedAsTemplate().tag(text) if trusted else text
            try:
                documents[(str(path), str(text), trusted)] = loader.load(data, str(path))
            except Exception:
                break
    return documents


def _files(collections: Sequence[str]) -> Iterator[Path]:
    for name in collections:
        package = importlib.import_module(f"ansible_collections.{name}")
        for folder in package.__path__:
            # Ansible names a role's files by their real path.
            for role in sorted(Path(folder, "roles").resolve().glob("*")):
                for part in FOLDERS:
                    for path in sorted((role / part).rglob("*")):
                        if path.suffix in SUFFIXES and path.is_file():
                            yield path


def hand_out(documents: Documents) -> None:
    """Have this process take the documents where it would parse those files."""
    dataloader: Any = importlib.import_module("ansible.parsing.dataloader")
    tags: Any = importlib.import_module("ansible._internal._datatag._tags")
    ordinary = dataloader.DataLoader.load_from_file
    loader_class = dataloader.DataLoader

    def load_from_file(
        self: Any,
        file_name: str,
        cache: str = "all",
        unsafe: bool = False,
        json_only: bool = False,
        trusted_as_template: bool = False,
    ) -> Any:
        path = self.path_dwim(file_name)
        if not json_only and path not in self._FILE_CACHE:
            text = self.get_text_file_contents(path)
            key = (path, str(text), trusted_as_template)
            if key in documents and not tags.SourceWasEncrypted.is_tagged_on(text):
                return documents.pop(key)
        return ordinary(self, file_name, cache, unsafe, json_only, trusted_as_template)

    loader_class.load_from_file = load_from_file
