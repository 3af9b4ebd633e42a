"""Which role restores each entry of a dump, and in which order; a plan, without I/O.

Whatever may execute what a user has written (constraints, indexes, materialized views, types) is
restored in a session that has no more rights than a role made for the purpose. There is one such
role for each owner, a superuser included, and what it makes is handed to the owner afterwards.
A superuser's session makes what only a superuser can make, and of that nothing is executed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from .table_of_contents import Entry, Section

SUPERUSER = ""
"""In place of an owner: the superuser's own session."""

PREDEFINED_ROLES = "pg_"
"""How the names of roles begin that PostgreSQL has from the start."""

_TABLE_KINDS = ("TABLE", "FOREIGN TABLE")
# What fills something, and what makes it.
_FILLED = {"TABLE DATA": "TABLE", "SEQUENCE SET": "SEQUENCE"}
_COMMENT_KINDS = ("COMMENT", "SECURITY LABEL")
_ACL_KINDS = ("ACL", "DEFAULT ACL")
_REFRESH = "MATERIALIZED VIEW DATA"
# Those of all owners in one entry; nothing of a user's is executed for them.
_LARGE_OBJECTS = "BLOBS"
# An owner whose table forces it could load no rows any more, nor check foreign keys.
_ROW_SECURITY = "ROW SECURITY"

# Read by pg_restore itself, whatever its list says.
_SPECIAL_KINDS = ("ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE")

_SUPERUSER_KINDS = (
    "ACCESS METHOD",
    _LARGE_OBJECTS,
    "CAST",
    "EXTENSION",
    "FOREIGN DATA WRAPPER",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "SERVER",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "TRANSFORM",
    "USER MAPPING",
)
# Base types and functions in C, by what pg_dump writes for them. What looks like it in a name, in a
# default or in the body of a function is a user's own: nothing of it is made by a superuser, who
# would own it for a moment.
_NAME = r'"(?:[^"]|"")*+"'
_TEXT = r"'(?:[^']|'')*+'"
_SUPERUSER_TYPE = re.compile(
    rf"\A(--[^\n]*\n|\s)*CREATE TYPE (?:[^\n\"]|{_NAME})*? \(\n    INTERNALLENGTH "
)
# One that has no definition yet, or never got one.
_SHELL_TYPE = re.compile(rf"\s*CREATE TYPE (?:[^\n\"();]|{_NAME})*;\s*")
# Its initial value would be read, by a user's type even: there is none for this type.
_SUPERUSER_AGGREGATE = re.compile(
    rf"\ACREATE AGGREGATE (?:[^\n\"]|{_NAME})*? \(\n    SFUNC = (?:[^\n\"]|{_NAME})*,"
    r"\n    STYPE = internal[,\n](?![\s\S]*INITCOND)"
)
_SETTING = rf"(?:\n    SET (?:[^\n\"']|{_NAME}|{_TEXT})*)"
_LANGUAGE = re.compile(
    rf"\A(?:[^\"']|{_NAME}|{_TEXT})*?\n    LANGUAGE (?P<words>(?:[^\n\"']|{_NAME})*)"
    rf"(?P<settings>{_SETTING}*)"
)
_SETTING_NAME = re.compile(rf"\n    SET \"?(?P<name>[\w.]+)(?:[^\n\"']|{_NAME}|{_TEXT})*")
_ALTERS_TABLE = re.compile(
    r"^ALTER TABLE .* (CLUSTER ON|REPLICA IDENTITY USING INDEX) ", re.MULTILINE
)
_NOT_VALID = "NOT VALID;"
_SUPERUSER_LANGUAGES = ("c", "internal")
_FUNCTION_KINDS = ("FUNCTION", "PROCEDURE")

# They come once the tables have their owners and rows.
_LATE_KINDS = (
    "PUBLICATION",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
    "SUBSCRIPTION",
    "SUBSCRIPTION TABLE",
)
_LAST_KINDS = ("EVENT TRIGGER",)


