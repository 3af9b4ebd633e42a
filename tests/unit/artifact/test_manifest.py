"""Manifests are hostile input: exactly what was written comes back, anything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact import (
    manifest as manifests,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.manifest import (
    FORMAT_VERSION,
    DatabaseProperties,
    Extension,
    ExtensionTable,
    FileEntry,
    GeneratedColumn,
    Globals,
    LargeObjects,
    Locale,
    Manifest,
    SequenceEntry,
    SequenceState,
    Source,
    TableEntry,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    ChecksumMismatch,
    IncompatibleVersion,
    OperatorError,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.databases import (
    Grant,
    Setting,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.labels import Label
from ansible_collections.postgres.operator.plugins.module_utils.postgres.roles import (
    Membership,
    Role,
)
from hypothesis import given
from hypothesis import strategies as st

MANIFEST = Manifest(
    format_version=FORMAT_VERSION,
    namespace="default",
    database="app",
    uid="0f8fad5b",
    start_time="2026-01-31T02:00:00Z",
    completion_time="2026-01-31T02:00:09Z",
    source=Source(
        database="app",
        owner="app",
        system_identifier="7000000000000000000",
        server_version="15.20",
        server_version_num=150020,
        dump_program_version="15.20",
        locale=Locale("UTF8", "c", "C.UTF-8", "C.UTF-8", None, None),
        roles=("app",),
        extensions=(Extension("plpgsql", "1.0"),),
        properties=DatabaseProperties(
            connection_limit=-1,
            comment=None,
            grants=(Grant(None, "CONNECT", False),),
            settings=(Setting("app", "work_mem", "8MB"),),
        ),
        globals=Globals(
            tablespace="pg_default",
            roles=(Role("app", login=True, valid_until="2031-01-02T03:04:05Z", comment="c"),),
            memberships=(Membership("readers", "app", False, True, True),),
            settings=(Setting("app", "work_mem", "8MB"),),
            labels=(Label("app", "provider", "label"),),
        ),
        size_bytes=8_000_000,
    ),
    files=(FileEntry("dump/toc.dat", 3, "0" * 64), FileEntry("dump/3001.dat.gz", 0, "a" * 64)),
    tables=(
        TableEntry(
            "public",
            "t",
            "table",
            True,
            2,
            "0123456789abcdef",
            (GeneratedColumn("g", "b" * 16),),
            16384,
        ),
    ),
    extension_tables=(ExtensionTable("cron", "job", "pg_cron", True, 1, "0123456789abcdef"),),
    sequences=(SequenceEntry("public", "s", SequenceState(1, False), SequenceState(2, True)),),
    large_objects=LargeObjects(0, 0, "0" * 16),
)

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(names, names, st.integers(min_value=0))
def test_what_is_written_is_read(schema: str, name: str, rows: int) -> None:
    entry = TableEntry(schema, name, "table", True, rows, "f" * 16)
    manifest = replace(MANIFEST, tables=(entry,))
    assert manifests.from_json(manifests.to_json(manifest)) == manifest


def document() -> dict:
    return json.loads(manifests.to_json(MANIFEST))


def parse(value: object) -> Manifest:
    return manifests.from_json(json.dumps(value).encode())


@given(st.binary())
def test_noise_is_refused(content: bytes) -> None:
    with pytest.raises(OperatorError):
        manifests.from_json(content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_other_json_is_refused(value: object) -> None:
    with pytest.raises(OperatorError):
        parse(value)


OPTIONAL = ("locale", "icuRules", "version", "role", "comment", "validUntil", "verifier")
"""What may be null, wherever it is; of a membership its options may."""


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The path of everything inside a document."""
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else [])
    )
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


