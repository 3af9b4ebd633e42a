"""What a physical Backup needs of the archive of its Database."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.kept_wal import (
    kept_from,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.physical import (
    find_archive_block,
    physical_variables,
)

S3: dict[str, Any] = {
    "endpoint": "https://s3:9000",
    "bucket": "backups",
    "credentialsSecretRef": {"name": "s3"},
}
ONE, OTHER = "age1one", "age1other"


def database(archive: dict[str, Any] | None, **status: Any) -> dict[str, Any]:
    metadata = {"name": "app", "namespace": "shop", "uid": "0f8fad5b"}
    spec = {} if archive is None else {"archive": archive}
    return {"metadata": metadata, "spec": spec, "status": status}


def backup(**spec: Any) -> dict[str, Any]:
    return {"spec": {"databaseRef": {"name": "app"}, "method": "physical", **spec}}


@pytest.mark.parametrize(
    ("archive", "spec", "recipients", "reason", "message"),
    [
        (None, {}, [], "ArchiveMissing", "add spec.archive to the Database"),
        ({"destination": {"s3": S3}}, {}, [], "ArchiveMissing", "has another destination"),
        ({"destination": {"pvc": {}}}, {"destination": {"s3": S3}}, [], "ArchiveMissing", "other"),
        (
            {"destination": {"s3": S3}},
            {"destination": {"s3": S3 | {"prefix": "b"}}},
            [],
            "ArchiveMissing",
            "whose destination is that of spec.archive",
        ),
        ({"destination": {"pvc": {}}}, {}, [ONE], "RecipientsDiffer", "with no encryption, as"),
        (
            {"destination": {"pvc": {}}, "encryption": {"recipients": [ONE]}},
            {},
            [],
            "RecipientsDiffer",
            "recipients in common with spec.archive.encryption of Database app",
        ),
        (
            {"destination": {"pvc": {}}, "encryption": {"recipients": [ONE]}},
            {},
            [OTHER],
            "RecipientsDiffer",
            "one identity has to open",
        ),
    ],
)
def test_what_does_not_fit_the_archive_waits(archive, spec, recipients, reason, message) -> None:
    found = find_archive_block(backup(**spec), database(archive), recipients)
    assert found is not None
    assert found[0] == reason
    assert message in found[1]


@pytest.mark.parametrize(
    ("archive", "spec", "recipients"),
    [
        ({"destination": {"pvc": {}}}, {}, []),
        ({"destination": {"pvc": {"size": "5Gi"}}}, {"destination": {"pvc": {}}}, []),
        # Whose credentials are used is not where it is.
        (
            {"destination": {"s3": S3}},
            {"destination": {"s3": S3 | {"credentialsSecretRef": {"name": "other"}}}},
            [],
        ),
        (
            {"destination": {"pvc": {}}, "encryption": {"recipients": [ONE, OTHER]}},
            {},
            [OTHER],
        ),
    ],
)
def test_what_fits_the_archive_is_made(archive, spec, recipients) -> None:
    assert find_archive_block(backup(**spec), database(archive), recipients) is None


def test_it_is_copied_from_a_replica_where_there_is_one() -> None:
    alone = physical_variables(backup(), database({}, readyReplicas=1))
    assert alone["standby"] == ""
    assert alone["archive"] == "wal-0f8fad5b"
    several = physical_variables(backup(maxRate=1024), database({}, readyReplicas=2))
    assert several["standby"] == "app-ro.shop.svc"
    assert several["max_rate"] == 1024


def other(uid: str, start: str | None = None, **spec: Any) -> dict[str, Any]:
    status = {"phase": "Completed"} | ({"startLSN": start} if start else {})
    metadata = {"name": uid, "namespace": "shop", "uid": uid}
    return {
        "metadata": metadata,
        "spec": {"databaseRef": {"name": "app"}, **spec},
        "status": status,
    }


def test_wal_is_kept_for_all_physical_backups_of_the_database() -> None:
    """Also for one that was adopted for another Database, and one with other credentials."""
    made = other("made", "0/9000028")
    adopted = other(
        "copy",
        "0/2000028",
        databaseRef={"name": "staging"},
        artifact={"database": "app", "uid": "u"},
    )
    elsewhere = other("s3", "0/4000028", destination={"s3": S3})
    of_another = other("other", "0/1000028", databaseRef={"name": "other"})
    beside = [made, other("one", "0/5000028"), other("logical"), adopted, elsewhere, of_another]
    assert kept_from(made, beside) == ["0/5000028", "0/2000028", "0/4000028"]
    assert kept_from(made, [made]) == []


def test_none_is_removed_while_a_backup_adopts_an_artifact() -> None:
    made = other("made")
    adopting = other("adopting", artifact={"latest": True})
    adopting["status"] = {"phase": "InProgress"}
    assert kept_from(made, [made, adopting]) is None
    adopting["status"] = {"phase": "Failed"}
    assert kept_from(made, [made, adopting]) == []


def test_none_is_removed_while_another_physical_backup_is_being_made() -> None:
    made, waiting, logical = other("made"), other("later", method="physical"), other("logical")
    waiting["status"] = {"phase": "Pending"}
    logical["status"] = {"phase": "InProgress"}
    assert kept_from(made, [made, waiting, logical]) == []
    unfinished = other("before", method="physical")
    unfinished["status"] = {"phase": "InProgress"}
    assert kept_from(made, [made, unfinished]) is None
