"""Whatever text a resource has, the roles write it as it is, or say that they cannot follow it.

The roles run as ansible-operator runs them, against an API server of a few lines that validates
nothing: what the CRDs would refuse comes through here as well.
"""

from __future__ import annotations

import contextlib
import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.postgres.operator.plugins.module_utils.printable import printable
from collection_root import CHECKOUT, ensure_collection_root
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
from stub_cluster import StubCluster, serve
from warm_box import Outcome, WarmBox

VERSION = "database.example.com/v1"
ROLES = ensure_collection_root() / "ansible_collections" / "postgres" / "operator" / "roles"
SPACE = {"namespace": "shop"}
# One that is a template and nothing else, which may come to more than a text; and all in one.
FORMS = {
    "template": "{{ 'evalu' ~ 'ated' ~ NUMBER }}",
    "all": " ".join(("NUMBER", *TEXTS.values())),
}

# What decides what is done at all: times that the API server takes no such texts for, and a Secret
# that must have certificates.
STEERING = {("spec", name) for name in ("schedule", "timeZone", "keepPrevious", "timeout")}
STEERING |= {("spec", "tls", "secretRef", "name")}


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
    ("database", "Database", 0, fields("backupRef")),
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


def spec_of(kind: str) -> dict[str, Any]:
    """Return a valid spec."""
    spec = copy.deepcopy(SPECS[kind][0])
    spec.pop("backupRef" if kind == "Database" else "", None)
    return spec


def resource(kind: str, name: str, spec: Any, text: str = "", **status: Any) -> dict[str, Any]:
    """Return a resource; the text is in an annotation, since labels cannot have it."""
    metadata = {"name": name, **SPACE, "annotations": {"example.com/note": text}}
    found = {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return found | {"status": status} if status else found


@pytest.fixture(scope="module")
def box() -> Iterator[WarmBox]:
    made = WarmBox(Path(tempfile.mkdtemp(prefix="text-", dir="/tmp")))
    made.environment |= {
        "ANSIBLE_COLLECTIONS_PATH": str(ensure_collection_root()),
        "WARM_RUNNER_COLLECTIONS": "postgres.operator",
        "WARM_RUNNER_INLINE": "postgres.operator",
        "OPERATOR_IMAGE": "operator:1",
        "MAX_ACTIVE_BACKUPS": "0",
        "MAX_ACTIVE_BACKUPS_PER_DESTINATION": "0",
        "KUBECONFIG": str(made.folder / "kubeconfig"),
    }
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(box: WarmBox) -> Iterator[StubCluster]:
    cluster = StubCluster()
    with serve(cluster, box.folder):
        yield cluster


@pytest.fixture
def cluster(server: StubCluster) -> StubCluster:
    """A namespace with what is needed for everything to be made at once."""
    server.objects.clear()
    server.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    add_database(server, "app")
    add_claim(server, "app")
    add_backup(server, "nightly")
    add_secret(server, "secret")
    return server


def add_database(cluster: StubCluster, name: str) -> None:
    conditions = [{"type": "Ready", "status": "True", "reason": "Ready"}]
    ready = {"phase": "Ready", "writable": True, "encrypted": True, "conditions": conditions}
    cluster.add(resource("Database", name, spec_of("Database"), **ready))


def add_claim(cluster: StubCluster, database: str) -> None:
    metadata = {"name": f"{database}-backups", **SPACE}
    cluster.add(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {}}
    )


def add_backup(cluster: StubCluster, name: str, spec: Any = None, text: str = "") -> None:
    status = {"phase": "Completed", "sha256": "ab", "backupLocation": "s3://safe/shop/app/uid"}
    cluster.add(resource("Backup", name, spec or spec_of("Backup"), text, **status))


def add_secret(cluster: StubCluster, name: str) -> None:
    data = dict.fromkeys(("accessKeyId", "secretAccessKey", "ca.crt", "identity"), "YQ==")
    metadata = {"name": name, **SPACE}
    cluster.add({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def handed_over(kind: str, value: Any) -> Any:
    """Return what ansible-operator passes of a resource: marked where watches.yaml says so."""
    watches = yaml.safe_load((CHECKOUT / "watches.yaml").read_text())
    (watch,) = [found for found in watches if found["kind"] == kind]
    return unsafe(value) if watch.get("markUnsafe") else value


def unsafe(value: Any) -> Any:
    """Mark texts as ansible-operator does with `markUnsafe: true`."""
    if isinstance(value, dict):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unsafe(item) for item in value]
    return {"__ansible_unsafe": value} if isinstance(value, str) else value


def run(box: WarmBox, role: str, looked_at: dict[str, Any]) -> Outcome:
    """Run a role as ansible-operator does, with all that it passes along."""
    kind, name = looked_at["kind"], f"_database_example_com_{looked_at['kind'].lower()}"
    marked = handed_over(kind, looked_at)
    passed = marked["spec"] | {
        "ansible_operator_meta": {"name": looked_at["metadata"]["name"], **SPACE},
        name: marked,
        f"{name}_spec": marked["spec"],
    }
    folder = box.private_folder("", env__extravars=json.dumps(passed))
    arguments = [
        *("run", str(folder), "--rotate-artifacts", "20", "--role", role),
        *("--roles-path", f"{ROLES}/", "--hosts", "localhost", "-i", "1", "--role-skip-facts"),
    ]
    process = box.start(arguments)
    output, _ = process.communicate(timeout=120)
    return Outcome(folder, process.returncode, output)


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
        assert found.get("note", "").isprintable()
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
