"""The CRDs' rules, one by one: what is refused, with which words, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from custom_resources import Create, patch
from kubernetes.client.exceptions import ApiException

DATABASE: dict[str, Any] = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}}
BACKUP: dict[str, Any] = {"databaseRef": {"name": "app"}}
RESTORE: dict[str, Any] = {"databaseRef": {"name": "app"}, "backupRef": {"name": "nightly"}}
PLAN: dict[str, Any] = BACKUP | {"schedule": "0 3 * * *"}
SPECS = {"Database": DATABASE, "Backup": BACKUP, "Restore": RESTORE}

REPLICAS = "replicas counts the primary; write a number from 1 to 10"
SIZE = "size is a whole number with Gi or Mi, such as 10Gi or 500Mi"
SIZE_ZERO = "size is zero; write one that holds the data, such as 10Gi"
IMAGE = "image is not an image reference; write it like postgres:17"
DATABASE_NAME = "databaseName has a control character; write it without"
DATABASE_NAME_LONG = "databaseName is longer than 63 bytes in UTF-8, PostgreSQL's limit"
DATABASE_TAKEN = (
    "databaseName is one that every PostgreSQL server has for itself; write another name"
)
USERNAME = "username has a control character; write it without"
USERNAME_LONG = "username is longer than 63 bytes in UTF-8, PostgreSQL's limit"
USERNAME_TAKEN = "username is kept for the server and the operator; write another"
NAME_LONG = "the name is too long; use at most 50 characters"
NAME_SERVICE = "use lower-case letters, digits and '-', starting with a letter, without dots"
SCHEDULE = "schedule has five fields, minute hour day-of-month month day-of-week, such as"
TIME_ZONE = "timeZone is the name of a time zone, such as Europe/Berlin or UTC"
BACKUP_FIXED = (
    "databaseRef cannot be changed, nor schedule be added or left out; make another Backup"
)
TARGET = "targetDatabase has a control character; write it without"
CONTROL = ("a\n", "\ta", "a\x1b[2J", "a\x7f", "a\x85", "a\u2028b")
NAMES = (
    *("1app", "-app", "my app", " app ", 'a"b', "a'b", "a;b", "a.b", "a=b", "ä" * 31, "日本"),
    *("select", "user", "$user", "Größe", "{{ 6 * 7 }}", "postgresql://host/x", "a\\", "%s", "@a"),
)
"""What PostgreSQL takes as the name of a role or a database."""
TARGET_TAKEN = (
    "targetDatabase is one that every PostgreSQL server has for itself; write another name"
)
MOMENT = "pointInTime is a time with its zone; write it as 2026-01-31T14:03:00Z or"
PHYSICAL = (
    "a physical backup has all files of the server; leave out include, exclude, compression and"
)
SELECTION = "a selection needs targetDatabase; restore it beside the live database and copy what"
TABLE = "write a table as schema.table, with double quotes around a part that has a dot or a quote"
SELECTION_FIXED = "include and exclude cannot be changed without a schedule; make another Backup"
SOME: dict[str, Any] = {"tables": ["public.song"]}
S3: dict[str, Any] = {
    "endpoint": "https://s3:9000",
    "bucket": "backups",
    "credentialsSecretRef": {"name": "s3"},
}
ENDPOINT = "endpoint is the http(s) URL of a server, such as https://s3.example.com:9000"
BUCKET = "bucket is a name of 3 to 63 lower case letters, digits, '-' and '.'"
PREFIX = "prefix is names of letters, digits, '.', '_', '=' and '-' with single slashes between"
LEVEL = "level is 1 to 9 for gzip, 1 to 12 for lz4, 1 to 22 for zstd; leave it out for none"
MADE_WITH = "compression, parallelism, timeout and encryption cannot be changed without a schedule"
PUBLIC_KEY = "age1" + "q" * 58
OTHER_KEY = "age1" + "p" * 58
RECIPIENTS = "recipients are public keys; write what age-keygen prints after 'public key:', age1"
ENCRYPTION = "encryption needs recipients, the public keys to encrypt for, or secretRef"
IDENTITY = "verify: restore opens the backup, so it needs an identity; add encryption.secretRef"
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"
PASSWORDS = "passwords are stored encrypted only; add encryption, or leave passwords out"
ONE_ARTIFACT = "artifact is one backup, or the newest one; write either its uid or latest: true"
ADOPTED = BACKUP | {"artifact": {"uid": UID}}
TIMEOUT = "timeout is a whole number with h, m or s, such as 72h or 90m"
DELAY = "retry.delay is a whole number with h, m or s, such as 5m or 30s"
KEEP = "keepPrevious is a whole number with h, m or s, such as 24h, 30m or 0s"
JOBS_MINIMUM = "jobs.resources.limits.memory is too little for any Job; write at least 128Mi"
SWITCHOVER = "switchoverTo is the name of an instance of this Database; write one that"
PARAMETER_NAME = "postgresql.parameters has a name that is none of a parameter"
PARAMETER_KEPT = "postgresql.parameters has one that the operator or Patroni keeps"
NO_CONSENT = dict.fromkeys(
    ("loadAsSuperuser", "newerBackup", "passwords", "tryWithoutRoom", "endReplication"), False
)
NO_NAMES = ("..", ".", "../x", "a/b", "{{ 6 * 7 }}", "App", "a_b", "a\nb", "-a", "a.")


def in_s3(**change: Any) -> dict[str, Any]:
    """A Backup in a bucket; what is None is left out."""
    fields = {key: value for key, value in (S3 | change).items() if value is not None}
    return BACKUP | {"destination": {"s3": fields}}


def jobs(
    requests: dict[str, Any] | None = None, limits: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The Jobs of a Database; what is None is left out."""
    given = {"requests": requests, "limits": limits}
    resources = {kind: amounts for kind, amounts in given.items() if amounts is not None}
    return {"jobs": {"resources": resources}}


