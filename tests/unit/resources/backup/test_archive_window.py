"""Which moments can be restored, from the statuses of Backups."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.archive_window import (
    Archives,
    Gap,
    Window,
    archive_of_database,
    oldest_end,
)

S3: dict[str, Any] = {
    "endpoint": "https://s3:9000",
    "bucket": "backups",
    "credentialsSecretRef": {"name": "s3"},
}
DATABASE: dict[str, Any] = {
    "metadata": {"name": "app", "namespace": "shop", "uid": "0f8fad5b"},
    "spec": {"archive": {"destination": {"s3": S3}}},
}
PLACE = archive_of_database(DATABASE)
MIB = 1 << 20


def lsn(segment: int) -> str:
    return f"0/{segment * 16 * MIB:X}"


def gap(first: int, segments: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "segment": f"{1:08X}{0:08X}{first:08X}",
        "segments": segments,
        "startLSN": lsn(first),
        "endLSN": lsn(first + segments),
        "from": f"2026-01-01T{first:02}:00:00Z",
        **changes,
    }


def backup(segment: int, *gaps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One that ends in the middle of a segment, in the minute after that hour."""
    name = f"backup-{segment}"
    made = {
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "spec": {"databaseRef": {"name": "app"}, "destination": {"s3": S3}},
        "status": {
            "phase": "Completed",
            "method": "physical",
            "consistentTime": f"2026-01-01T{segment:02}:01:00Z",
            "endLSN": f"0/{segment * 16 * MIB + 4096:X}",
            "archive": {"name": "wal-0f8fad5b", "gaps": list(gaps)},
        },
    }
    for part, values in changes.items():
        made[part] = made[part] | values
    return made


def window(*backups: dict[str, Any]) -> Window | None:
    return Archives(backups).window(PLACE)


def test_it_is_from_the_end_of_the_oldest_backup_on() -> None:
    found = window(backup(7), backup(3), backup(5))
    assert found == Window("2026-01-01T03:01:00Z", "2026-01-01T07:01:00Z")
    assert window() is None
    assert archive_of_database(DATABASE | {"spec": {}}) is None


