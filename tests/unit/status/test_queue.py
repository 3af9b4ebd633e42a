"""Whose turn it is, for one Backup and in long runs of many."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.status.queue import (
    REASON,
    Limits,
    find_next,
    find_queue_block,
)


def backup(
    number: int, database: str = "app", phase: str = "Pending", reason: str = "", **spec: Any
) -> dict[str, Any]:
    conditions = [{"type": "BackupReady", "reason": reason}] if reason else []
    return {
        "metadata": {
            "name": f"b{number:03}",
            "namespace": "shop",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"databaseRef": {"name": database}, **spec},
        "status": {"phase": phase, "conditions": conditions},
    }


def test_up_to_the_limit_everybody_starts_in_the_order_of_creation() -> None:
    queue = [backup(n) for n in range(5)]
    blocks = [find_queue_block(one, queue, Limits(3, 0)) for one in queue]
    assert [block is None for block in blocks] == [True] * 3 + [False] * 2
    assert blocks[4] is not None
    assert blocks[4][0] == REASON
    assert "4 others came before this one" in blocks[4][1]


def test_what_runs_counts_whoever_came_first() -> None:
    running = [backup(n, phase="InProgress") for n in (7, 8)]
    mine = backup(1)
    assert find_queue_block(mine, [*running, mine], Limits(2, 0)) == (
        REASON,
        "waiting for its turn: at most 2 backups at the same time,"
        " and 0 others came before this one",
    )
    assert find_queue_block(mine, [*running, mine], Limits(3, 0)) is None


def test_a_full_destination_does_not_hold_up_the_others() -> None:
    queue = [backup(n) for n in range(8)] + [backup(9, "other")]
    limits = Limits(4, 2)
    starts = [one for one in queue if find_queue_block(one, queue, limits) is None]
    assert [one["metadata"]["name"] for one in starts] == ["b000", "b001", "b009"]
    running = [backup(0, phase="InProgress"), backup(1, phase="InProgress")]
    block = find_queue_block(queue[2], [*running, *queue[2:]], limits)
    assert block is not None
    assert "at most 2 backups to the claim of Database app at the same time" in block[1]


def test_buckets_are_shared_by_databases() -> None:
    bucket = {"destination": {"s3": {"bucket": "safe", "endpoint": "https://s3"}}}
    first, second = backup(1, "a", "InProgress", **bucket), backup(2, "b", **bucket)
    block = find_queue_block(second, [first, second], Limits(9, 1))
    assert block is not None
    assert "at most 1 backup to bucket safe at the same time" in block[1]


def test_who_cannot_start_takes_nobodys_turn() -> None:
    for reason in ("DatabaseNotReady", "SecretMissing", "ReconcileFailed"):
        waiting = backup(0, reason=reason)
        mine = backup(1)
        assert find_queue_block(mine, [waiting, mine], Limits(1, 1)) is None


@pytest.mark.parametrize("reason", ["ImagePullFailed", "PodNotStarted", "PodNotTerminated"])
def test_a_job_that_only_a_person_can_get_going_takes_nobodys_turn(reason: str) -> None:
    stuck = backup(0, phase="InProgress", reason=reason)
    slow = backup(1, phase="InProgress", reason="Unschedulable")
    mine = backup(2)
    assert find_queue_block(mine, [stuck, slow, mine], Limits(2, 2)) is None
    assert find_queue_block(mine, [stuck, slow, mine], Limits(1, 0)) is not None


def test_zero_is_no_limit() -> None:
    queue = [backup(n) for n in range(99)]
    assert all(find_queue_block(one, queue, Limits(0, 0)) is None for one in queue)


def test_all_end_and_no_limit_is_ever_exceeded() -> None:
    """Reconciles in any order, each of which knows only what it has read."""
    chance = random.Random(1)
    limits = Limits(4, 2)
    backups = [backup(n, f"db{n % 5}") for n in range(50)]
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
        for number in range(5):
            same = [o for o in active if o["spec"]["databaseRef"]["name"] == f"db{number}"]
            assert len(same) <= 2