@pytest.mark.parametrize("path", places(document()), ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("wrong", [{}, 1.5, True, None, "\0", "\ud800"], ids=repr)
def test_a_value_of_another_type_is_refused_anywhere(path: tuple, wrong: object) -> None:
    changed = document()
    target = changed
    for key in path[:-1]:
        target = target[key]
    same = type(target[path[-1]]) is type(wrong) and not isinstance(wrong, str)
    optional = wrong is None and (
        path in (("source", "properties"), ("source", "globals"))
        or (path[-1] == "sizeBytes" and path[0] in ("source", "tables"))
        or (len(path) > 2 and path[-1] in OPTIONAL and path[-3:-1] != ("memberships", 0))
        or (path[-3:-1] == ("memberships", 0) and path[-1] in ("inherit", "set"))
    )
    if same or optional:
        return
    target[path[-1]] = wrong
    with pytest.raises(ChecksumMismatch):
        parse(changed)


@pytest.mark.parametrize("path", [path for path in places(document()) if isinstance(path[-1], str)])
def test_missing_and_unknown_keys_are_refused(path: tuple) -> None:
    for edit in ("remove", "add"):
        changed = document()
        target = changed
        for key in path[:-1]:
            target = target[key]
        if edit == "remove":
            del target[path[-1]]
        else:
            target["unknown"] = 1
        with pytest.raises(ChecksumMismatch):
            parse(changed)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "toc.dat",
        "manifest.json",
        "/etc/passwd",
        "dump/../../x",
        "dump/..",
        "dump/.",
        "dump/.hidden",
        "dump//x",
        "dump/a/b",
        "dump/x\n",
        "dump/x y",
        "dump\\x",
        "dump/ü",
        "./dump/x",
        "dump/x.",
    ],
)
def test_file_names_that_lead_elsewhere(name: str) -> None:
    changed = document()
    changed["files"][0]["name"] = name
    with pytest.raises(ChecksumMismatch):
        parse(changed)


@pytest.mark.parametrize("list_name", ["files", "tables", "extensionTables", "sequences"])
def test_a_name_given_twice(list_name: str) -> None:
    changed = document()
    changed[list_name] = [changed[list_name][0]] * 2
    with pytest.raises(ChecksumMismatch, match="twice"):
        parse(changed)


def test_a_column_given_twice() -> None:
    changed = document()
    changed["tables"][0]["generated"] *= 2
    with pytest.raises(ChecksumMismatch, match="twice"):
        parse(changed)


def test_a_key_given_twice() -> None:
    content = manifests.to_json(MANIFEST).replace(b'"uid":', b'"uid": "x", "uid":', 1)
    with pytest.raises(ChecksumMismatch, match="twice"):
        manifests.from_json(content)


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, -1, 10**30])
def test_unknown_format_versions(version: int) -> None:
    with pytest.raises(IncompatibleVersion, match=str(version)):
        parse({"formatVersion": version, "whatever": "it is"})


def older_document(version: int) -> dict:
    """The same as formats 1 to 6 had it."""
    older = document() | {"formatVersion": version}
    del older["source"]["sizeBytes"]
    del older["tables"][0]["sizeBytes"]
    if version < 6:
        del older["source"]["globals"]
    if version < 5:
        del older["source"]["properties"]
    if version < 4:
        del older["tables"][0]["generated"]
    if version < 3:
        del older["extensionTables"]
        older["source"]["extensions"] = ["plpgsql"]
    return older


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_older_format_versions_are_read(version: int) -> None:
    found = parse(older_document(version))
    source = replace(MANIFEST.source, size_bytes=None)
    if version < 6:
        source = replace(source, globals=None)
    if version < 5:
        source = replace(source, properties=None)
    expected = replace(MANIFEST, format_version=version, source=source)
    if version < 4:
        tables = (replace(MANIFEST.tables[0], generated=()),)
        expected = replace(expected, tables=tables)
    if version < 3:
        source = replace(source, extensions=(Extension("plpgsql", None),))
        expected = replace(expected, source=source, extension_tables=())
    assert found == expected
    assert found.tables[0].size_bytes is None
    assert found.restored_bytes is None
    assert found.knows_extension_tables == (version >= 3)
    assert found.has_generated_columns_in_rows == (version < 4)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_properties_in_an_older_format_version_are_refused(version: int) -> None:
    older = older_document(version)
    older["source"]["properties"] = None
    with pytest.raises(ChecksumMismatch, match="properties"):
        parse(older)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_sizes_in_an_older_format_version_are_refused(version: int) -> None:
    for part in ("source", "tables"):
        older = older_document(version)
        (older[part] if part == "source" else older[part][0])["sizeBytes"] = 1
        with pytest.raises(ChecksumMismatch, match="sizeBytes"):
            parse(older)