@dataclass(frozen=True)
class Step:
    """One run of pg_restore.

    Attributes:
        owner: for whom it makes the entries, in the session of the role in the owner's place;
            SUPERUSER for a superuser's session, in which entries get their owners at once.
        entries: numbers, in order.
        references: (schema, name) of the tables of other owners that foreign keys refer to.
        alone: whether all that comes before has to be there.
        filled: (schema, name) of the extensions' tables and sequences that a superuser fills.
    """

    owner: str
    entries: tuple[int, ...]
    references: tuple[tuple[str, str], ...] = ()
    alone: bool = False
    filled: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class LoadPlan:
    """All steps of a restore.

    Attributes:
        definitions: what comes before the rows.
        contents: rows, then indexes, constraints and the like.
        handover: once tables have their owners: privileges and publications.
        refreshes: materialized views, filled by their owners.
        last: event triggers.
        owners: all owners, each of whom a role stands for.
        schemas: (owner, name) of all but public, which come before everything else.
        creators: (owner, schema) of those who make something in a schema that is another's.
        tablespaces: (owner, tablespace) of those who make something there.
        refused: what can only be restored by a superuser who executes what users have written.
    """

    definitions: tuple[Step, ...]
    contents: tuple[Step, ...]
    handover: tuple[Step, ...] = ()
    refreshes: tuple[Step, ...] = ()
    last: tuple[Step, ...] = ()
    owners: tuple[str, ...] = ()
    schemas: tuple[tuple[str, str], ...] = ()
    creators: tuple[tuple[str, str], ...] = ()
    tablespaces: tuple[tuple[str, str], ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """Definitions and contents together, with what one owner makes in one run where it can."""
        return _merge((*self.definitions, *self.contents))


def plan_load(
    entries: Sequence[Entry],
    superusers: Collection[str],
    together: bool = False,
    superuser_settings: Collection[str] = (),
) -> LoadPlan:
    """Decide it.

    Args:
        entries: all that are to be restored, in the order of the dump.
        superusers: names of the server's superusers.
        together: whether one role may stand for all owners but the superusers, where what they
            own hangs together; fit for a server that is thrown away.
        superuser_settings: names of settings that only a superuser may give a function.
    """
    return _Planner(entries, superusers, together, superuser_settings).plan()


def plan_as_superuser(entries: Sequence[Entry]) -> LoadPlan:
    """Everything in a superuser's session, in the order that pg_restore itself knows.

    But event triggers come last, or they would fire for privileges and materialized views.
    """
    triggers = {entry.number for entry in entries if entry.kind in _LAST_KINDS}
    last = [e for e in entries if e.number in triggers or _is_comment_on(e, triggers)]
    chosen = [e for e in entries if e.kind not in _SPECIAL_KINDS and e not in last]
    before = [e.number for e in chosen if e.section is Section.PRE_DATA]
    after = [e.number for e in chosen if e.section is not Section.PRE_DATA]
    return LoadPlan(
        definitions=(Step(SUPERUSER, tuple(before)),),
        contents=(Step(SUPERUSER, tuple(after)),),
        last=(Step(SUPERUSER, tuple(entry.number for entry in last)),) if last else (),
    )


def _is_comment_on(entry: Entry, objects: Collection[int]) -> bool:
    return entry.kind in _COMMENT_KINDS and not set(entry.dependencies).isdisjoint(objects)


@dataclass
class _Planner:
    all: Sequence[Entry]
    superusers: Collection[str]
    together: bool
    superuser_settings: Collection[str]
    by_number: dict[int, Entry] = field(init=False)
    made: set[tuple[str, str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_number = {entry.number: entry for entry in self.all}
        self.made = {(e.kind, e.schema, e.name) for e in self.all if e.kind in _FILLED.values()}
        self.common = min((e.owner for e in self.all if self._is_user(e.owner)), default="")

    def plan(self) -> LoadPlan:
        chosen = [e for e in self.all if e.kind not in _SPECIAL_KINDS]
        schemas = [e for e in chosen if self._phase(e) == "schema"]
        ordinary = [e for e in chosen if self._phase(e) == "ordinary"]
        before = [e for e in ordinary if e.section is Section.PRE_DATA]
        large = [e for e in ordinary if e.kind == _LARGE_OBJECTS]
        rows = [e for e in ordinary if e.section is Section.DATA and e.kind != _LARGE_OBJECTS]
        after = [e for e in ordinary if e.section is Section.POST_DATA and e.kind != _ROW_SECURITY]
        secured = [e for e in ordinary if e.kind == _ROW_SECURITY]
        made = [e for e in ordinary if self._session(e) != SUPERUSER]
        return LoadPlan(
            owners=tuple(dict.fromkeys(map(self._session, (*schemas, *made)))),
            schemas=tuple((self._session(e), e.name) for e in schemas),
            creators=tuple(dict.fromkeys(self._creators(made))),
            tablespaces=tuple(
                dict.fromkeys((self._session(e), e.tablespace) for e in made if e.tablespace)
            ),
            definitions=self._steps(before),
            contents=(
                *self._row_steps(rows, before, after),
                *self._steps_after_rows(after),
                *self._steps(secured, alone=True),
                *self._steps(large),
            ),
            handover=self._steps(e for e in chosen if self._phase(e) == "late"),
            refreshes=self._steps(e for e in chosen if self._phase(e) == "refresh"),
            last=self._steps(e for e in chosen if self._phase(e) == "last"),
            refused=tuple(filter(None, map(self._refusal, ordinary))),
        )

    def _is_user(self, owner: str) -> bool:
        return bool(owner) and owner not in self.superusers

    def _phase(self, entry: Entry) -> str:
        commented = self._commented(entry)
        if commented is not entry:
            phase = self._phase(commented)
            return "ordinary" if phase == "schema" else phase
        if entry.kind in _LAST_KINDS:
            return "last"
        if entry.kind == _REFRESH:
            return "refresh"
        if entry.kind in (*_LATE_KINDS, *_ACL_KINDS):
            return "late"
        if entry.kind == "SCHEMA":
            return "late" if entry.name == "public" else "schema"
        return "ordinary"

    def _commented(self, entry: Entry) -> Entry:
        """What a comment or a label is on, where that is in the dump; else the entry itself."""
        if entry.kind not in _COMMENT_KINDS or not entry.dependencies:
            return entry
        return self.by_number.get(entry.dependencies[0], entry)

    def _session(self, entry: Entry) -> str:
        """The owner for whom an entry is restored."""
        entry = self._commented(entry)
        if self._phase(entry) in ("late", "last") or self._needs_superuser(entry):
            return SUPERUSER
        if self.together and self._is_user(entry.owner):
            return self.common
        return entry.owner

    def _needs_superuser(self, entry: Entry) -> bool:
        if not entry.owner or entry.kind in (*_SUPERUSER_KINDS, *_COMMENT_KINDS):
            return True
        if entry.kind in _FILLED:
            return self._is_of_extension(entry)
        if entry.kind in _FUNCTION_KINDS:
            return _is_superusers_function(entry.definition, self.superuser_settings)
        if entry.kind == "AGGREGATE":
            return _SUPERUSER_AGGREGATE.match(entry.definition) is not None
        if entry.kind == "SHELL TYPE":
            return any(
                other.kind == "TYPE"
                and (other.schema, other.name) == (entry.schema, entry.name)
                and self._needs_superuser(other)
                for other in self.all
            )
        return entry.kind == "TYPE" and bool(
            _SUPERUSER_TYPE.search(entry.definition) or _SHELL_TYPE.fullmatch(entry.definition)
        )

    def _is_of_extension(self, entry: Entry) -> bool:
        """Whether an extension makes what an entry fills: then its definition is not in the dump.

        Only a superuser may fill it, and all that is executed for that is the extension's, which
        has executed it as superuser before: what users add to such a table is in no dump.
        """
        return (_FILLED[entry.kind], entry.schema, entry.name) not in self.made

    def _creators(self, made: Iterable[Entry]) -> Iterable[tuple[str, str]]:
        schemas = {e.name: self._session(e) for e in self.all if e.kind == "SCHEMA"}
        for entry in made:
            owner = self._session(entry)
            if entry.schema and schemas.get(entry.schema) != owner:
                yield owner, entry.schema

    def _steps(self, entries: Iterable[Entry], alone: bool = False) -> tuple[Step, ...]:
        """One step for each run of entries that have the same session."""
        return tuple(
            replace(self._step(session, list(group)), alone=alone)
            for session, group in groupby(entries, self._session)
        )

    def _steps_after_rows(self, after: Sequence[Entry]) -> tuple[Step, ...]:
        """What pg_restore may work on at the same time, and apart from that what it may not.

        Two indexes of a table that both change it once they are built would wait for each other. A
        constraint that is not valid does not wait for the rows that it is not valid for.
        """
        tables: set[int] = set()
        second, invalid, others = [], [], []
        for entry in after:
            changed = {table.number for table in self._tables(entry)} if _changes(entry) else set()
            if changed & tables:
                second.append(entry)
            elif self._commented(entry).definition.rstrip().endswith(_NOT_VALID):
                invalid.append(entry)
            else:
                others.append(entry)
            tables |= changed
        return (
            *self._steps(second, alone=True),
            *self._steps(others, alone=bool(second)),
            *self._steps(invalid, alone=True),
        )

    def _step(self, session: str, entries: Sequence[Entry]) -> Step:
        return Step(
            session,
            tuple(entry.number for entry in entries),
            tuple(dict.fromkeys(table for e in entries for table in self._references(e))),
        )

    def _row_steps(
        self, rows: Sequence[Entry], before: Sequence[Entry], after: Sequence[Entry]
    ) -> tuple[Step, ...]:
        """One step for each owner, in an order that puts steps of the same owner together.

        A superuser's comes first: none of what users have written was executed for rows by then.
        """
        sessions = dict.fromkeys(map(self._session, rows))
        first = self._session(before[-1]) if before else None
        final = self._session(after[0]) if after else None
        ordered = sorted(
            sessions,
            key=lambda one: (one != SUPERUSER, one != first, one == final and one != first),
        )
        steps = [self._step(one, [e for e in rows if self._session(e) == one]) for one in ordered]
        filled = tuple((e.schema, e.name) for e in rows if self._session(e) == SUPERUSER)
        return tuple(
            replace(step, alone=True, filled=filled) if step.owner == SUPERUSER else step
            for step in steps
        )

    def _references(self, entry: Entry) -> Iterable[tuple[str, str]]:
        """Tables of others that a foreign key refers to, which takes a privilege."""
        if entry.kind == "FK CONSTRAINT":
            for table in self._tables(entry):
                if self._session(table) != self._session(entry):
                    yield table.schema, table.name

    def _tables(self, entry: Entry) -> Iterable[Entry]:
        found = (self.by_number.get(number) for number in entry.dependencies)
        return [one for one in found if one is not None and one.kind in _TABLE_KINDS]

    def _refusal(self, entry: Entry) -> str | None:
        """Why an entry cannot be restored for its owner.

        The role in a superuser's place has the rights of all others: never the other way round.
        """
        inherits = entry.kind == "TABLE ATTACH" or (
            entry.kind in _TABLE_KINDS and "\nINHERITS (" in entry.definition
        )
        if not inherits or not self._is_user(entry.owner):
            return None
        others = {
            table.owner
            for table in self._tables(entry)
            if self._session(table) != self._session(entry)
        }
        if not others:
            return None
        name = f'"{entry.schema}"."{entry.name}"'
        return f"table {name} of {entry.owner} is a part of a table of {', '.join(sorted(others))}"


def _changes(entry: Entry) -> bool:
    """Whether an index also changes its table."""
    return entry.kind == "INDEX" and _ALTERS_TABLE.search(entry.definition) is not None


def _is_superusers_function(definition: str, settings: Collection[str] = ()) -> bool:
    """Whether only a superuser can make a function.

    Args:
        settings: names of those that only a superuser may give it.

    >>> _is_superusers_function("CREATE FUNCTION f() RETURNS int\\n    LANGUAGE c AS 'a', 'b';")
    True
    >>> _is_superusers_function('CREATE FUNCTION "\\n    LANGUAGE c"()\\n    LANGUAGE sql')
    False
    """
    found = _LANGUAGE.match(definition)
    words = re.sub(_NAME, "", found["words"]).split() if found else []
    if "LEAKPROOF" in words or (bool(words) and words[0] in _SUPERUSER_LANGUAGES):
        return True
    # A default may be read by a user's type.
    if not found or " DEFAULT " in definition[: found.start("words")]:
        return False
    names = {one["name"] for one in _SETTING_NAME.finditer(found["settings"])}
    return "SUPPORT" in words or not names.isdisjoint(settings)


def _merge(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps that follow each other in the same session become one.

    What foreign keys refer to is granted before a step: so not where it is only made in it.
    """
    merged: list[Step] = []
    for step in steps:
        if merged and merged[-1].owner == step.owner and not (step.references or step.alone):
            entries = merged[-1].entries + step.entries
            merged[-1] = replace(merged[-1], entries=entries)
        else:
            merged.append(step)
    return tuple(merged)
