"""Security labels of what is in a database: entries of a dump, which need their provider.

A server that has not loaded the provider refuses the label, and one label would fail a restore.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ..units import first_of
from .selection import quote, short_name
from .table_of_contents import Entry

_KIND = "SECURITY LABEL"
# One statement a line, as pg_dump writes them. A line of a label's text may look the same: then
# there is one provider more that is not loaded, and the entry is left out.
_PROVIDER = re.compile(
    r'^SECURITY LABEL FOR (?:(?P<plain>[a-z_][a-z0-9_$]*)|"(?P<quoted>(?:[^"]|"")+)") ON ', re.M
)


@dataclass(frozen=True)
class Labels:
    """The entries of a dump that can be restored, and what is left out of it.

    Attributes:
        left_out: the objects whose labels are, as the dump names them.
        providers: of these labels, those that are not loaded.
    """

    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]
    providers: tuple[str, ...]

    @property
    def warning(self) -> str:
        """What is left out; empty where nothing is."""
        if not self.left_out:
            return ""
        return (
            f"security labels were not restored, since the server has not loaded their provider"
            f" ({first_of([quote(one) for one in self.providers])}):"
            f" {first_of([short_name(one) for one in self.left_out])}; load it"
            " (shared_preload_libraries) and restore again, or set them by hand"
        )


def find_providers(entries: Iterable[Entry]) -> set[str]:
    """The providers of all security labels among the entries of a dump."""
    return {name for entry in entries for name in _providers(entry)}


def leave_out_labels(entries: Sequence[Entry], missing: Collection[str]) -> Labels:
    """Leave out the labels of providers that the server has not loaded.

    An entry has all labels of one object: they are left out together.
    """
    left_out = [entry for entry in entries if _providers(entry) & set(missing)]
    return Labels(
        entries=tuple(entry for entry in entries if entry not in left_out),
        left_out=tuple(entry.name for entry in left_out),
        providers=tuple(sorted(find_providers(left_out) & set(missing))),
    )


def _providers(entry: Entry) -> set[str]:
    if entry.kind != _KIND:
        return set()
    return {
        match["plain"] or match["quoted"].replace('""', '"')
        for match in _PROVIDER.finditer(entry.definition)
    }
