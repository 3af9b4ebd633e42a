"""The steps of the deletion of a Backup."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.deletion import (
    GIVE_UP_SECONDS,
    Observation,
    next_step,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import JobState
from hypothesis import given
from hypothesis import strategies as st

FRESH = Observation(
    location="pvc://app-backups/shop/app/u1",
    place="PersistentVolumeClaim app-backups",
    wanted=True,
    place_stays=True,
    blocked=None,
    backup_runs=False,
    job=None,
    waited=1,
)
REMOVED = JobState("j", result={"ok": True, "location": "shop/app/u1"})
REFUSED = JobState("j", result={"ok": False, "reason": "StoreDenied", "message": "read-only"})


def test_the_files_are_removed_by_a_job_and_then_the_backup_goes() -> None:
    assert next_step(FRESH).action == "start"
    assert next_step(replace(FRESH, job=JobState("j"))).action == "wait"
    done = next_step(replace(FRESH, job=REMOVED))
    assert done.action == "done"
    assert done.event is not None
    assert not done.event.warning


def test_a_backup_whose_files_stay_goes_at_once() -> None:
    assert next_step(replace(FRESH, wanted=False)).action == "done"


def test_nothing_is_tried_where_the_claim_or_its_namespace_is_going() -> None:
    assert next_step(replace(FRESH, place_stays=False)).action == "done"
    assert next_step(replace(FRESH, place_stays=False, job=JobState("j"))).action == "done"


def test_a_backup_that_is_being_made_is_ended_first() -> None:
    assert next_step(replace(FRESH, backup_runs=True)).action == "cancel"


def test_a_removal_that_failed_is_reported_with_what_is_left_to_do() -> None:
    step = next_step(replace(FRESH, job=REFUSED))
    assert step.action == "done"
    assert step.event is not None
    assert step.event.warning
    assert "pvc://app-backups/shop/app/u1" in step.event.message
    assert "StoreDenied: read-only" in step.event.message
    assert "by hand" in step.event.message


def test_why_the_pod_could_not_run_is_reported_when_it_is_given_up() -> None:
    stuck = JobState("j", problem=("Unschedulable", "volume app-backups cannot be attached"))
    step = next_step(replace(FRESH, job=stuck, waited=GIVE_UP_SECONDS + 1))
    assert step.event is not None
    assert "cannot be attached" in step.event.message
    refused = next_step(replace(FRESH, waited=GIVE_UP_SECONDS + 1))
    assert refused.event is not None
    assert "could not be made" in refused.event.message
    endless = next_step(replace(FRESH, backup_runs=True, waited=GIVE_UP_SECONDS + 1))
    assert endless.event is not None
    assert "the Job that makes the backup does not end" in endless.event.message


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, JobState("j"), REMOVED, REFUSED]),
)
def test_no_deletion_waits_for_ever(
    wanted: bool, place_stays: bool, backup_runs: bool, job: JobState | None
) -> None:
    late = replace(
        FRESH,
        wanted=wanted,
        place_stays=place_stays,
        backup_runs=backup_runs,
        job=job,
        waited=GIVE_UP_SECONDS + 1,
    )
    assert next_step(late).action == "done"


def test_a_bucket_that_no_job_can_reach_delays_no_other() -> None:
    step = next_step(replace(FRESH, place="s3://bucket", blocked="SecretMissing: no keys"))
    assert step.action == "done"
    assert step.event is not None
    assert step.event.warning
    assert "SecretMissing: no keys" in step.event.message
    assert "s3://bucket" in step.event.message
