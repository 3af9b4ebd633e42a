"""Who restores what, and in which order: decided without a server."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.load_plan import (
    SUPERUSER,
    Step,
    plan_as_superuser,
    plan_load,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.table_of_contents import (
    Entry,
    Section,
)

SUPERUSERS = ("postgres",)
PRE, DATA, POST = Section.PRE_DATA, Section.DATA, Section.POST_DATA


class Dump:
    """Entries, numbered from 1 on as they are added."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._numbers = count(1)

    def add(
        self, kind: str, owner: str, section: Section = PRE, needs: Iterable[int] = (), **more: str
    ) -> int:
        number = next(self._numbers)
        values = {"schema": "public", "name": f"n{number}", "definition": "", "tablespace": ""}
        values |= more
        self.entries.append(
            Entry(number, kind, owner=owner, section=section, dependencies=tuple(needs), **values)
        )
        return number


def test_what_one_owner_has_is_one_run() -> None:
    dump = Dump()
    extension = dump.add("EXTENSION", "", schema="")
    comment = dump.add("COMMENT", "", needs=[extension], schema="")
    table = dump.add("TABLE", "app", name="t")
    privileges = dump.add("ACL", "app", needs=[table])
    rows = dump.add("TABLE DATA", "app", DATA, needs=[table], name="t")
    index = dump.add("INDEX", "app", POST, needs=[table])
    plan = plan_load(dump.entries, SUPERUSERS)
    assert plan.steps == (
        Step(SUPERUSER, (extension, comment)),
        Step("app", (table, rows, index)),
    )
    assert plan.handover == (Step(SUPERUSER, (privileges,)),)
    assert plan.owners == ("app",)
    assert plan.creators == (("app", "public"),)
    assert not plan.refused


def test_a_superusers_tables_are_not_restored_in_a_superusers_session() -> None:
    dump = Dump()
    dump.add("TABLE", "postgres")
    plan = plan_load(dump.entries, SUPERUSERS)
    assert [step.owner for step in plan.steps] == ["postgres"] != [SUPERUSER]


def test_what_an_extension_makes_is_filled_by_the_superuser() -> None:
    """Its definition is not in the dump; the rows of all other tables are their owners'."""
    dump = Dump()
    dump.add("EXTENSION", "", schema="")
    table = dump.add("TABLE", "app", name="mine")
    sequence = dump.add("SEQUENCE", "postgres", name="counter")
    mine = dump.add("TABLE DATA", "app", DATA, name="mine")
    other = dump.add("TABLE DATA", "app", DATA, name="mine", schema="extension")
    theirs = dump.add("TABLE DATA", "postgres", DATA, name="settings")
    counter = dump.add("SEQUENCE SET", "postgres", DATA, name="counter")
    number = dump.add("SEQUENCE SET", "app", DATA, name="settings_id_seq")
    sessions = {
        entry: step.owner
        for step in plan_load(dump.entries, SUPERUSERS).steps
        for entry in step.entries
    }
    assert [sessions[one] for one in (table, mine)] == ["app", "app"]
    assert [sessions[one] for one in (sequence, counter)] == ["postgres", "postgres"]
    assert [sessions[one] for one in (other, theirs, number)] == [SUPERUSER] * 3


def test_it_is_filled_before_code_of_users_is_executed_for_rows() -> None:
    dump = Dump()
    dump.add("TABLE", "app", name="mine")
    mine = dump.add("TABLE DATA", "app", DATA, name="mine")
    theirs = dump.add("TABLE DATA", "postgres", DATA, name="settings")
    first, second = plan_load(dump.entries, SUPERUSERS).contents
    assert (first.owner, first.entries) == (SUPERUSER, (theirs,))
    assert first.filled == (("public", "settings"),)
    assert (second.owner, second.entries, second.filled) == ("app", (mine,), ())


def test_event_triggers_come_last_and_with_their_comments() -> None:
    dump = Dump()
    function = dump.add("FUNCTION", "postgres", definition="\n    LANGUAGE plpgsql\n")
    trigger = dump.add("EVENT TRIGGER", "postgres", POST, needs=[function], schema="")
    comment = dump.add("COMMENT", "postgres", POST, needs=[trigger], schema="")
    view = dump.add("MATERIALIZED VIEW DATA", "app", POST)
    plan = plan_load(dump.entries, SUPERUSERS)
    assert plan.last == (Step(SUPERUSER, (trigger, comment)),)
    assert plan.refreshes == (Step("app", (view,)),)
    assert plan.steps == (Step("postgres", (function,)),)