def archive(encryption: Any = None, **change: Any) -> dict[str, Any]:
    """An archive in a bucket."""
    found = {"destination": {"s3": S3 | change}}
    return {"archive": found if encryption is None else found | {"encryption": encryption}}


def parameters(**values: Any) -> dict[str, Any]:
    """Of a Database; `__` stands for a dot."""
    return {"postgresql": {"parameters": {k.replace("__", "."): v for k, v in values.items()}}}


def refusal(error: ApiException) -> str:
    assert error.status in {400, 422}, error
    return str(json.loads(error.body)["message"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(({"replicas": count}, REPLICAS) for count in (-1, 0, 11, 1000)),
        ({"replicas": "3"}, "must be of type integer"),
        ({"replicas": 1.5}, "must be of type integer"),
        *(
            ({"storage": {"size": size}}, SIZE)
            for size in ("10GB", "10", "Gi", "1.5Gi", "-1Gi", "10G", "10gi", "1 Gi", "1Ti", "")
        ),
        *(({"storage": {"size": size}}, SIZE_ZERO) for size in ("0Gi", "0Mi", "000Gi")),
        ({"storage": {"size": 10}}, "must be of type string"),
        ({"storage": {}}, "spec.storage.size: Required value"),
        ({"storage": None}, "spec.storage"),
        ({"storage": {"size": "1Gi", "storageClass": ""}}, "should be at least 1 chars long"),
        *(
            ({"image": image}, IMAGE)
            for image in ("a postgres", "-postgres", ":17", "a;ls", "postgres\n", "$(x)", "é")
        ),
        ({"image": ""}, "should be at least 1 chars long"),
        ({"image": "p" * 501}, "may not be more than 500"),
        *(({"databaseName": name}, DATABASE_NAME) for name in CONTROL),
        ({"databaseName": "ä" * 32}, DATABASE_NAME_LONG),
        *(({"databaseName": n}, DATABASE_TAKEN) for n in ("postgres", "template0", "template1")),
        ({"databaseName": ""}, "should be at least 1 chars long"),
        ({"databaseName": "a" * 64}, "may not be more than 63"),
        ({"databaseName": None}, "spec.databaseName"),
        *(({"username": name}, USERNAME) for name in CONTROL),
        ({"username": "ä" * 32}, USERNAME_LONG),
        *(
            ({"username": name}, USERNAME_TAKEN)
            for name in ("postgres", "standby", "rewind", "public", "none", "pg_monitor", "pg_")
        ),
        ({"username": ""}, "should be at least 1 chars long"),
        ({"username": "a" * 64}, "may not be more than 63"),
        ({"username": None}, "spec.username"),
        ({"reclaimPolicy": "retain"}, 'supported values: "Retain", "Delete"'),
        ({"resources": {"limits": {"memory": "much"}}}, "spec.resources.limits.memory"),
        *(
            (jobs(limits={"memory": little}), JOBS_MINIMUM)
            for little in ("127Mi", 1, "0", "134217727", "128M")
        ),
        *(
            (jobs(limits={"memory": odd}), "spec.jobs.resources.limits.memory")
            for odd in ("much", "1Gib", "-1Gi", "1e9", "{{ 6 * 7 }}")
        ),
        (
            jobs({"memory": "1Gi"}, {"memory": "1023Mi"}),
            "jobs.resources.requests.memory exceeds limits.memory; raise the limit",
        ),
        (jobs({"memory": "2Gi"}), "jobs.resources.requests.memory exceeds limits.memory"),
        (
            jobs({"cpu": 2}, {"cpu": "1999m"}),
            "jobs.resources.requests.cpu (100m without requests) exceeds limits.cpu",
        ),
        (jobs(limits={"cpu": "50m"}), "jobs.resources.requests.cpu (100m without requests)"),
        (
            jobs({"ephemeral-storage": "2Gi"}, {"ephemeral-storage": "1Gi"}),
            "jobs.resources.requests.ephemeral-storage exceeds limits.ephemeral-storage",
        ),
        *(
            ({"postgresql": {"parameters": {parameter: "1"}}}, PARAMETER_NAME)
            for parameter in ("Work_Mem", "work mem", "a.b.c", "work_mem\nfsync", "1a", "a=b", "a" * 64)
        ),
        *(
            (parameters(**{parameter: "1"}), PARAMETER_KEPT)
            for parameter in ("fsync", "port", "archive_command", "primary_conninfo", "data_directory")
        ),
        (parameters(ssl="off"), "postgresql.parameters has one of TLS; use spec.tls"),
        (parameters(role="postgres"), "postgresql.parameters has one that only a session can have"),
        (parameters(shared_preload_libraries="a"), "use postgresql.preload"),
        (parameters(log_line_prefix="a\nport = 1"), "a value with a control character"),
        (parameters(work_mem="1" * 1001), "may not be more than 1000"),
        (parameters(work_mem=1.5), "spec.postgresql.parameters.work_mem"),
        (parameters(jit=True), "spec.postgresql.parameters.jit"),
        ({"postgresql": {"parameters": {f"a.b{n}": "1" for n in range(201)}}}, "at most 200"),
        *(
            ({"postgresql": {"preload": [library]}}, "postgresql.preload takes names of libraries")
            for library in ("../x", "/lib/x.so", "a,b", "a b", "$libdir/a")
        ),
        ({"postgresql": {"preload": ["a", "a"]}}, "Duplicate value"),
        *(
            ({"postgresql": {"hba": [line]}}, message)
            for line, message in (
                ("local all all peer", "postgresql.hba has what is no line for connections over"),
                ("include x", "postgresql.hba has what is no line for connections over"),
                ("hostssl all all all scram-sha-256\nhost all all all x", "what is no line for"),
                ("hostssl all all all trust", "trust, peer or ident, which ask for no proof"),
                ("hostssl all all all\tident map=x", "trust, peer or ident, which ask for no"),
                ("hostssl all all all md5", "with another method than scram-sha-256, cert, gss"),
                ("host all all all password", "which passwords are sent in clear text"),
                ("hostnossl all all all ldap", "which passwords are sent in clear text"),
                ("host all all all scram-sha-256", "without TLS, which tls.clients does not"),
                ("hostssl a b all ldap ldapbindpasswd=x", "which all see who may read the Data"),
                ("hostssl a b all reject" + " " * 400, "may not be more than 400"),
            )
        ),
        ({"postgresql": {"hba": ["hostssl a b all reject"] * 65}}, "must have at most 64 items"),
        *(
            ({"switchoverTo": text}, SWITCHOVER)
            for text in ("a", "other-1", "-1", "1", "a-1 ", "a-1\n-1", "{{ 6 * 7 }}")
        ),
        *(
            ({"maintenanceWindows": [{"schedule": "0 3 * * 6", "duration": "2h"} | wrong]}, message)
            for wrong, message in (
                ({"schedule": "0 3 * *"}, "schedule has five fields"),
                ({"schedule": "@daily"}, "schedule has five fields"),
                ({"schedule": None}, "spec.maintenanceWindows[0].schedule"),
                *(
                    ({"duration": text}, "duration is a whole number with h or m, such as 2h")
                    for text in ("2", "0h", "1.5h", "30s", "2h30m", "-1h")
                ),
                ({"duration": None}, "spec.maintenanceWindows[0].duration"),
                ({"timeZone": "a b"}, TIME_ZONE),
            )
        ),
        ({"maintenanceWindows": []}, "should have at least 1 items"),
        *(
            ({"replicas": replicas, "replication": replication}, message)
            for replicas, replication, message in (
                (1, {"synchronous": "required"}, "commits would wait for ever; raise replicas"),
                (1, {"synchronous": "quorum"}, "commits would wait for ever; raise replicas"),
                (3, {"synchronous": "required", "synchronousCount": 3}, "would wait for ever"),
                (3, {"synchronous": "quorum", "synchronousCount": 4}, "would wait for ever"),
                (3, {"synchronous": "preferred", "synchronousCount": 3}, "is none of them"),
                (3, {"synchronous": "on"}, "supported values"),
                (3, {"synchronous": False}, "must be of type string"),
                (3, {"synchronous": "quorum", "synchronousCount": 0}, "write one from 1 to 9"),
                (3, {"synchronousCount": 10}, "write one from 1 to 9"),
            )
        ),
        ({"agentUpdate": "Window"}, "agentUpdate: Window waits for a maintenance window; add"),
        ({"switchoverTo": ""}, "should be at least 1 chars long"),
        ({"archive": {}}, "spec.archive.destination: Required value"),
        ({"archive": {"destination": {}}}, "spec.archive.destination.s3: Required value"),
        (archive(bucket="B"), "bucket is a name of 3 to 63 lower case letters"),
        (archive(endpoint="s3.example.com"), "endpoint is the http(s) URL of a server"),
        (archive({"recipients": []}), "should have at least 1 items"),
        (archive({}), "spec.archive.encryption.recipients: Required value"),
        (
            archive({"recipients": ["AGE-SECRET-KEY-1X"]}),
            "An AGE-SECRET-KEY-... belongs into no Database",
        ),
    ],
)  # fmt: skip
def test_a_database_is_refused(
    create: Create, name: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiException) as caught:
        create("Database", name, DATABASE | change, dry_run="All")
    assert message in refusal(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"replicas": 1},
        {"replicas": 10},
        {"storage": {"size": "1Mi"}},
        {"storage": {"size": "010Gi"}},
        {"storage": {"size": "1Gi", "storageClass": "standard"}},
        {"image": "registry.example.com:5000/a/postgres:17.2-alpine3.20"},
        {"image": "postgres@sha256:" + "0" * 64},
        *({"databaseName": name} for name in NAMES),
        *({"username": name} for name in NAMES),
        {"databaseName": "_a-B_9"},
        {"databaseName": "a" * 63},
        {"databaseName": "select"},
        {"username": "_a-B_9"},
        {"username": "a" * 63},
        {"username": "pgbouncer"},
        {"reclaimPolicy": "Delete"},
        {"paused": True},
        {
            "maintenanceWindows": [
                {"schedule": "0 3 * * 6", "duration": "2h", "timeZone": "Europe/Berlin"},
                {"schedule": "*/5 0-3 1,15 JAN-MAR *", "duration": "90m"},
            ],
            "agentUpdate": "Window",
        },
        {"resources": {"requests": {"cpu": 1, "memory": "256Mi"}, "limits": {"memory": "1G"}}},
        jobs({"cpu": 1, "memory": "128Mi"}, {"cpu": "1", "memory": "0.125Gi"}),
        jobs({}, {}),
        jobs({"memory": 134217728, "ephemeral-storage": "1Gi"}, {"memory": 134217728}),
        {"jobs": {}},
        {"replicas": 1, "replication": {"synchronous": "preferred", "synchronousCount": 1}},
        {"replicas": 2, "replication": {"synchronous": "required", "synchronousCount": 1}},
        {"replicas": 3, "replication": {"synchronous": "quorum", "synchronousCount": 2}},
        {"postgresql": {}},
        {"postgresql": {"preload": ["pg_stat_statements", "auto_explain"]}},
        {"postgresql": {"hba": ['hostssl app "my user" 10.0.0.0/8 scram-sha-256'] * 64}},
        {"postgresql": {"hba": ["host all all 10.0.0.0\t255.0.0.0 reject"]}},
        {
            "postgresql": {"hba": ["host all all all scram-sha-256"]},
            "tls": {"clients": "Prefer"},
        },
        parameters(work_mem="16MB", max_connections=200, auto_explain__log_min_duration="1s"),
        parameters(log_line_prefix="%m [%p] '{{ 6 * 7 }}' ", datestyle="iso, dmy"),
        {"postgresql": {"parameters": {f"a.b{n}": "1" for n in range(200)}}},
        archive(),
        archive({"recipients": [PUBLIC_KEY]}, prefix="team/wal", pathStyle=True),
    ],
)
def test_a_database_is_accepted(create: Create, name: str, change: dict[str, Any]) -> None:
    assert (
        create("Database", name, DATABASE | change, dry_run="All")["spec"].items() >= change.items()
    )


