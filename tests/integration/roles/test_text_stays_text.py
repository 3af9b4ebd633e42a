"""Whatever text a resource has, the roles write it as it is, or say that they cannot follow it.

The roles run as ansible-operator runs them, against an API server of a few lines that validates
nothing: what the CRDs would refuse comes through here as well.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.printable import printable
from role_runs import (
    add_backup,
    add_claim,
    add_database,
    add_secret,
    resource,
    run,
    spec_of,
)
from string_fields import (
    EVALUATED,
    KINDS,
    SPECS,
    TEXTS,
    Path_,
    field_id,
    put,
    spec_with,
    string_fields,
    variant_with,
)
from stub_cluster import StubCluster
from warm_box import Outcome, WarmBox

# One that is a template and nothing else, which may come to more than a text; and all in one.
FORMS = {
    "template": "{{ 'evalu' ~ 'ated' ~ NUMBER }}",
    "all": " ".join(("NUMBER", *TEXTS.values())),
}

# What decides what is done at all: times that the API server takes no such texts for, and a Secret
# that must have certificates.
STEERING = {("spec", name) for name in ("schedule", "timeZone", "keepPrevious", "timeout")}
# Of a physical Backup only.
STEERING |= {("spec", name) for name in ("lsn", "pointInTime", "restorePoint", "xid")}
STEERING |= {("spec", "sourceDatabase")}
STEERING |= {("spec", "maintenanceWindows", 0, n) for n in ("schedule", "timeZone", "duration")}
STEERING |= {("spec", "tls", "secretRef", "name"), ("spec", "retry", "delay")}
# Of a schedule's retention, which makes nothing.
STEERING |= {("spec", "retentionPolicy", "keepWindow")}
# Quantities, from which parameters of the servers follow.
STEERING |= {("spec", "storage", "size"), ("spec", "resources", "requests", "any")}
STEERING |= {("spec", "resources", "limits", "any")}


def numbered(form: str, number: int) -> str:
    return form.replace("NUMBER", str(number))


def fields(*names: str) -> set[Path_]:
    """Return the paths that begin with one of these."""
    wanted = [("spec", *name.split(".")) for name in names]
    return {
        path
        for kind in KINDS
        for path in string_fields(kind)
        if any(path[: len(start)] == start for start in wanted)
    }


CASES = [
    # The role, the resource with the texts, which of its specs, and what the role does not read,
    # or not without a server: of that it writes nothing.
    ("database", "Database", 0, fields("backupRef", "jobs", "users", "databases", "postgresql")),
    ("backup", "Backup", 0, set()),
    ("backup", "Backup", 1, set()),
    ("backup", "Backup", 2, set()),
    ("backup", "Backup", 3, fields("include", "exclude", "encryption.recipients")),
    ("restore", "Restore", 0, set()),
    ("restore", "Backup", 0, fields("include", "exclude", "encryption.recipients")),
    (
        "restore",
        "Backup",
        1,
        fields("include", "exclude", "encryption.recipients", "destination.pvc"),
    ),
    ("backup_removal", "Backup", 0, fields("include", "exclude", "encryption")),
    ("backup_removal", "Backup", 1, fields("include", "exclude", "encryption", "destination.pvc")),
]


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text in a document, also in JSON inside of a text."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str):
        yield value
        if value.startswith("{"):
            with contextlib.suppress(ValueError):
                yield from texts_of(json.loads(value))


def written_by(
    cluster: StubCluster, before: dict[str, Any], outcome: Outcome
) -> list[dict[str, Any]]:
    """Return what a run wrote, of what was there before the status; nothing of it is evaluated."""
    assert outcome.code == 0, outcome.output
    written = [
        found if path not in before else found.get("status", {})
        for path, found in cluster.objects.items()
        if found != before.get(path)
    ]
    assert EVALUATED not in json.dumps(written) + outcome.output + outcome.read("stdout")
    for found in written:
        assert found.get("message", "").isprintable()
        for condition in found.get("status", found).get("conditions", []):
            assert condition["message"].isprintable()
    return written


def is_in(text: str, written: list[dict[str, Any]]) -> bool:
    return any(text in found or printable(text) in found for found in texts_of(written))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("role", "kind", "variant", "unread"), CASES)
def test_texts_come_through(
    box: WarmBox,
    cluster: StubCluster,
    role: str,
    kind: str,
    variant: int,
    unread: set[Path_],
    form: str,
) -> None:
    """All fields at once, each with a text of its own; what they name is there."""
    spec = copy.deepcopy(SPECS[kind][variant])
    texts = {}
    for number, path in enumerate(string_fields(kind, free=True)):
        here = variant_with(kind, path)
        if path not in STEERING and (here == variant or path[1] not in {"destination", "artifact"}):
            texts[path] = numbered(form, number)
            put(spec, path, texts[path])
            for add in (add_database, add_secret, add_backup):
                add(cluster, texts[path])
            if role != "backup" or "artifact" in spec:
                add_claim(cluster, texts[path])
    looked_at = resource(kind, "one", spec, numbered(form, 1000))
    if role == "restore" and kind == "Backup":
        add_backup(cluster, "nightly", spec, numbered(form, 1000))
        looked_at = resource("Restore", "one", spec_of("Restore"))
    if role == "backup_removal":
        spec["deletionPolicy"] = "Delete"
        looked_at["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        looked_at["status"] = {"phase": "Completed", "job": "one-backup"}
    cluster.add(looked_at)
    before = copy.deepcopy(cluster.objects)
    outcome = run(box, role, looked_at)
    written = written_by(cluster, before, outcome)
    lost = {field_id(path) for path, text in texts.items() if not is_in(text, written)}
    assert lost == {field_id(path) for path in unread & texts.keys()}, outcome.read("stdout")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_texts_of_a_database_come_to_the_pods_of_its_jobs(
    box: WarmBox, cluster: StubCluster, form: str
) -> None:
    spec = spec_of("Database")
    texts = {}
    for number, path in enumerate(string_fields("Database", free=True)):
        if path[:2] == ("spec", "jobs"):
            texts[path] = numbered(form, number)
            put(spec, path, texts[path])
    add_database(cluster, "app", spec)
    of_backup = spec_of("Backup")
    del of_backup["encryption"]
    looked_at = resource("Backup", "one", of_backup)
    cluster.add(looked_at)
    before = copy.deepcopy(cluster.objects)
    outcome = run(box, "backup", looked_at)
    written = written_by(cluster, before, outcome)
    lost = {field_id(path) for path, text in texts.items() if not is_in(text, written)}
    assert lost == set(), outcome.read("stdout")


@pytest.mark.parametrize(
    ("role", "kind", "path"),
    [
        ("backup", "Backup", ("spec", "databaseRef", "name")),
        ("backup", "Backup", ("spec", "destination", "s3", "credentialsSecretRef", "name")),
        ("backup", "Backup", ("spec", "schedule")),
        ("backup", "Backup", ("spec", "timeZone")),
        ("database", "Database", ("spec", "tls", "secretRef", "name")),
        ("restore", "Restore", ("spec", "databaseRef", "name")),
        ("restore", "Restore", ("spec", "backupRef", "name")),
    ],
    ids=field_id,
)
def test_what_is_not_there_is_named(
    box: WarmBox, cluster: StubCluster, role: str, kind: str, path: Path_
) -> None:
    text = numbered(FORMS["all"], 1)
    looked_at = resource(kind, "one", spec_with(kind, path, text), text)
    cluster.add(looked_at)
    before = copy.deepcopy(cluster.objects)
    written = written_by(cluster, before, run(box, role, looked_at))
    assert not cluster.of_kind("Job")
    messages = [
        condition["message"] for found in written for condition in found.get("conditions", [])
    ]
    ways = (printable(text), repr(text)[1:-1])
    assert any(way in message for way in ways for message in messages), messages