def test_what_a_restore_takes_is_the_size_of_the_database_or_of_the_tables_that_have_rows() -> None:
    found = manifests.from_json(manifests.to_json(MANIFEST))
    assert found.restored_bytes == found.source.size_bytes == 8_000_000
    left_out = replace(MANIFEST.tables[0], name="u", populated=False, size_bytes=10**12)
    partial = replace(found, tables=(*found.tables, left_out))
    assert partial.is_partial
    assert partial.restored_bytes == 8 * 1024 * 1024 + 16384


@pytest.mark.parametrize(
    "change",
    [
        {"grants": [{"grantee": None, "privilege": "ALL; DROP", "grantable": False}]},
        {"grants": None},
        {"connectionLimit": "1"},
        {"settings": [{"role": 1, "name": "a", "value": "b"}]},
        {"comment": 1},
    ],
)
def test_properties_are_what_they_have_to_be(change: dict) -> None:
    broken = document()
    broken["source"]["properties"] |= change
    with pytest.raises(ChecksumMismatch):
        parse(broken)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_roles_in_an_older_format_version_are_refused(version: int) -> None:
    older = older_document(version)
    older["source"]["globals"] = None
    with pytest.raises(ChecksumMismatch, match="globals"):
        parse(older)


@pytest.mark.parametrize(
    "change",
    [
        {"verifier": "a password in clear"},
        {"verifier": "SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5\n"},
        {"verifier": ""},
        {"validUntil": "tomorrow"},
        {"validUntil": "2031-01-02'; DROP ROLE postgres"},
        {"connectionLimit": -2},
        {"connectionLimit": 2**31},
        {"superuser": 1},
    ],
)
def test_roles_are_what_they_have_to_be(change: dict) -> None:
    broken = document()
    broken["source"]["globals"]["roles"][0] |= change
    with pytest.raises(ChecksumMismatch) as caught:
        parse(broken)
    assert "in clear" not in str(caught.value)


@pytest.mark.parametrize(
    "verifier",
    ["md5" + "0" * 32, "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy"],
)
def test_verifiers_are_read_and_not_printed(verifier: str) -> None:
    changed = document()
    changed["source"]["globals"]["roles"][0]["verifier"] = verifier
    found = parse(changed)
    assert found.source.globals.roles[0].verifier == verifier
    assert verifier not in repr(found)


@pytest.mark.parametrize("list_name", ["roles", "memberships"])
def test_a_role_given_twice(list_name: str) -> None:
    changed = document()
    changed["source"]["globals"][list_name] *= 2
    with pytest.raises(ChecksumMismatch, match="twice"):
        parse(changed)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("tables", [document()["tables"], [1], 1])
def test_generated_columns_of_an_older_format_version_are_refused(version: int, tables) -> None:
    with pytest.raises(ChecksumMismatch):
        parse(older_document(version) | {"tables": tables})


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "change",
    [
        {"extensionTables": []},
        {"source": None},
        {"source": {"extensions": ["plpgsql"]}},
        {"source": document()["source"]},
        {"source": document()["source"] | {"extensions": 1}},
    ],
)
def test_what_an_older_format_version_has_not_is_refused(version: int, change: dict) -> None:
    with pytest.raises(ChecksumMismatch):
        parse(older_document(version) | change)


@pytest.mark.parametrize(
    ("key", "value"),
    [("startTime", "yesterday"), ("startTime", "2026-13-01T00:00:00Z"), ("completionTime", "")],
)
def test_times(key: str, value: str) -> None:
    with pytest.raises(ChecksumMismatch):
        parse(document() | {key: value})


def test_negative_numbers() -> None:
    for list_name, key in (("files", "sizeBytes"), ("tables", "rows"), ("tables", "sizeBytes")):
        changed = document()
        changed[list_name][0][key] = -1
        with pytest.raises(ChecksumMismatch):
            parse(changed)


def test_deep_nesting() -> None:
    with pytest.raises(ChecksumMismatch):
        manifests.from_json(b"[" * 100_000)
