"""What a role returns becomes the dataclasses that decisions take."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.status import (
    Instance,
    Observation,
    Server,
    Standby,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.decide import from_plain
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule import status

FULL = Observation(
    replicas=2,
    refused=("A", "b"),
    instances=(Instance("app-0", True, problem=("C", "d")), Instance("app-1", False)),
    server=Server(writable=True, standbys=(Standby("app-1", "streaming", 0),)),
)


def test_what_was_plain_is_as_before() -> None:
    assert from_plain(Observation, asdict(FULL)) == FULL


def test_lists_are_as_good_as_tuples() -> None:
    plain = asdict(FULL) | {"refused": ["A", "b"], "instances": [asdict(FULL.instances[0])]}
    made = from_plain(Observation, plain)
    assert (made.refused, made.instances) == (("A", "b"), FULL.instances[:1])


def test_what_may_be_none_is_none_where_it_is_empty() -> None:
    made = from_plain(Observation, {"replicas": 1, "refused": [], "server": {}, "restoring": None})
    assert made == Observation(replicas=1)
    assert from_plain(status.Observation, {"wake_seconds": 0.0}).wake_seconds == 0.0


def test_other_fields_are_left_out_and_missing_ones_named() -> None:
    assert from_plain(Standby, {"name": "n", "state": "s", "lag_bytes": 1, "more": 2}).name == "n"
    with pytest.raises(TypeError, match="lag_bytes"):
        from_plain(Standby, {"name": "n", "state": "s"})
