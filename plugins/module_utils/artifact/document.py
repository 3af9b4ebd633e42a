"""Documents of JSON that are read as hostile input, from dataclasses and back.

Anything that is not exactly what the dataclass has is refused: a key that is missing or unknown or
given twice, a value of another type, what no text in PostgreSQL can hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..errors import ChecksumMismatch

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

T = TypeVar("T")


def write_document(instance: Any) -> bytes:
    """Return a dataclass as UTF-8 JSON; keys in camelCase."""
    return json.dumps(_to_plain(asdict(instance)), ensure_ascii=False, indent=1).encode() + b"\n"


def read_document(content: bytes) -> Any:
    """Parse JSON in which no key is given twice.

    Raises:
        ChecksumMismatch
    """
    try:
        return json.loads(
            content.decode(), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise ChecksumMismatch(f"the manifest is not valid JSON: {error}") from None


def _to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel_case(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    return value


def _camel_case(name: str) -> str:
    """The JSON key of an attribute.

    >>> _camel_case("server_version_num")
    'serverVersionNum'
    """
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is given twice")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def to_dataclass(cls: type[T], value: Any, where: str) -> T:
    """Build a dataclass from a dict that has its keys, all of them and no others."""
    hints = get_type_hints(cls)
    names = {_camel_case(field.name): field.name for field in fields(cls)}  # type: ignore[arg-type]
    if not isinstance(value, dict) or set(value) != set(names):
        raise ChecksumMismatch(f"{where} must be an object with the keys {', '.join(names)}")
    return cls(
        **{name: _to_type(hints[name], value[key], f"{where}.{key}") for key, name in names.items()}
    )


def _to_type(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return to_dataclass(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ChecksumMismatch(f"{where} must be a list")
        item = get_args(hint)[0]
        return tuple(_to_type(item, entry, f"{where}[{at}]") for at, entry in enumerate(value))
    allowed = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    if value is not None and is_dataclass(allowed[0]):
        return to_dataclass(allowed[0], value, where)  # type: ignore[arg-type]
    # By type(), not isinstance(): JSON's true is no number.
    if type(value) not in allowed:
        expected = " or ".join("null" if one is NoneType else one.__name__ for one in allowed)
        raise ChecksumMismatch(f"{where} must be of type {expected}")
    if isinstance(value, str) and not _is_postgres_text(value):
        raise ChecksumMismatch(f"{where} holds what no name in PostgreSQL can")
    return value


def _is_postgres_text(text: str) -> bool:
    """No NUL, no lone surrogate (JSON can spell both)."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def is_time(text: str) -> bool:
    """Whether a text is RFC 3339 in UTC, to the second."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def require(condition: bool, what: str, value: object) -> None:
    """Refuse a value.

    Raises:
        ChecksumMismatch
    """
    if not condition:
        raise ChecksumMismatch(f"the manifest is damaged: {value!r} is not {what}")


def require_unique(what: str, entries: tuple[T, ...], key: Callable[[T], object]) -> None:
    """Refuse entries of which two have the same key.

    Raises:
        ChecksumMismatch
    """
    if len({key(entry) for entry in entries}) != len(entries):
        raise ChecksumMismatch(f"the manifest is damaged: it names a {what} twice")
