"""Which instances start."""

from __future__ import annotations

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.resources.database.start import (
    Ordinals,
    choose_ordinals,
)

CLAIMS = ["data-app-0", "data-app-1", "data-app-2"]


def choose(**changes: Any) -> Ordinals:
    arguments: dict[str, Any] = {
        "wanted": 3,
        "leader": "",
        "last_primary": "",
        "claims": [],
        "has_served": False,
    }
    return choose_ordinals(**{**arguments, **changes})


def test_a_new_database_starts_all_at_once() -> None:
    assert choose() == Ordinals(0, 3)


def test_over_kept_volumes_the_last_primary_starts_alone() -> None:
    kept = {"claims": CLAIMS, "last_primary": "app-1"}
    assert choose(**kept) == Ordinals(1, 1)
    assert choose(**kept, leader="app-1") == Ordinals(1, 1)


def test_once_it_has_served_the_others_join() -> None:
    kept = {"claims": CLAIMS, "last_primary": "app-1", "leader": "app-1"}
    assert choose(**kept, has_served=True) == Ordinals(0, 3)


def test_a_last_primary_without_a_volume_is_not_waited_for() -> None:
    assert choose(claims=CLAIMS[1:], last_primary="app-0") == Ordinals(0, 3)


def test_an_only_volume_needs_no_order() -> None:
    assert choose(claims=CLAIMS[:1], last_primary="app-0", wanted=1) == Ordinals(0, 1)


def test_an_only_volume_that_is_not_the_first_starts_first() -> None:
    assert choose(claims=CLAIMS[1:2], last_primary="app-1", wanted=1) == Ordinals(1, 1)


def test_the_last_primary_keeps_its_place_while_there_is_no_leader() -> None:
    kept = {"claims": CLAIMS, "last_primary": "app-2", "has_served": True}
    assert choose(wanted=1, **kept) == Ordinals(0, 3)


def test_a_leader_keeps_its_place_until_it_has_handed_over() -> None:
    assert choose(leader="app-2", wanted=1, has_served=True) == Ordinals(0, 3)
    assert choose(leader="app-0", wanted=3, has_served=True) == Ordinals(0, 3)
