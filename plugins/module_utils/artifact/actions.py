"""What the artifact modules do, each from its options to what it returns."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from ..store.chosen import chosen_store
from ..store.filesystem import FilesystemStore
from . import options
from .artifact import check_artifact, copy_artifact
from .create import BackupOutcome, BackupRequest, can_adopt, create_artifact
from .dump import check_versions
from .find import find_missing, find_newest, list_artifacts
from .outcome import StoppedRestore, find_end
from .physical.artifact import is_physical, load_any
from .physical.verify import verify_physical
from .progress import Progress
from .restore import RestoreRequest, rehearse_restore, restore_artifact
from .stored_files import files_tally
from .verify import VerifyRequest, verify_artifact

# A deletion waits for a removal: a bucket that is gone holds it up for less than a minute.
_REMOVAL_PATIENCE = {"timeout_seconds": 5.0, "attempts": 3}


def create(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Dump; in check mode only find out whether a dump is missing and could be made."""
    request = backup_request(params)
    if check_mode and not can_adopt(request):
        check_versions(request.parameters)
        return {"changed": True, "steps": []}
    progress = options.progress(params)
    outcome = create_artifact(request, progress)
    return {
        "changed": not outcome.adopted,
        "artifact": outcome.summary(),
        "steps": options.steps(progress),
    }


def backup_request(params: dict[str, Any]) -> BackupRequest:
    """The backup that CREATE_OPTIONS ask for."""
    return BackupRequest(
        parameters=options.connection_parameters(params, params["database"]),
        store=options.store(params),
        location=options.location(params),
        jobs=params["jobs"],
        selection=options.selection(params),
        compression=options.compression(params),
        others=options.other_backups(params),
        passwords=params["passwords"],
        previous=options.previous_backup(params),
    )


def read_back(request: BackupRequest, outcome: BackupOutcome, progress: Progress) -> None:
    """Read back what a backup has written, as far as it can be decrypted here."""
    artifact, tally = outcome.artifact, files_tally()
    with progress.step(f"Reading back backup {request.location}", tally.text):
        if request.store.write_only:
            artifact.check_written(request.jobs, tally)
        else:
            check_artifact(request.store, request.location, artifact.sha256, request.jobs, tally)


def check(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Check the artifact of a UID, or the newest one; it only reads, in check mode too."""
    progress, store, warning = options.progress(params), options.store(params), ""
    sha256 = params["sha256"] or None
    if params["uid"]:
        location = options.location(params)
    else:
        store.check()
        with progress.step("Looking for the newest backup"):
            newest, warning = find_newest(
                store, params["namespace"], params["resource"], params["jobs"]
            )
        location, sha256 = newest.location, newest.sha256
    tally = files_tally()
    with progress.step(f"Reading back backup {location}", tally.text):
        store.check()
        artifact = load_any(store, location, sha256)
        artifact.check(params["jobs"], tally)
    return {
        "changed": False,
        "artifact": artifact.summary(warning),
        "steps": options.steps(progress),
    }


def list_store(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
    """List what a store holds; it only reads, in check mode too."""
    found, unreadable = list_artifacts(
        options.store(params), params["namespace"], params["resource"], params["jobs"]
    )
    return {
        "changed": False,
        "artifacts": [one.summary() for one in found],
        "unreadable": [str(one) for one in unreadable],
    }


def verify(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Verify; nothing of it lasts, so check mode is no different."""
    request = VerifyRequest(
        store=options.store(params),
        location=options.location(params),
        scratch=Path(params["scratch"]),
        jobs=params["jobs"],
        expected_sha256=params["sha256"] or None,
    )
    physical = is_physical(request.store, request.location, request.expected_sha256)
    progress = options.progress(params)
    verification = (verify_physical if physical else verify_artifact)(request, progress)
    return {"changed": False, "verification": verification, "steps": options.steps(progress)}


def copy(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Copy; in check mode only find out whether the artifact is there."""
    files, location = chosen_store(params), options.location(params)
    progress = options.progress(params)
    if not check_mode:
        with progress.step(f"Copying backup {location}"):
            copy_artifact(files, location, FilesystemStore(Path(params["target"])), params["jobs"])
    return {"changed": files.is_finished(location), "location": str(location)}


def remove(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Remove; in check mode only find out whether there is something to remove."""
    store, location = chosen_store(params, **_REMOVAL_PATIENCE), options.location(params)
    changed = store.exists(location) if check_mode else store.remove(location)
    return {"changed": changed, "location": str(location)}


def search(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Find out which artifacts of a Database a store lacks; it only reads, in check mode too."""
    missing = find_missing(
        chosen_store(params),
        params["namespace"],
        params["resource"],
        params["completed"],
        params["jobs"],
    )
    return {"changed": False, "missing": missing}


def restore(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Restore; in check mode only find out whether that is needed and could be done."""
    request = RestoreRequest(
        parameters=options.connection_parameters(params, params["database"]),
        store=options.store(params),
        location=options.location(params),
        uid=params["restore_uid"],
        jobs=params["jobs"],
        keep_previous=timedelta(seconds=params["keep_previous_seconds"]),
        selection=options.selection(params),
        partial=params["partial"],
        dry_run=params["dry_run"],
        as_superuser=params["as_superuser"],
        try_without_room=params["try_without_room"],
        takes_properties=params["takes_properties"],
        ends_replication=params["ends_replication"],
        logins=params["logins"],
        expected_sha256=params["sha256"] or None,
    )
    progress = options.progress(params)
    if check_mode:
        needed = rehearse_restore(request, progress)
        return {"changed": needed and not request.dry_run, "steps": options.steps(progress)}
    outcome = restore_artifact(request, progress)
    return {
        "changed": not (outcome.repeated or request.dry_run),
        "restore": outcome.summary,
        "steps": options.steps(progress),
    }


def find_outcome(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Find out how a restore ended that was stopped, and clean up; in check mode do nothing."""
    if check_mode:
        return {"changed": True}
    stopped = StoppedRestore(
        parameters=options.connection_parameters(params, params["database"]),
        uid=params["restore_uid"],
        timeout=params["timeout"],
        keep_previous=timedelta(seconds=params["keep_previous_seconds"]),
        dry_run=params["dry_run"],
    )
    return {"changed": False, "restore": find_end(stopped)}