def test_a_restore_is_into_a_database_of_any_name(create: Create, name: str) -> None:
    for target in NAMES:
        made = create("Restore", name, RESTORE | {"targetDatabase": target}, dry_run="All")
        assert made["spec"]["targetDatabase"] == target


def test_a_switchover_is_to_an_instance_of_the_database(create: Create, name: str) -> None:
    for asked in (f"{name}-0", f"{name}-10"):
        create("Database", name, DATABASE | {"switchoverTo": asked}, dry_run="All")
    for asked in (f"{name}-", f"{name}-01", f"{name}-100", f"{name}-1-1", f"x{name}-1", name):
        with pytest.raises(ApiException) as caught:
            create("Database", name, DATABASE | {"switchoverTo": asked}, dry_run="All")
        assert SWITCHOVER in refusal(caught.value)


def test_what_a_job_is_not_given_is_defaulted(create: Create, name: str) -> None:
    made = create("Database", name, DATABASE | jobs(limits={"memory": "2Gi"}), dry_run="All")
    assert made["spec"]["jobs"]["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"memory": "2Gi"},
    }


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("Database", "a" * 51, NAME_LONG),
        ("Database", "my.database", NAME_SERVICE),
        ("Database", "1database", NAME_SERVICE),
        ("Database", "My-database", "a lowercase RFC 1123 subdomain"),
        ("Backup", "a" * 201, "the name is too long; use at most 200 characters"),
        ("Restore", "a" * 201, "the name is too long; use at most 200 characters"),
    ],
)
def test_a_name_is_refused(create: Create, kind: str, name: str, message: str) -> None:
    with pytest.raises(ApiException) as caught:
        create(kind, name, SPECS[kind], dry_run="All")
    assert message in refusal(caught.value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Database", "a" * 50), ("Database", "a-1"), ("Backup", "a" * 200), ("Restore", "1.of-2")],
)
def test_a_name_is_accepted(create: Create, kind: str, name: str) -> None:
    assert create(kind, name, SPECS[kind], dry_run="All")["metadata"]["name"] == name


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("Backup", {}, "spec.databaseRef: Required value"),
        ("Backup", {"databaseRef": {}}, "spec.databaseRef.name: Required value"),
        ("Backup", {"databaseRef": {"name": ""}}, "should be at least 1 chars long"),
        ("Backup", {"databaseRef": "app"}, "must be of type object"),
        ("Backup", None, "spec"),
        ("Backup", BACKUP | {"verify": "yes"}, 'supported values: "checksum", "restore"'),
        ("Backup", BACKUP | {"deletionPolicy": "delete"}, 'supported values: "Retain", "Delete"'),
        *(
            ("Backup", BACKUP | {"schedule": s}, SCHEDULE)
            for s in ("", "@daily", "0 3 * *", "* * ? * *")
        ),
        *(("Backup", PLAN | {"timeZone": zone}, TIME_ZONE) for zone in ("", "/", "a b", "a//b")),
        ("Backup", PLAN | {"retention": 0}, "should be greater than or equal to 1"),
        ("Backup", PLAN | {"retention": 1001}, "should be less than or equal to 1000"),
        *(
            (
                "Backup",
                PLAN | {"retentionPolicy": {keep: 0}},
                "should be greater than or equal to 1",
            )
            for keep in ("keepDaily", "keepWeekly", "keepMonthly")
        ),
        *(
            (
                "Backup",
                PLAN | {"method": "physical", "retentionPolicy": {"keepWindow": text}},
                "write it as 14d or 36h",
            )
            for text in ("", "14", "0d", "1w", "1.5d", "14 d")
        ),
        (
            "Backup",
            PLAN | {"retentionPolicy": {"keepWindow": "14d"}},
            "leave retentionPolicy.keepWindow out, or write method: physical",
        ),
        ("Backup", PLAN | {"concurrencyPolicy": "Replace"}, 'supported values: "Forbid", "Allow"'),
        ("Backup", PLAN | {"startingDeadlineSeconds": 59}, "should be greater than or equal to 60"),
        *(
            ("Backup", BACKUP | change, "need a schedule; add schedule or leave them out")
            for change in (
                {"timeZone": "UTC"},
                {"suspend": True},
                {"concurrencyPolicy": "Allow"},
                {"startingDeadlineSeconds": 60},
                {"retention": 3},
                {"retentionPolicy": {"keepDaily": 3}},
            )
        ),
        *(
            (kind, spec, message)
            for text in NO_NAMES
            for kind, spec, message in (
                ("Backup", {"databaseRef": {"name": text}}, "databaseRef.name is no name of a"),
                ("Restore", RESTORE | {"databaseRef": {"name": text}}, "databaseRef.name is no"),
                (
                    "Restore",
                    RESTORE | {"backupRef": {"name": text}},
                    "backupRef.name is no name of",
                ),
                (
                    "Backup",
                    BACKUP | {"encryption": {"secretRef": {"name": text}}},
                    "secretRef.name is no name of a Secret; write one such as backup-key",
                ),
                ("Backup", in_s3(credentialsSecretRef={"name": text}), "credentialsSecretRef.name"),
                ("Backup", in_s3(caSecretRef={"name": text}), "caSecretRef.name is no name of a"),
                ("Database", DATABASE | {"backupRef": {"name": text}}, "backupRef.name is no name"),
            )
        ),
        ("Restore", BACKUP, "spec.backupRef: Required value"),
        *(
            ("Restore", RESTORE | {"targetDatabase": target}, message)
            for target, message in (
                ("", "should be at least 1 chars long"),
                ("a" * 64, "may not be more than 63"),
                ("postgres", TARGET_TAKEN),
                ("template1", TARGET_TAKEN),
                *((text, TARGET) for text in CONTROL),
                ("ä" * 32, "targetDatabase is longer than 63 bytes in UTF-8"),
            )
        ),
        *(
            refused
            for moment in ("yesterday", "2026-01-31 02:00:00Z", "2026-01-31T02:00:00", "now")
            for refused in (
                ("Restore", RESTORE | {"pointInTime": moment}, MOMENT),
                (
                    "Database",
                    DATABASE | {"backupRef": {"name": "b", "pointInTime": moment}},
                    MOMENT,
                ),
            )
        ),
        ("Restore", RESTORE | {"pointInTime": "2026-02-31T02:00:00Z"}, "spec.pointInTime"),
        *(
            refused
            for target, message in (
                ({"restorePoint": " before"}, "restorePoint is a name in ASCII"),
                ({"restorePoint": "vor der Änderung"}, "restorePoint is a name in ASCII"),
                ({"lsn": "3000028"}, "lsn is two hexadecimal numbers"),
                ({"xid": "0"}, "xid is the number of a transaction"),
                ({"xid": "741", "latest": True}, "has one target"),
                ({"pointInTime": "2026-01-31T02:00:00Z", "lsn": "0/1"}, "has one target"),
            )
            for refused in (
                ("Restore", RESTORE | target, message),
                ("Database", DATABASE | {"backupRef": {"name": "b", **target}}, message),
            )
        ),
        ("Restore", RESTORE | {"sourceDatabase": ""}, "spec.sourceDatabase"),
        (
            "Database",
            DATABASE | {"backupRef": {"name": "b", "wholeServer": True, "sourceDatabase": "app"}},
            "wholeServer brings all databases of the server, under their names; leave sourceDatabase out",
        ),
        *(
            ("Backup", BACKUP | {"method": "physical"} | other, PHYSICAL)
            for other in (
                {"include": SOME},
                {"exclude": SOME},
                {"compression": {"method": "zstd"}},
            )
        ),
        ("Backup", BACKUP | {"method": "incremental"}, "spec.method"),
        ("Backup", BACKUP | {"maxRate": 1024}, "maxRate is for physical backups; write method"),
        ("Backup", BACKUP | {"method": "physical", "maxRate": 1}, "spec.maxRate"),
        ("Restore", RESTORE | {"include": SOME}, SELECTION),
        ("Restore", RESTORE | {"exclude": SOME}, SELECTION),
        ("Restore", RESTORE | {"dryRun": "yes"}, "must be of type boolean"),
        *(
            (kind, spec | {key: value}, message)
            for kind, spec in (("Backup", BACKUP), ("Restore", RESTORE | {"targetDatabase": "b"}))
            for key in ("include", "exclude")
            for value, message in (
                ({}, "should have at least 1 properties"),
                ({"tables": []}, "should have at least 1 items"),
                ({"schemas": [""]}, "should be at least 1 chars long"),
                *(({"tables": [t]}, TABLE) for t in ("song", "a.b.c", ".song", 'a."b', 'a.b"', "")),
            )
        ),
        *(
            ("Backup", in_s3(**{key: value}), message)
            for key, message, values in (
                (
                    "endpoint",
                    ENDPOINT,
                    (
                        "s3.example.com",
                        "ftp://a",
                        "https://user:word@host",
                        "https://a//b",
                        "https://a/../b",
                        "https://a/b?c",
                        "https://",
                    ),
                ),
                (
                    "proxy",
                    "proxy is the http(s) URL of a proxy without a password, such as",
                    (
                        "proxy:3128",
                        "http://user:word@proxy:3128",
                        "http://proxy/path",
                        "",
                        "ftp://a",
                    ),
                ),
                ("region", "region is a name such as eu-central-1", ("eu central", "", "a/b")),
                ("bucket", BUCKET, ("Bad_Bucket", "a..b", "ab", "-ab", "a/b", "a" * 62 + "-")),
                ("prefix", PREFIX, ("/team", "team//x", "team/", "../other", "a/./b", "a b", "")),
            )
            for value in values
        ),
        ("Backup", in_s3(endpoint=None), "s3 needs the endpoint of a server, or a region of"),
        ("Backup", in_s3(credentialsSecretRef=None), "s3.credentialsSecretRef: Required value"),
        *(
            ("Backup", BACKUP | {"destination": places}, "destination is either pvc or s3; write")
            for places in ({}, {"pvc": {}, "s3": S3})
        ),
        *(
            ("Backup", BACKUP | {"artifact": artifact}, ONE_ARTIFACT)
            for artifact in ({}, {"latest": False}, {"latest": True, "uid": UID})
        ),
        (
            "Backup",
            BACKUP | {"artifact": {"latest": True, "sha256": "0" * 64}},
            "sha256 is that of one backup; add its uid",
        ),
        *(
            ("Backup", BACKUP | {"artifact": {"uid": UID} | {name: value}}, f"artifact.{name} is")
            for name, values in (
                ("namespace", ("../x", "A", "a.b", "")),
                ("database", ("../x", "A", "a/b", "")),
                ("uid", ("latest", UID.upper(), UID + "0", "../x", "")),
                ("sha256", ("sha256:" + "0" * 57, "0" * 63, "")),
            )
            for value in values
        ),
        *(
            ("Backup", ADOPTED | more, "artifact takes a backup as it is in the store; leave out")
            for more in (
                {"schedule": "0 3 * * *"},
                {"include": SOME},
                {"exclude": SOME},
                {"compression": {"method": "none"}},
                {"passwords": True, "encryption": {"secretRef": {"name": "backup-key"}}},
            )
        ),
        ("Backup", BACKUP | {"passwords": True}, PASSWORDS),
        ("Backup", PLAN | {"passwords": True}, PASSWORDS),
        (
            "Backup",
            ADOPTED | {"encryption": {"recipients": [PUBLIC_KEY]}},
            "artifact reads an encrypted backup, so it needs an identity; add encryption.secretRef",
        ),
        (
            "Backup",
            BACKUP | {"artifact": {"latest": True}, "verify": "restore"},
            "verify: restore needs artifact.uid; write it in place of latest",
        ),
        *(
            (
                "Backup",
                BACKUP | {"destination": {"pvc": {"size": size}}},
                "size is a number with Gi or Mi, such as 10Gi",
            )
            for size in ("10", "0Gi", "1.5Gi", "10GB")
        ),
        *(
            ("Backup", BACKUP | {"compression": {"method": method, "level": level}}, LEVEL)
            for method, level in (("gzip", 10), ("lz4", 13), ("none", 1))
        ),
        ("Backup", BACKUP | {"compression": {"level": 23}}, "should be less than or equal to 22"),
        *(
            ("Backup", BACKUP | {"parallelism": count}, message)
            for count, message in (
                (0, "greater than or equal to 1"),
                (17, "less than or equal to 16"),
            )
        ),
        ("Restore", {"backupRef": {"name": "b"}}, "spec.databaseRef: Required value"),
        *(
            ("Restore", RESTORE | {"keepPrevious": keep}, KEEP)
            for keep in ("1d", "24", "h", "-1h", "1.5h", "1h30m", "", "1234567s")
        ),
    ],
)
def test_a_spec_is_refused(create: Create, name: str, kind: str, spec: Any, message: str) -> None:
    with pytest.raises(ApiException) as caught:
        create(kind, name, spec, dry_run="All")
    assert message in refusal(caught.value)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        *(
            ("Restore", RESTORE | {"keepPrevious": keep})
            for keep in ("0s", "30m", "24h", "999999h")
        ),
        ("Backup", BACKUP | {"verify": "restore", "deletionPolicy": "Delete"}),
        *(
            ("Backup", in_s3(**change))
            for change in (
                {"endpoint": "http://[fd00::1]:9000/", "prefix": "team/a..b=c", "sse": "aws:kms"},
                {
                    "endpoint": "https://a.b/storage/v1/s3/",
                    "proxy": "http://proxy.example.com:3128",
                },
                {"endpoint": None, "region": "eu-central-1", "bucket": "a.b-9", "pathStyle": True},
            )
        ),
        *(
            ("Backup", BACKUP | {"compression": {"method": method, "level": level}})
            for method, level in (("gzip", 9), ("lz4", 12), ("zstd", 22))
        ),
        ("Backup", {"databaseRef": {"name": "a-1.b"}}),
        (
            "Backup",
            PLAN | {"passwords": True, "encryption": {"recipients": [PUBLIC_KEY]}},
        ),
        (
            "Restore",
            RESTORE | {"consent": NO_CONSENT | {"passwords": True}},
        ),
        ("Backup", in_s3(caSecretRef={"name": "9.a-b"})),
        ("Backup", BACKUP | {"include": {"schemas": ["a b.c"], "tables": ['"a.""b"".c".d e ü']}}),
        ("Backup", PLAN | {"exclude": {"tables": ["public.log", 'public."a.b"']}}),
        (
            "Restore",
            RESTORE | {"consent": NO_CONSENT | {"endReplication": True}},
        ),
        ("Restore", RESTORE | {"targetDatabase": "_A-9", "include": SOME, "exclude": SOME}),
        *(
            ("Backup", PLAN | {"schedule": schedule})
            for schedule in ("* * * * *", "*/5 0-6,18-23 1,L * mon-fri", "0  3 1 JAN 5#2")
        ),
        *(("Backup", PLAN | {"timeZone": z}) for z in ("UTC", "Europe/Berlin", "Etc/GMT+5")),
        (
            "Backup",
            PLAN
            | {
                "suspend": True,
                "concurrencyPolicy": "Allow",
                "startingDeadlineSeconds": 60,
                "retention": 1,
                "retentionPolicy": {"keepDaily": 7, "keepWeekly": 4, "keepMonthly": 12},
            },
        ),
        *(
            ("Backup", PLAN | {"method": "physical", "retentionPolicy": {"keepWindow": text}})
            for text in ("14d", "36h")
        ),
    ],
)
def test_a_spec_is_accepted(create: Create, name: str, kind: str, spec: dict[str, Any]) -> None:
    assert create(kind, name, spec, dry_run="All")["spec"].items() >= spec.items()


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        (
            "Database",
            {
                "image": "postgres:17",
                "replicas": 1,
                "reclaimPolicy": "Retain",
                "agentUpdate": "WithRestart",
                "tls": {"clients": "Require"},
            },
        ),
        (
            "Backup",
            {
                "verify": "checksum",
                "method": "logical",
                "parallelism": 2,
                "passwords": False,
                "deletionPolicy": "Retain",
                "timeout": "72h",
            },
        ),
        (
            "Restore",
            {"keepPrevious": "24h", "dryRun": False, "safetyBackup": True, "timeout": "72h"},
        ),
    ],
)
def test_what_is_not_given_has_a_default_and_the_phase_is_pending(
    create: Create, name: str, kind: str, defaults: dict[str, Any]
) -> None:
    created = create(kind, name, SPECS[kind], dry_run="All")
    assert created["spec"] == SPECS[kind] | defaults
    assert created["status"] == {"phase": "Pending"}


