"""How sizes, durations, times and counts are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime


def format_duration(seconds: float) -> str:
    """Return a duration the way Kubernetes prints one: 45s, 2m5s, 1h2m5s.

    >>> format_duration(125.4)
    '2m5s'
    """
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"


def format_size(size: int) -> str:
    """Return a number of bytes with a binary unit.

    >>> format_size(1536)
    '1.5Ki'
    """
    value = float(size)
    for unit in ("", "Ki", "Mi", "Gi"):
        if value < 1024:
            return f"{value:.0f}{unit}" if not unit else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}Ti"


def format_time(moment: datetime) -> str:
    """Return the moment as the API writes it: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Read a time as the API writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def parse_duration(text: str) -> int:
    """Return the seconds of a whole number with d, h, m or s (the CRDs allow nothing else).

    >>> parse_duration("24h")
    86400
    """
    return int(text[:-1]) * {"d": 86400, "h": 3600, "m": 60, "s": 1}[text[-1]]


def plural(count: int, noun: str) -> str:
    """Return the count with its noun.

    >>> plural(1, "table"), plural(2, "table")
    ('1 table', '2 tables')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def join_warnings(*warnings: str | None) -> str:
    """Return several warnings as one; empty ones are left out.

    >>> join_warnings("a", None, "", "b")
    'a; b'
    """
    return "; ".join(filter(None, warnings))


def first_of(texts: Sequence[str], separator: str = ", ", limit: int = 5) -> str:
    """Return the first texts, and how many more there are: a message must stay short.

    >>> first_of("abc", limit=2), first_of("abc", "; ", limit=2)
    ('a, b and 1 more', 'a; b; and 1 more')
    """
    named, more = separator.join(texts[:limit]), len(texts) - limit
    return f"{named}{separator.strip(', ')} and {more} more" if more > 0 else named


_QUANTITY_UNITS = {
    "": 1,
    "m": 0.001,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "E": 10**18,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
    "Pi": 1 << 50,
    "Ei": 1 << 60,
}


def parse_quantity(text: str) -> int:
    """Return the whole number that a Kubernetes quantity stands for, such as bytes of memory.

    >>> parse_quantity("1.5Gi"), parse_quantity("2e9"), parse_quantity("500M")
    (1610612736, 2000000000, 500000000)

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"([0-9.]+(?:[eE][-+]?[0-9]+)?)([a-zA-Z]*)", text)
    if match is None or match[2] not in _QUANTITY_UNITS:
        raise ValueError(f"{text!r} is no quantity")
    return int(float(match[1]) * _QUANTITY_UNITS[match[2]])
