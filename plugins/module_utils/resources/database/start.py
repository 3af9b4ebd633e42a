"""Which instances a StatefulSet starts: over volumes that were kept, the last primary first.

Patroni promotes the instance that starts first and is not known to lag. When a Database is created
again over kept volumes, or wakes, it is not known which one lags: a replica that started a second
earlier would be promoted, and the old primary's last transactions would be lost by pg_rewind. So
the last primary starts alone, and the others join it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .members import ordinal_of


@dataclass(frozen=True)
class Ordinals:
    """What a StatefulSet starts: `replicas` pods from number `start` on."""

    start: int
    replicas: int


def choose_ordinals(
    wanted: int, leader: str, last_primary: str, claims: Collection[str], has_served: bool
) -> Ordinals:
    """Return the pods that are to exist now.

    Args:
        wanted: how many instances the spec asks for.
        leader: the present leader; empty where there is none.
        last_primary: the leader of an earlier Database of this name; empty where none is known.
        claims: the names of the volumes' claims.
        has_served: whether this Database has had a running primary already.
    """
    kept = last_primary if f"data-{last_primary}" in claims else ""
    if not has_served and kept:
        return Ordinals(start=ordinal_of(kept), replicas=1)
    # A StatefulSet removes its highest ordinals first: a leader that is to go hands over before.
    # While there is none, the last one may be about to come back.
    stays = leader or kept
    return Ordinals(start=0, replicas=max(wanted, ordinal_of(stays) + 1) if stays else wanted)