@pytest.mark.parametrize("kind", SPECS)
def test_an_unknown_field_is_refused(create: Create, name: str, kind: str) -> None:
    with pytest.raises(ApiException) as caught:
        create(kind, name, SPECS[kind] | {"databaseNmae": "app"}, dry_run="All")
    assert 'unknown field "spec.databaseNmae"' in refusal(caught.value)


def test_an_unknown_field_is_dropped_where_the_client_does_not_mind(
    create: Create, name: str
) -> None:
    spec = DATABASE | {"databaseNmae": "app"}
    created = create("Database", name, spec, field_validation="Ignore", dry_run="All")
    assert "databaseNmae" not in created["spec"]


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (
            "Database",
            {"storage": {"size": "1023Mi"}},
            "storage.size cannot be less than the largest volume has, status.storage.largest",
        ),
        (
            "Database",
            {"storage": {"storageClass": "other"}},
            "storageClass cannot be changed; create another Database with that class",
        ),
        ("Database", {"databaseName": "other"}, "databaseName cannot be changed"),
        ("Database", {"username": "other"}, "username cannot be changed"),
        ("Database", {"backupRef": {"name": "b"}}, "backupRef cannot be changed, for it says what"),
        ("Backup", {"databaseRef": {"name": "other"}}, BACKUP_FIXED),
        ("Backup", {"schedule": "0 3 * * *"}, BACKUP_FIXED),
        (
            "Backup",
            {"verify": "restore"},
            "verify cannot be changed without a schedule; make another",
        ),
        ("Backup", {"artifact": {"latest": True}}, "artifact cannot be changed; make another"),
        ("Backup", {"include": SOME}, SELECTION_FIXED),
        ("Backup", {"exclude": SOME}, SELECTION_FIXED),
        *(
            ("Backup", {"destination": place}, "destination cannot be changed; make another")
            for place in ({"pvc": {"size": "1Gi"}}, {"s3": S3})
        ),
        *(
            ("Backup", change, MADE_WITH)
            for change in (
                {"parallelism": 4},
                {"compression": {"method": "none"}},
                {"encryption": {"secretRef": {"name": "key"}}},
                {"encryption": {"recipients": [PUBLIC_KEY]}},
                {"timeout": "1h"},
            )
        ),
        ("Backup", {"passwords": True}, "passwords cannot be changed without a schedule; make"),
        ("Restore", {"backupRef": {"name": "other"}}, "a Restore cannot be changed; make another"),
        ("Restore", {"keepPrevious": "1h"}, "a Restore cannot be changed; make another"),
    ],
)
def test_a_change_is_refused(
    create: Create, name: str, kind: str, change: dict[str, Any], message: str
) -> None:
    created = create(kind, name, SPECS[kind])
    with pytest.raises(ApiException) as caught:
        patch(created, change)
    assert message in refusal(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 3},
        {"image": "postgres:16"},
        {"reclaimPolicy": "Delete"},
        {"resources": {"limits": {"memory": "1Gi"}}},
        {"jobs": {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}}},
        {"storage": {"size": "1Gi"}},
        {"storage": {"size": "1024Mi"}},
        {"storage": {"size": "2Gi"}},
    ],
)
def test_a_change_of_a_database_is_accepted(
    create: Create, name: str, change: dict[str, Any]
) -> None:
    created = create("Database", name, DATABASE)
    assert patch(created, change)["spec"].items() >= change.items()