def test_only_backups_beside_this_archive_count() -> None:
    gone = {"type": "ArtifactMissing", "status": "True"}
    former = {"archive": {"name": "wal-of-a-former-database", "gaps": [gap(1)]}}
    elsewhere = {"s3": S3 | {"bucket": "other"}}
    others = [
        backup(1, status=former),
        backup(1, spec={"destination": elsewhere}),
        backup(1, spec={"databaseRef": {"name": "other"}}),
        backup(1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        backup(1, status={"conditions": [gone]}),
        backup(1, status={"phase": "InProgress"}),
        backup(1, status={"phase": "Failed"}),
        backup(1, status={"archive": {}}),
        {"metadata": {"name": "new"}, "spec": {"databaseRef": {"name": "app"}}},
    ]
    assert window(*others) is None
    assert window(*others, backup(3)) == Window("2026-01-01T03:01:00Z", "2026-01-01T03:01:00Z")
    # With other credentials it is the same place.
    same = S3 | {"credentialsSecretRef": {"name": "other"}}
    assert window(backup(2, spec={"destination": {"s3": same}})) is not None


def test_one_that_was_adopted_counts() -> None:
    adopted = backup(
        2,
        spec={"databaseRef": {"name": "staging"}, "artifact": {"database": "app"}},
        status={
            "backupLocation": "s3://backups/shop/app/u",
            "archive": {"name": "wal-0f8fad5b"},
        },
    )
    found = window(adopted, backup(5, gap(3)))
    assert found is not None
    assert found.earliest == "2026-01-01T02:01:00Z"
    assert [one.segment[-1] for one in found.gaps] == ["3"]


def test_a_gap_lasts_to_the_next_backup() -> None:
    found = window(backup(2), backup(5, gap(3, 2)), backup(9, gap(3, 2), gap(7)))
    assert found is not None
    assert [(one.since, one.until) for one in found.gaps] == [
        ("2026-01-01T03:00:00Z", "2026-01-01T05:01:00Z"),
        ("2026-01-01T07:00:00Z", "2026-01-01T09:01:00Z"),
    ]


def test_a_gap_after_the_newest_backup_has_no_end() -> None:
    found = window(backup(2), backup(5, gap(6)))
    assert found is not None
    assert [(one.since, one.until) for one in found.gaps] == [("2026-01-01T06:00:00Z", "")]


def test_what_the_newest_backup_has_found_counts() -> None:
    """A segment may have been brought back since; one that has listed nothing says nothing."""
    found = window(backup(2), backup(5, gap(3), gap(4)), backup(8, gap(4)))
    assert found is not None
    assert [one.segment[-1] for one in found.gaps] == ["4"]
    unknown = {"archive": {"name": "wal-0f8fad5b"}}
    found = window(backup(2), backup(5, gap(3)), backup(8, status=unknown))
    assert found is not None
    assert [one.segment[-1] for one in found.gaps] == ["3"]


def test_a_gap_that_no_backup_needs_is_none() -> None:
    """Those before it were removed since."""
    archive = {"name": "wal-0f8fad5b", "gaps": [gap(3), gap(7)], "moreGaps": 2}
    before, after = backup(5), backup(9, status={"archive": archive})
    found = window(before, after)
    assert found is not None
    assert [one.segment[-1] for one in found.gaps] == ["7"]
    assert found.more_gaps == 0, "they are older still"
    found = window(backup(2), before, after)
    assert found is not None
    assert (len(found.gaps), found.more_gaps) == (2, 2)


def test_of_the_time_of_a_backup_it_has_the_wal_itself() -> None:
    """It ends in segment 5."""
    assert window(backup(5), backup(9, gap(4, 2))) == window(backup(5), backup(9))
    found = window(backup(5), backup(9, gap(5, 2)))
    assert found is not None
    assert len(found.gaps) == 1


def test_it_begins_with_the_backup_where_the_store_does_not_say() -> None:
    unsaid = {key: value for key, value in gap(3).items() if key != "from"}
    late_clock = gap(3) | {"from": "2025-12-31T00:00:00Z"}
    for described in (unsaid, late_clock):
        found = window(backup(2), backup(5, described))
        assert found is not None
        assert found.gaps[0].since == "2026-01-01T02:01:00Z"


@pytest.mark.parametrize(
    ("target", "hidden"),
    [
        (("pointInTime", "2026-01-01T03:00:00Z"), False),
        (("pointInTime", "2026-01-01T04:00:00+01:00"), False),
        (("pointInTime", "2026-01-01T03:00:00.1Z"), True),
        (("pointInTime", "2026-01-01T08:00:00Z"), True),
        (("lsn", lsn(3)), False),
        (("lsn", f"0/{3 * 16 * MIB + 1:X}"), True),
        (("latest", True), True),
        # Where these are is not known.
        (("xid", "741"), False),
        (("restorePoint", "before"), False),
        (None, False),
    ],
)
def test_what_a_gap_hides(target, hidden) -> None:
    before, after = backup(2), backup(5, gap(3))
    archives = Archives([before, after])
    assert (archives.find_gap(before, target) is not None) == hidden
    assert archives.find_gap(after, target) is None


def test_where_the_list_of_a_new_backup_begins() -> None:
    assert PLACE is not None
    made = backup(9, metadata={"uid": "made"}, status={"phase": "Pending"})
    former = backup(1, status={"archive": {"name": "wal-of-a-former-database"}})
    beside = [made, former, backup(10), backup(7), backup(3)]
    assert oldest_end(made, PLACE, Archives(beside)) == "0/3001000"
    assert oldest_end(made, PLACE, Archives([made, former])) == ""
    assert oldest_end(backup(3), PLACE, Archives([backup(3)])) == ""


def test_a_gap_is_compared_by_numbers() -> None:
    """As text, A/0 would be before 9/0."""
    before = backup(2, status={"endLSN": "9/1000"})
    lost = gap(3, startLSN="A/0", endLSN="A/1000000")
    after = backup(5, lost, status={"endLSN": "A/2001000"})
    whole = {"start": 10 << 32, "last": 10 << 32, "segments": 1, "segment": lost["segment"]}
    found = window(before, after)
    assert found is not None
    assert found.gaps == (Gap(**whole, since="2026-01-01T03:00:00Z", until="2026-01-01T05:01:00Z"),)
