"""A moment comes back: of a whole database, or of one table, into the server that is live."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.postgres.operator.plugins.module_utils.artifact.selection import (
    parse_selection,
)


def test_the_database_of_a_moment_takes_the_place_of_the_live_one(archived) -> None:
    archived.execute(
        "CREATE TABLE log (n int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())"
    )
    archived.execute("INSERT INTO log SELECT generate_series(1, 1000)")
    artifact = archived.back_up()
    archived.execute("INSERT INTO log VALUES (1001)")
    moment = archived.now()
    archived.execute("INSERT INTO log VALUES (1002)")
    archived.execute("DELETE FROM log WHERE n <= 1000")
    outcome = archived.restore(artifact, moment)
    assert archived.scalar("SELECT count(*) FROM log") == 1001
    assert archived.scalar("SELECT max(n) FROM log") == 1001
    assert outcome.summary["rows"] == 1001


def test_one_table_of_a_moment_comes_beside_the_live_database(archived) -> None:
    archived.execute("CREATE TABLE kept (n int); CREATE TABLE lost (n int)")
    archived.execute("INSERT INTO kept VALUES (1); INSERT INTO lost VALUES (1), (2)")
    artifact = archived.back_up()
    archived.execute("INSERT INTO lost VALUES (3)")
    moment = archived.now()
    archived.execute("DROP TABLE lost")
    archived.restore(
        artifact,
        moment,
        selection=parse_selection({"tables": ["public.lost"]}, None),
        partial=True,
        parameters=replace(archived.parameters, dbname="beside"),
    )
    assert archived.scalar("SELECT count(*) FROM lost", "beside") == 3
    assert archived.scalar("SELECT count(*) FROM kept", "beside") == 0
    assert archived.scalar("SELECT count(*) FROM kept") == 1
