"""Where an artifact lies below the root of a store."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InvalidInput

_COMPONENT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Location:
    """``NAMESPACE/DATABASE/UID``: the names are Kubernetes', the UID is the Backup's.

    Raises:
        InvalidInput: a part is not a Kubernetes name, so it might lead out of the root.
    """

    namespace: str
    database: str
    uid: str

    def __post_init__(self) -> None:
        for field, value in (
            ("namespace", self.namespace),
            ("database", self.database),
            ("uid", self.uid),
        ):
            if not _COMPONENT.fullmatch(value) or ".." in value:
                raise InvalidInput(
                    f"{field} {value!r} cannot be part of a backup's location: use lower case"
                    " letters, digits, '-' and '.', as Kubernetes names do"
                )

    def __str__(self) -> str:
        return f"{self.namespace}/{self.database}/{self.uid}"
