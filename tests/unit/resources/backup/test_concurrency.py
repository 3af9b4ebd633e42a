"""Whose turn it is, for one Backup and in long runs of many."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.concurrency import (
    REASON,
    Limits,
    destination_of,
    find_next,
    find_queue_block,
)


def backup(
    number: int,
    database: str = "app",
    phase: str = "Pending",
    reason: str = "",
    namespace: str = "shop",
    **spec: Any,
) -> dict[str, Any]:
    conditions = [{"type": "BackupReady", "reason": reason}] if reason else []
    return {
        "metadata": {
            "name": f"b{number:03}",
            "namespace": namespace,
            "creationTimestamp": f"2026-01-01T00:00:{number:02}Z",
        },
        "spec": {"databaseRef": {"name": database}, **spec},
        "status": {"phase": phase, "conditions": conditions},
    }


def test_up_to_the_limit_everybody_starts_in_the_order_of_creation() -> None:
    queue = [backup(n) for n in range(5)]
    blocks = [find_queue_block(one, queue, Limits(3, 0, 0)) for one in queue]
    assert [block is None for block in blocks] == [True] * 3 + [False] * 2
    assert blocks[4] is not None
    assert blocks[4][0] == REASON
    assert "4 others came before this one" in blocks[4][1]


def test_what_runs_counts_in_any_order_of_creation() -> None:
    running = [backup(n, phase="InProgress") for n in (7, 8)]
    mine = backup(1)
    assert find_queue_block(mine, [*running, mine], Limits(2, 0, 0)) == (
        REASON,
        "waiting for its turn: at most 2 backups at the same time,"
        " and 0 others came before this one",
    )
    assert find_queue_block(mine, [*running, mine], Limits(3, 0, 0)) is None


def test_a_full_destination_does_not_hold_up_the_others() -> None:
    queue = [backup(n) for n in range(8)] + [backup(9, "other")]
    limits = Limits(4, 0, 2)
    starts = [one for one in queue if find_queue_block(one, queue, limits) is None]
    assert [one["metadata"]["name"] for one in starts] == ["b000", "b001", "b009"]
    running = [backup(0, phase="InProgress"), backup(1, phase="InProgress")]
    block = find_queue_block(queue[2], [*running, *queue[2:]], limits)
    assert block is not None
    assert "at most 2 backups to the claim of Database app at the same time" in block[1]


def test_buckets_are_shared_by_databases() -> None:
    bucket = {"destination": {"s3": {"bucket": "safe", "endpoint": "https://s3"}}}
    first, second = backup(1, "a", "InProgress", **bucket), backup(2, "b", **bucket)
    block = find_queue_block(second, [first, second], Limits(9, 0, 1))
    assert block is not None
    assert "at most 1 backup to bucket safe at the same time" in block[1]


def test_a_backup_that_cannot_start_takes_no_turn() -> None:
    reasons = ("ArchiveMissing", "DatabaseNotReady", "SecretMissing", "RecipientsDiffer")
    for reason in (*reasons, "ReconcileFailed", "WaitingForRetry"):
        waiting = backup(0, reason=reason)
        mine = backup(1)
        assert find_queue_block(mine, [waiting, mine], Limits(1, 0, 1)) is None


@pytest.mark.parametrize(
    "reason",
    ["ImagePullFailed", "PodNotCreated", "PodNotStarted", "PodNotTerminated", "Unschedulable"],
)
def test_a_job_whose_container_does_not_run_takes_no_turn(reason: str) -> None:
    stuck = [backup(n, phase="InProgress", reason=reason) for n in range(10)]
    mine, elsewhere = backup(10), backup(11, namespace="other")
    for one in (mine, elsewhere):
        assert find_queue_block(one, [*stuck, mine, elsewhere], Limits(2, 1, 1)) is None


def test_a_job_that_is_starting_has_its_turn() -> None:
    starting = backup(0, phase="InProgress", reason="BackupInProgress")
    mine = backup(1)
    assert find_queue_block(mine, [starting, mine], Limits(1, 0, 0)) is not None


@pytest.mark.parametrize("reason", ["BackupInProgress", "Unschedulable"])
def test_physical_ones_of_a_database_are_made_one_after_the_other(reason: str) -> None:
    begun = backup(0, phase="InProgress", reason=reason, method="physical")
    mine = backup(1, method="physical")
    assert find_queue_block(mine, [begun, mine], Limits(0, 0, 0)) == (
        REASON,
        "waiting for its turn: at most 1 physical backup of Database app at the same time,"
        " and 0 others came before this one",
    )
    mine = backup(1, method="physical", reason=REASON)
    assert find_next(begun, [begun, mine], Limits(0, 0, 0)) == [mine]
    for other in (backup(1), backup(1, "b", method="physical")):
        assert find_queue_block(other, [begun, other], Limits(0, 0, 0)) is None


def test_of_two_new_physical_ones_the_older_is_made_first() -> None:
    queue = [backup(n, method="physical") for n in range(2)]
    blocked = [find_queue_block(one, queue, Limits(0, 0, 0)) for one in queue]
    assert [block is None for block in blocked] == [True, False]


def started(queue: list[dict[str, Any]], limits: Limits) -> list[str]:
    return [
        f"{one['metadata']['namespace']}/{one['metadata']['name']}"
        for one in queue
        if one["status"]["phase"] == "Pending" and find_queue_block(one, queue, limits) is None
    ]


def test_what_waited_for_something_else_comes_last_until_its_status_says_queued() -> None:
    mine = backup(0, reason="DatabaseNotReady")
    other = backup(1)
    assert find_queue_block(mine, [mine, other], Limits(2, 0, 0)) is None
    block = find_queue_block(mine, [mine, other], Limits(1, 0, 0))
    assert block is not None
    assert find_queue_block(backup(0, reason=block[0]), [mine, other], Limits(1, 0, 0)) is None


def test_one_namespace_does_not_take_all_turns() -> None:
    queue = [backup(n, f"db{n}", namespace="first") for n in range(10)]
    queue += [backup(n, f"db{n}", namespace="second") for n in range(10, 12)]
    assert started(queue, Limits(4, 3, 0)) == [
        "first/b000",
        "first/b001",
        "second/b010",
        "second/b011",
    ]
    block = find_queue_block(queue[3], [queue[3], *running(queue[:3])], Limits(4, 3, 0))
    assert block is not None
    assert "at most 3 backups of namespace first at the same time, and 0 others" in block[1]


def test_turns_go_round_between_namespaces_and_by_age_inside_one() -> None:
    queue = [backup(n, f"db{n}", namespace="first") for n in range(5)]
    queue += [backup(n, f"db{n}", namespace="second") for n in range(5, 8)]
    queue += [backup(8, namespace="third")]
    assert started(queue, Limits(5, 0, 0)) == [
        "first/b000",
        "first/b001",
        "second/b005",
        "second/b006",
        "third/b008",
    ]
    # What a namespace has running counts: the others have the next turn.
    mine = running(queue[:3])
    assert started([*mine, *queue[3:]], Limits(5, 0, 0)) == ["second/b005", "third/b008"]


def running(backups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, "status": {"phase": "InProgress", "conditions": []}} for one in backups]


def test_who_may_start_does_not_depend_on_who_has() -> None:
    """Two reconciles at once, one of which has not seen yet what the other has started."""
    chance = random.Random(7)
    for _ in range(300):
        limits = Limits(*(chance.randrange(6) for _ in range(3)))
        queue = [
            backup(n, f"db{chance.randrange(3)}", namespace=f"n{chance.randrange(4)}")
            for n in range(20)
        ]
        chance.shuffle(queue)
        running_count = chance.randrange(5)
        queue = [*running(queue[:running_count]), *queue[running_count:]]
        waiting = [one for one in queue if one["status"]["phase"] == "Pending"]
        may = [one for one in waiting if find_queue_block(one, queue, limits) is None]
        if not may:
            continue
        (first,) = running([chance.choice(may)])
        later = [first if one["metadata"] == first["metadata"] else one for one in queue]
        rest = [one for one in waiting if one["metadata"] != first["metadata"]]
        now = [one for one in rest if find_queue_block(one, later, limits) is None]
        assert now == [one for one in may if one["metadata"] != first["metadata"]]


def test_zero_is_no_limit() -> None:
    queue = [backup(n) for n in range(99)]
    assert all(find_queue_block(one, queue, Limits(0, 0, 0)) is None for one in queue)


def test_all_end_and_no_limit_is_ever_exceeded() -> None:
    """Reconciles in any order, each of which knows only what it has read."""
    chance = random.Random(1)
    limits = Limits(4, 3, 2)
    backups = [backup(n, f"db{n % 5}", namespace=f"n{n % 3}") for n in range(50)]
    ended = 0
    while ended < 50:
        unfinished = [one for one in backups if one["status"]["phase"] != "Completed"]
        one = chance.choice(unfinished)
        if one["status"]["phase"] == "InProgress":
            one["status"]["phase"] = "Completed"
            ended += 1
            woken = find_next(one, unfinished, limits)
            assert all(two["status"]["conditions"][0]["reason"] == REASON for two in woken)
        elif find_queue_block(one, unfinished, limits) is None:
            one["status"]["phase"] = "InProgress"
        else:
            one["status"]["conditions"] = [{"type": "BackupReady", "reason": REASON}]
        active = [one for one in backups if one["status"]["phase"] == "InProgress"]
        assert len(active) <= 4
        namespaces = Counter(one["metadata"]["namespace"] for one in active)
        assert all(count <= 3 for count in namespaces.values())
        places = Counter(destination_of(one) for one in active)
        assert all(count <= 2 for count in places.values())
