"""Values of parameters are judged and compared as the server does it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import InvalidInput
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.settings import (
    check_in_session,
    find_missing_libraries,
    find_similar,
    read_files,
    read_memory,
    read_settings,
)


@pytest.fixture
def connection(postgres_server: Any) -> Any:
    parameters = ConnectionParameters(
        postgres_server.host,
        postgres_server.port,
        postgres_server.user,
        password_file=postgres_server.password_file,
    )
    with connect(parameters) as opened:
        yield opened


# What a session can set, so that the server can be asked.
WRITTEN = [
    ("work_mem", ["64kB", "1MB", "0.5GB", " 16 MB ", "4096", "0x1000", "1e3kB", "100.5kB"]),
    ("temp_buffers", ["8MB", "800kB", "100", "1 MB"]),
    ("log_min_duration_sample", ["1s", "1500ms", "2min", "0.5 h", "1d", "300", "1500us"]),
    ("vacuum_cost_delay", ["2", "2.5ms", "0.01s", "1500us"]),
    ("random_page_cost", ["4", "1.1", "1e1", ".5"]),
    ("enable_seqscan", ["on", "true", "Y", "1", "of", "false", "no", "0", "t"]),
    ("wal_compression", ["off", "pglz", "LZ4", "0"]),
    ("log_min_messages", ["warning", "DEBUG1", "panic"]),
]
REFUSED = [
    ("work_mem", ["1", "10 mb", "many", "1 s", "5TB", ""]),
    ("log_min_duration_sample", ["-2", "1 fortnight", "1MB"]),
    ("random_page_cost", ["-1", "1kB"]),
    ("enable_seqscan", ["maybe", "o", ""]),
    ("log_min_messages", ["loud"]),
]


def each(table: list[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    return [(name, value) for name, values in table for value in values]


@pytest.mark.parametrize(("name", "value"), each(WRITTEN))
def test_a_value_means_what_the_server_takes_it_for(connection: Any, name: str, value: str) -> None:
    setting = read_settings(connection, [name])[name]
    check_in_session(connection, setting, value)
    connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    (set_,) = connection.execute(
        "SELECT setting FROM pg_settings WHERE name = %s", [name]
    ).fetchone()
    assert setting.same(set_, value)
    assert read_settings(connection, [name])[name].has(value)


@pytest.mark.parametrize(("name", "value"), each(REFUSED))
def test_what_the_server_refuses_is_refused(connection: Any, name: str, value: str) -> None:
    setting = read_settings(connection, [name])[name]
    with pytest.raises(InvalidInput, match=name):
        check_in_session(connection, setting, value)
    with pytest.raises(InvalidInput, match=name):
        setting.parse(value)


def test_text_is_judged_by_the_server(connection: Any) -> None:
    setting = read_settings(connection, ["datestyle"])["datestyle"]
    check_in_session(connection, setting, "iso, dmy")
    with pytest.raises(InvalidInput, match="invalid value"):
        check_in_session(connection, setting, "sideways")


def test_a_check_leaves_nothing_behind(connection: Any) -> None:
    before = connection.execute("SHOW work_mem").fetchone()
    check_in_session(connection, read_settings(connection, ["work_mem"])["work_mem"], "7MB")
    assert connection.execute("SHOW work_mem").fetchone() == before


def test_what_needs_a_restart_is_known(connection: Any) -> None:
    found = read_settings(connection, ["shared_buffers", "work_mem", "checkpoint_timeout", "no"])
    assert {name: s.needs_restart for name, s in found.items()} == {
        "shared_buffers": True,
        "work_mem": False,
        "checkpoint_timeout": False,
    }
    assert {name: s.in_session for name, s in found.items()} == {
        "shared_buffers": False,
        "work_mem": True,
        "checkpoint_timeout": False,
    }
    assert found["shared_buffers"].amount("1MB") == 1 << 20


def test_names_are_found_in_any_case(connection: Any) -> None:
    assert set(read_settings(connection, ["datestyle", "timezone"])) == {"datestyle", "timezone"}


def test_a_name_with_a_mistake_is_guessed(connection: Any) -> None:
    assert find_similar(connection, "work_memory") == "work_mem"
    assert find_similar(connection, "zzzzzz") == ""


def test_what_alter_system_has_written_is_seen(connection: Any) -> None:
    connection.execute("ALTER SYSTEM SET deadlock_timeout = '3s'")
    try:
        found = read_files(connection, ["deadlock_timeout", "geqo_seed"])
    finally:
        connection.execute("ALTER SYSTEM RESET deadlock_timeout")
    assert set(found) == {"deadlock_timeout"}
    assert found["deadlock_timeout"].by_alter_system
    assert found["deadlock_timeout"].value == "3s"


def test_a_library_that_the_server_lacks_is_found(connection: Any) -> None:
    assert find_missing_libraries(connection, ["plpgsql", "no_such_library"]) == ["no_such_library"]


def test_memory_of_the_node(connection: Any) -> None:
    assert read_memory(connection) > 1 << 28
