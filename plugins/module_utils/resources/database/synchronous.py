"""Synchronous replication: what Patroni is asked for, and what comes of it.

Patroni writes `synchronous_standby_names` itself, by its dynamic configuration. Pure functions;
`synchronous_state.py` reads what it has made of that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...units import plural
from ..conditions import Condition

SYNCHRONOUS = "synchronous replication"
"""The name under which the mode is written and put back together with the parameters: none of
PostgreSQL's parameters has a blank in its name."""

CONDITION = "SynchronousReplication"

OFF = "off"
PREFERRED = "preferred"
REQUIRED = "required"
QUORUM = "quorum"

MODE = "synchronous_mode"
_STRICT = "synchronous_mode_strict"
_COUNT = "synchronous_node_count"
_KEYS = (MODE, _STRICT, _COUNT)


def mode_of(database: Mapping[str, Any]) -> str:
    """Return the mode of the spec."""
    return str(database["spec"].get("replication", {}).get("synchronous", OFF))


def wanted_count(database: Mapping[str, Any]) -> int:
    """Return how many synchronous replicas there are to be, as far as there are instances."""
    if mode_of(database) == OFF:
        return 0
    asked = int(database["spec"]["replication"].get("synchronousCount", 1))
    return max(min(asked, int(database["spec"]["replicas"]) - 1), 0)


def asked_mode(database: Mapping[str, Any]) -> str | None:
    """Return what Patroni is to be given; None where the spec says nothing of it.

    What another hand has set in Patroni's dynamic configuration stays then.
    """
    wanted = database["spec"].get("replication", {})
    if "synchronous" not in wanted:
        return None
    mode = mode_of(database)
    if mode == OFF:
        return _text({MODE: False, _STRICT: False})
    return _text(
        {
            MODE: "quorum" if mode == QUORUM else True,
            _STRICT: mode != PREFERRED,
            _COUNT: int(wanted.get("synchronousCount", 1)),
        }
    )


def read_mode(config: Mapping[str, Any]) -> str | None:
    """Return what Patroni's dynamic configuration has of it; None for nothing."""
    found = {key: config[key] for key in _KEYS if key in config}
    return _text(found) if found else None


def with_mode(config: Mapping[str, Any], mode: str | None) -> dict[str, Any]:
    """Return Patroni's dynamic configuration with what `asked_mode` or `read_mode` has returned."""
    others = {key: value for key, value in config.items() if key not in _KEYS}
    return {**others, **(json.loads(mode) if mode else {})}


def _text(found: Mapping[str, Any]) -> str:
    return json.dumps(found, sort_keys=True)


def describe_condition(database: Mapping[str, Any], synchronous: int, awaited: int) -> Condition:
    """Return the condition of a Database with synchronous replication.

    Args:
        synchronous: how many replicas are synchronous.
        awaited: how many a commit waits for.
    """
    wanted = wanted_count(database)
    streaming = f"{synchronous} of {plural(wanted, 'replica')} {_are(synchronous)} synchronous"
    if awaited > synchronous:
        return Condition(
            CONDITION,
            "False",
            "CommitsWait",
            f"{streaming}: commits wait until a replica streams. To have them go on without one,"
            " set spec.replication.synchronous: preferred",
        )
    if synchronous >= wanted and wanted:
        return Condition(CONDITION, "True", "ReplicasSynchronous", streaming)
    if synchronous:
        return Condition(CONDITION, "False", "FewerSynchronous", streaming)
    return Condition(
        CONDITION,
        "False",
        "NoneSynchronous",
        "no replica is synchronous: commits wait for none, and if the primary is lost now, no"
        " replica is promoted until it is back",
    )


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