def test_row_security_waits_for_rows_and_foreign_keys() -> None:
    dump = Dump()
    security = dump.add("ROW SECURITY", "app", POST)
    key = dump.add("FK CONSTRAINT", "app", POST)
    plan = plan_load(dump.entries, SUPERUSERS)
    assert [step.entries for step in plan.steps] == [(key,), (security,)]


def test_what_only_a_superuser_can_make() -> None:
    dump = Dump()
    c = dump.add("FUNCTION", "app", definition="CREATE FUNCTION f()\n    LANGUAGE c STRICT\n")
    base = dump.add(
        "TYPE", "app", definition="CREATE TYPE t (\n    INTERNALLENGTH = 4,\n", name="t"
    )
    shell = dump.add("SHELL TYPE", "app", name="t")
    proof = dump.add("FUNCTION", "app", definition="\n    LANGUAGE sql IMMUTABLE LEAKPROOF\n")
    plain = dump.add("TYPE", "app", definition="CREATE TYPE u AS (\n    a integer\n)", name="u")
    plan = plan_load(dump.entries, SUPERUSERS)
    assert plan.steps == (Step(SUPERUSER, (c, base, shell, proof)), Step("app", (plain,)))


@pytest.mark.parametrize(
    "definition",
    [
        "CREATE FUNCTION f()\n    LANGUAGE sql\n    AS $$\n    LANGUAGE c\n$$",
        "CREATE FUNCTION f()\n    LANGUAGE sql\n    AS $$\n    LANGUAGE sql LEAKPROOF\n$$",
        'CREATE FUNCTION "f""\n    LANGUAGE c"()\n    LANGUAGE sql\n',
        "CREATE FUNCTION f(a text DEFAULT 'b''\n    LANGUAGE c'::text)\n    LANGUAGE sql\n",
        'CREATE FUNCTION f()\n    LANGUAGE sql TRANSFORM FOR TYPE " LEAKPROOF "\n',
    ],
)
def test_text_of_a_user_has_nothing_made_by_the_superuser(definition: str) -> None:
    """It would belong to the superuser until it is given to its owner."""
    dump = Dump()
    function = dump.add("FUNCTION", "app", definition=definition)
    kind = dump.add(
        "TYPE", "app", definition='CREATE TYPE "t (\n    INTERNALLENGTH " AS (\n    a integer\n)'
    )
    assert plan_load(dump.entries, SUPERUSERS).steps == (Step("app", (function, kind)),)


def test_a_foreign_key_to_another_owners_table_needs_a_privilege() -> None:
    dump = Dump()
    one = dump.add("TABLE", "one", name="one")
    two = dump.add("TABLE", "two")
    dump.add("FK CONSTRAINT", "two", POST, needs=[two, one])
    steps = plan_load(dump.entries, SUPERUSERS).steps
    assert steps[-1].references == (("public", "one"),)
    assert len(steps) == 3


def test_parts_of_another_owners_table_are_refused() -> None:
    dump = Dump()
    parent = dump.add("TABLE", "one", name="parent")
    child = dump.add("TABLE", "two", name="child")
    dump.add("TABLE ATTACH", "two", needs=[child, parent], name="child")
    plan = plan_load(dump.entries, SUPERUSERS)
    assert plan.refused == ('table "public"."child" of two is a part of a table of one',)
    together = plan_load(dump.entries, SUPERUSERS, together=True)
    assert not together.refused
    assert together.owners == ("one",)


def test_a_superusers_part_of_a_users_table_is_not_refused() -> None:
    dump = Dump()
    parent = dump.add("TABLE", "app")
    child = dump.add("TABLE", "postgres")
    dump.add("TABLE ATTACH", "postgres", needs=[child, parent])
    assert not plan_load(dump.entries, SUPERUSERS).refused


def test_with_consent_a_superuser_restores_everything() -> None:
    dump = Dump()
    table = dump.add("TABLE", "app")
    privileges = dump.add("ACL", "app", needs=[table])
    rows = dump.add("TABLE DATA", "app", DATA, needs=[table])
    trigger = dump.add("EVENT TRIGGER", "postgres", POST)
    comment = dump.add("COMMENT", "postgres", POST, needs=[trigger])
    key = dump.add("CONSTRAINT", "app", POST, needs=[table])
    plan = plan_as_superuser(dump.entries)
    assert plan.steps == (Step(SUPERUSER, (table, privileges, rows, key)),)
    assert plan.last == (Step(SUPERUSER, (trigger, comment)),)
    assert plan.owners == ()


