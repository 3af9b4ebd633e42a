"""What Jobs do with physical backups, each from its options to what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...archive.names import parse_lsn
from ...errors import OperatorError
from ...units import join_warnings, plural
from .. import options
from ..progress import Progress
from ..read_back import keep_if_readable
from .artifact import PhysicalArtifact, read_back
from .create import PhysicalRequest, create_physical
from .extract import ExtractRequest, extract
from .gaps import describe_gaps
from .rebuild import RebuildRequest, rebuild
from .recover import RecoverRequest, recover


def create(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Back up, then read back."""
    if check_mode:
        return {"changed": True}
    request, progress = physical_request(params), options.progress(params)
    artifact, adopted = create_physical(request, progress)

    def summarize() -> dict[str, Any]:
        from_primary = request.standby and not artifact.manifest.server.standby
        why = f": {artifact.why_primary}" if artifact.why_primary else ""
        summary = artifact.summary(f"it was taken from the primary{why}" if from_primary else "")
        if params["kept_from"] is not None:
            before = summary.get("warning", "")
            summary |= _remove_wal(artifact, params["kept_from"], before, progress)
        return summary | _find_gaps(request, artifact, params["oldest_end"], summary, progress)

    return keep_if_readable(
        params,
        request.store,
        adopted,
        lambda: read_back(artifact, request.jobs, progress),
        summarize,
    )


def _remove_wal(
    artifact: PhysicalArtifact, kept_from: Sequence[str], warning: str, progress: Progress
) -> dict[str, Any]:
    """Remove the WAL from before the oldest backup that is kept: nothing can be restored by it.

    Args:
        kept_from: the LSNs from which the other backups need WAL.
    """
    manifest = artifact.manifest
    oldest = min(map(parse_lsn, [manifest.start_lsn, *kept_from]))
    segment_bytes = manifest.server.wal_segment_bytes
    try:
        removed = artifact.archive.remove_before(oldest // segment_bytes, segment_bytes)
    except OperatorError as error:
        failed = f"WAL that no backup needs could not be removed: {error.message}"
        return {"warning": join_warnings(warning, failed)}
    if removed:
        progress.say(f"Removed {plural(removed, 'WAL file')} from before the oldest backup")
    return {}


def _find_gaps(
    request: PhysicalRequest,
    artifact: PhysicalArtifact,
    oldest_end: str | None,
    summary: dict[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """Say which WAL is missing in the archive; the backup is as good if that cannot be found out.

    Args:
        oldest_end: where the oldest other backup of the archive ends.
        summary: so far.
    """
    try:
        with progress.step("Listing the archive"):
            found = describe_gaps(artifact, oldest_end, request.primary, request.replication)
    except OperatorError as error:
        failed = f"the archive could not be searched for missing WAL: {error.message}"
        return {"warning": join_warnings(summary.get("warning"), failed)}
    for gap in found["gaps"]:
        lacks = plural(gap["segments"], "segment")
        progress.say(f"The archive lacks {lacks} of WAL from {gap['segment']} on")
    return {"archive": summary["archive"] | found}


def physical_request(params: dict[str, Any]) -> PhysicalRequest:
    """The backup that PHYSICAL_OPTIONS ask for."""
    primary = options.connection_parameters(params, "postgres")
    role = params["replication"]
    replication = primary
    if role:
        cert, key = (Path(role[name]) if role[name] else None for name in ("sslcert", "sslkey"))
        tls = replace(primary.tls, sslcert=cert, sslkey=key)
        replication = replace(primary, user=role["user"], tls=tls)
    standby = replace(replication, host=params["standby"]) if params["standby"] else None
    return PhysicalRequest(
        primary=primary,
        replication=replication,
        store=options.store(params),
        location=options.location(params),
        archive=params["archive"],
        standby=standby,
        jobs=params["jobs"],
        max_rate_kilobytes=params["max_rate"],
        others=options.other_backups(params),
    )


def recover_server(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Recover the server of a moment into a folder."""
    if check_mode:
        return {"changed": True}
    request = _recover_request(params)
    if params["host"]:
        request = replace(request, live=options.connection_parameters(params, "postgres"))
    recovered = recover(request, options.progress(params))
    return {"changed": True, "recovered": recovered.summary}


def rebuild_server(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Make the data directory of a new server of a moment."""
    if check_mode:
        return {"changed": True}
    request = RebuildRequest(
        recovery=_recover_request(params),
        data=Path(params["data"]),
        restore_uid=params["restore_uid"],
        max_prepared_transactions=params["max_prepared_transactions"],
    )
    return {"changed": True, "restore": rebuild(request, options.progress(params))}


def _recover_request(params: dict[str, Any]) -> RecoverRequest:
    return RecoverRequest(
        store=options.store(params),
        location=options.location(params),
        folder=Path(params["folder"]),
        target=options.recovery_target(params),
        jobs=params["jobs"],
        expected_sha256=params["sha256"] or None,
    )


def extract_database(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Make a logical artifact of a database of the server that was recovered."""
    if check_mode:
        return {"changed": True}
    request = ExtractRequest(
        server=Path(params["folder"]) / "server",
        database=params["database"],
        target=Path(params["target"]),
        location=options.location(params),
        jobs=params["jobs"],
        selection=options.selection(params),
    )
    return {"changed": True, "artifact": extract(request, options.progress(params))}
