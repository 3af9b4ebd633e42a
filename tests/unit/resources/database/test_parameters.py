"""Which parameters are written, what goes back to what it was, and who is restarted next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import InvalidInput
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.parameters import (
    Instance,
    Record,
    asked_parameters,
    check_alone,
    check_together,
    defaults_of,
    describe_parameters,
    is_due,
    make_change,
    make_defaults,
    memory_of,
    next_defaults,
    next_restart,
    put_back,
)
from ansible_collections.postgres.operator.plugins.module_utils.units import parse_quantity
from sample_members import PRIMARY, REPLICA

GIB = 1 << 30
SECOND = replace(REPLICA, name="app-2", ordinal=2)
MEMBERS = (PRIMARY, REPLICA, SECOND)
BEGAN = {"wal_level": "replica", "max_connections": 120}
"""A dynamic configuration before anything was written."""


def database(parameters: Any = None, memory: str = "", size: str = "10Gi", **more: Any) -> Any:
    spec: dict[str, Any] = {"storage": {"size": size}, "postgresql": {**more}}
    if parameters is not None:
        spec["postgresql"]["parameters"] = parameters
    if memory:
        spec["resources"] = {"limits": {"memory": memory}}
    return {"spec": spec}


def change(record: Record, current: Any, asked: Any, **defaults: str) -> Any:
    return make_change(current, record, asked, defaults, 0)


def test_parameters_are_text_as_postgresql_writes_them() -> None:
    wanted = database({"max_connections": 200, "jit": "off"}, preload=["b", "a"])
    assert asked_parameters(wanted) == {
        "jit": "off",
        "max_connections": "200",
        "shared_preload_libraries": "b,a",
    }
    assert asked_parameters({"spec": {}}) == {}


@pytest.mark.parametrize(
    ("memory", "size", "expected"),
    [
        (0, "10Gi", {"max_wal_size": "1280MB", "min_wal_size": "80MB"}),
        (0, "100Mi", {"max_wal_size": "64MB", "min_wal_size": "32MB"}),
        (0, "1000Gi", {"max_wal_size": "16384MB", "max_slot_wal_keep_size": "256000MB"}),
        (GIB, "10Gi", {"shared_buffers": "256MB", "effective_cache_size": "768MB"}),
        (64 * GIB, "10Gi", {"shared_buffers": "16384MB", "maintenance_work_mem": "2048MB"}),
    ],
)
def test_defaults_follow_from_memory_and_volume(
    memory: int, size: str, expected: dict[str, str]
) -> None:
    made = make_defaults(memory, parse_quantity(size))
    assert {name: made[name] for name in expected} == expected
    assert ("shared_buffers" in made) == bool(memory)


def test_the_limit_of_memory_counts_before_the_request() -> None:
    both = {"limits": {"memory": "2Gi"}, "requests": {"memory": "1Gi"}}
    assert memory_of({"spec": {"resources": both}}) == 2 * GIB
    assert memory_of({"spec": {"resources": {"requests": {"memory": "1Gi"}}}}) == GIB
    assert memory_of({"spec": {}}) == 0


def test_what_goes_from_the_spec_is_what_it_was() -> None:
    first = change(Record(), BEGAN, {"max_connections": "300", "work_mem": "8MB"})
    assert first.parameters == {
        "wal_level": "replica",
        "max_connections": "300",
        "work_mem": "8MB",
    }
    second = change(first.record, first.parameters, {"work_mem": "16MB"})
    assert second.parameters == {
        "wal_level": "replica",
        "max_connections": "120",
        "work_mem": "16MB",
    }
    third = change(second.record, second.parameters, {})
    assert third.parameters == {"wal_level": "replica", "max_connections": "120"}
    # Until every instance has what is there instead.
    assert third.record.left == ("max_connections", "work_mem")


def test_what_was_set_by_hand_stays() -> None:
    by_hand = {**BEGAN, "jit": "off"}
    assert change(Record(), by_hand, {"work_mem": "8MB"}).parameters["jit"] == "off"


def test_a_parameter_of_the_spec_comes_before_a_default() -> None:
    first = change(Record(), BEGAN, {"max_wal_size": "2GB"}, max_wal_size="1GB")
    assert first.parameters["max_wal_size"] == "2GB"
    assert first.record.defaults == {}
    second = change(first.record, first.parameters, {}, max_wal_size="1GB")
    assert second.parameters["max_wal_size"] == "1GB"
    assert describe_parameters(second.record) == [
        {"name": "max_wal_size", "value": "1GB", "source": "storage"}
    ]


def test_shared_buffers_wait_for_the_replacement_of_the_instances() -> None:
    """Of a Database that an earlier operator has made: an upgrade restarts no server."""
    older = database(memory="1Gi")
    assert "shared_buffers" not in next_defaults(Record(), BEGAN, older)
    new = {**BEGAN, "shared_buffers": "256MB"}
    assert next_defaults(Record(), new, older)["shared_buffers"] == "256MB"
    known = Record(made_from=GIB, defaults={"shared_buffers": "200MB"})
    assert next_defaults(known, new, older)["shared_buffers"] == "200MB"
    assert next_defaults(known, new, database(memory="2Gi"))["shared_buffers"] == "512MB"


def test_a_change_is_due_once() -> None:
    asked, defaults = {"work_mem": "8MB"}, {"max_wal_size": "1GB"}
    assert is_due(Record(), BEGAN, asked, defaults)
    made = change(Record(), BEGAN, asked, **defaults)
    assert not is_due(made.record, made.parameters, asked, defaults)
    assert is_due(made.record, {**made.parameters, "work_mem": "1GB"}, asked, defaults)
    assert is_due(made.record, made.parameters, {}, defaults)


def test_the_record_survives_json() -> None:
    made = change(Record(), BEGAN, {"work_mem": "8MB"}, max_wal_size="1GB").record
    assert Record.from_plain(made.to_plain()) == made
    assert Record.from_plain({"of": "another version"}) == Record()


def test_what_did_not_work_is_put_back_and_not_tried_again() -> None:
    first = change(Record(), BEGAN, {"work_mem": "8MB"})
    bad = {"work_mem": "8MB", "shared_buffers": "900GB"}
    second = change(first.record, first.parameters, bad)
    back = put_back(second.record, "ParameterRefused", "no")
    assert back.parameters == first.parameters
    assert back.record.refused == ("ParameterRefused", "no")
    assert back.record.given == {"work_mem": "8MB"}
    assert back.record.left == ("shared_buffers",)
    assert not is_due(back.record, back.parameters, bad, {})
    assert is_due(back.record, back.parameters, {"work_mem": "8MB"}, {})


FITS = {"max_connections": 120.0, "shared_buffers": 128.0 * (1 << 20)}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"superuser_reserved_connections": 100, "reserved_connections": 20}, "max_connections"),
        ({"max_wal_size": 16 << 20}, "at least 32MB"),
        ({"min_wal_size": 2 << 20}, "at least 32MB"),
        ({"shared_buffers": float(GIB)}, "resources.limits.memory"),
        ({"max_connections": 50000.0}, "resources.limits.memory"),
    ],
)
def test_what_no_server_starts_with_is_refused(values: dict[str, float], words: str) -> None:
    check_together(FITS, GIB)
    with pytest.raises(InvalidInput, match=words):
        check_together({**FITS, **values}, GIB)


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("huge_pages", "on", None),
        ("io_method", "io_uring", None),
        ("wal_level", "minimal", None),
        ("datestyle", "SQL, DMY", None),
        ("transaction_timeout", "1ms", 1.0),
        ("default_transaction_isolation", "serializable", None),
        ("max_connections", "20", 20.0),
    ],
)
def test_what_depends_on_the_node_or_patroni_is_refused(
    name: str, value: str, number: float | None
) -> None:
    with pytest.raises(InvalidInput, match=name):
        check_alone(name, value, number)
    check_alone("work_mem", value, number)
    check_alone("datestyle", "iso, dmy", None)
    check_alone("transaction_timeout", "0", 0.0)


BUFFERS = Instance(restart=("shared_buffers",))
FEWER = Instance(restart=("max_connections",), less=("max_connections",))


def lacking(*instances: Instance) -> dict[str, Instance]:
    return dict(zip(("app-0", "app-1", "app-2"), instances, strict=True))


def test_replicas_are_restarted_before_the_primary() -> None:
    name, message = next_restart(MEMBERS, "app-0", lacking(BUFFERS, BUFFERS, BUFFERS))
    assert (name, message) == ("app-2", "restarting replica app-2 for shared_buffers")
    assert next_restart(MEMBERS, "app-0", lacking(BUFFERS, BUFFERS, Instance()))[0] == "app-1"
    assert next_restart(MEMBERS, "app-0", lacking(BUFFERS, Instance(), Instance()))[0] == "app-0"
    assert next_restart(MEMBERS, "app-0", lacking(*[Instance()] * 3)) == ("", "")


def test_one_is_restarted_at_a_time() -> None:
    away = replace(SECOND, ready=False)
    name, message = next_restart((PRIMARY, REPLICA, away), "app-0", {"app-1": BUFFERS})
    assert not name
    assert "app-2" in message


def test_what_a_standby_must_not_have_less_of_is_lowered_on_the_primary_first() -> None:
    assert next_restart(MEMBERS, "app-0", lacking(FEWER, FEWER, FEWER))[0] == "app-0"
    assert next_restart(MEMBERS, "app-0", lacking(Instance(), FEWER, FEWER))[0] == "app-2"
    both = Instance(("x",), ("max_connections", "shared_buffers"), ("max_connections",))
    name, message = next_restart(MEMBERS, "app-0", lacking(both, both, both))
    assert (name, message) == ("app-2", "restarting replica app-2 for shared_buffers")


def test_a_volume_that_has_less_than_the_spec_counts() -> None:
    """One that cannot grow must not be filled with the WAL of a larger one."""
    found = database(size="100Gi")
    grown = defaults_of(found)
    found["status"] = {"storage": {"smallest": "1Gi", "largest": "100Gi"}}
    assert defaults_of(found)["max_wal_size"] == "128MB" != grown["max_wal_size"]