SETTINGS = frozenset({"log_statement"})


@pytest.mark.parametrize(
    ("kind", "definition", "session"),
    [
        ("TYPE", "CREATE TYPE public.shell;\n", SUPERUSER),
        ("TYPE", 'CREATE TYPE public."a;\n(b";\n', SUPERUSER),
        ("TYPE", "CREATE TYPE public.pair AS (\n\ta integer\n);\n", "app"),
        ("TYPE", "CREATE TYPE public.e AS ENUM (\n    ';'\n);\n", "app"),
        (
            "AGGREGATE",
            "CREATE AGGREGATE public.a(integer) (\n    SFUNC = f,\n    STYPE = internal,\n"
            "    FINALFUNC = g\n);\n",
            SUPERUSER,
        ),
        (
            "AGGREGATE",
            "CREATE AGGREGATE public.a(integer) (\n    SFUNC = f,\n    STYPE = internal,\n"
            "    MSTYPE = mine.domain,\n    MINITCOND = 'x'\n);\n",
            "app",
        ),
        (
            "AGGREGATE",
            'CREATE AGGREGATE public."a(x) (\n    SFUNC = f,\n    STYPE = internal,"(integer) (\n'
            "    SFUNC = f,\n    STYPE = integer\n);\n",
            "app",
        ),
        (
            "FUNCTION",
            "CREATE FUNCTION public.f() RETURNS integer\n    LANGUAGE sql\n"
            "    SET search_path TO 'a\n    SET b', 'c'\n    SET log_statement TO 'none'\n"
            "    AS $$SELECT 1$$;\n",
            SUPERUSER,
        ),
        (
            "FUNCTION",
            "CREATE FUNCTION public.f() RETURNS integer\n    LANGUAGE sql\n"
            "    SET search_path TO 'a\n    SET log_statement TO none'\n"
            "    AS $$\n    SET log_statement TO 'none'$$;\n",
            "app",
        ),
        (
            "FUNCTION",
            "CREATE FUNCTION public.f(a mine.domain DEFAULT 'x'::mine.domain) RETURNS integer\n"
            "    LANGUAGE sql\n    SET log_statement TO 'none'\n    AS $$SELECT 1$$;\n",
            "app",
        ),
        (
            "FUNCTION",
            "CREATE FUNCTION public.f() RETURNS integer\n    LANGUAGE sql SUPPORT helps\n"
            "    AS $$SELECT 1$$;\n",
            SUPERUSER,
        ),
    ],
)
def test_what_takes_a_superuser_by_its_definition(kind: str, definition: str, session: str) -> None:
    dump = Dump()
    dump.add(kind, "app", definition=definition)
    (step,) = plan_load(dump.entries, SUPERUSERS, superuser_settings=SETTINGS).definitions
    assert step.owner == session


def test_what_may_not_be_made_at_the_same_time() -> None:
    dump = Dump()
    table = dump.add("TABLE", "app", name="t")
    other = dump.add("TABLE", "app", name="other")
    rows = dump.add("TABLE DATA", "app", DATA, needs=[table], name="t")
    alter = "CREATE INDEX i ON t (a);\n\nALTER TABLE public.t CLUSTER ON i;\n"
    first = dump.add("INDEX", "app", POST, needs=[table], definition=alter)
    second = dump.add("INDEX", "app", POST, needs=[table], definition=alter)
    third = dump.add("INDEX", "app", POST, needs=[other], definition=alter)
    plain = dump.add("INDEX", "app", POST, needs=[table], definition="CREATE INDEX i ON t (a);\n")
    text = "ALTER DOMAIN d ADD CONSTRAINT c CHECK (true) NOT VALID;\n"
    invalid = dump.add("CHECK CONSTRAINT", "app", POST, definition=text)
    comment = dump.add("COMMENT", "app", POST, needs=[invalid])
    plan = plan_load(dump.entries, SUPERUSERS)
    assert [step.entries for step in plan.steps] == [
        (table, other, rows),
        (second,),
        (first, third, plain),
        (invalid, comment),
    ]