def test_the_place_of_an_archive_stays_and_its_recipients_may_change(
    create: Create, name: str
) -> None:
    created = create("Database", name, DATABASE | archive({"recipients": [PUBLIC_KEY]}))
    for change, message in (
        (archive(prefix="other"), "archive.destination cannot be changed; remove archive, wait"),
        ({"archive": {"encryption": None}}, "archive.encryption cannot be added or removed"),
    ):
        with pytest.raises(ApiException) as caught:
            patch(created, change)
        assert message in refusal(caught.value)
    patch(created, {"archive": {"encryption": {"recipients": [OTHER_KEY]}}})
    patch(created, {"archive": None})
    patch(created, archive(prefix="other"))


def test_a_size_that_no_volume_has_reached_can_be_taken_back(create: Create, name: str) -> None:
    """As where the StorageClass does not let volumes grow."""
    created = create("Database", name, DATABASE)
    patch(created, {"storage": {"size": "20Gi"}})
    patch(created, {"storage": {"smallest": "1Gi", "largest": "2Gi"}}, status=True)
    with pytest.raises(ApiException) as caught:
        patch(created, {"storage": {"size": "1Gi"}})
    assert "storage.size cannot be less than the largest volume" in refusal(caught.value)
    assert patch(created, {"storage": {"size": "2Gi"}})["spec"]["storage"]["size"] == "2Gi"


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        *(
            ("Backup", {"encryption": {"recipients": [PUBLIC_KEY, wrong]}}, RECIPIENTS)
            for wrong in ("AGE-SECRET-KEY-1" + "Q" * 58, "age1short", PUBLIC_KEY.upper(), "ssh-rsa")
        ),
        ("Backup", {"encryption": {}}, ENCRYPTION),
        (
            "Backup",
            {"encryption": {"recipients": [PUBLIC_KEY]}, "verify": "restore"},
            IDENTITY,
        ),
        *(
            ("Backup", {"retry": {"times": 1, "delay": wrong}}, DELAY)
            for wrong in ("0s", "1d", "1h30m", "-1h", "h")
        ),
        *(
            ("Backup", {"retry": {"times": wrong}}, "spec.retry.times")
            for wrong in (0, -1, 11, "2", 1.5)
        ),
        ("Backup", {"retry": {"delay": "5m"}}, "spec.retry.times: Required value"),
        *(
            (kind, {"timeout": wrong}, TIMEOUT)
            for kind in ("Backup", "Restore")
            for wrong in ("0s", "1d", "1h30m", "-1h", "h")
        ),
    ],
)
def test_keys_and_timeouts_that_are_none_are_refused(
    create: Create, name: str, kind: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiException) as caught:
        create(kind, name, SPECS[kind] | change, dry_run="All")
    assert message in refusal(caught.value)
    assert "SECRET-KEY-1" not in str(caught.value.body), "what was given is not repeated"


def test_what_opens_a_backup_may_be_said_later(create: Create, name: str) -> None:
    encryption = {"recipients": [PUBLIC_KEY]}
    created = create("Backup", name, BACKUP | {"encryption": encryption})
    assert created["spec"]["timeout"] == "72h"
    both = encryption | {"secretRef": {"name": "key"}}
    assert patch(created, {"encryption": both})["spec"]["encryption"] == both
    with pytest.raises(ApiException) as caught:
        patch(created, {"encryption": {"recipients": [PUBLIC_KEY, PUBLIC_KEY]}})
    assert MADE_WITH in refusal(caught.value)


def test_the_name_of_a_schedule_is_in_a_label_of_its_runs(create: Create) -> None:
    assert create("Backup", "a" * 63, PLAN, dry_run="All")
    with pytest.raises(ApiException) as caught:
        create("Backup", "a" * 64, PLAN, dry_run="All")
    assert "with a schedule is too long; use at most 63 characters" in refusal(caught.value)


@pytest.mark.parametrize(
    "change", [{"schedule": "0 4 * * *"}, {"suspend": True}, {"retention": 1}, {"include": SOME}]
)
def test_a_change_of_a_schedule_is_accepted(
    create: Create, name: str, change: dict[str, Any]
) -> None:
    created = create("Backup", name, PLAN | {"suspend": False})
    assert patch(created, change)["spec"].items() >= change.items()
