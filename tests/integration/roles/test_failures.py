"""A reconcile that dies says so in the status, and is not repeated at once."""

from __future__ import annotations

from role_runs import SPACE, resource, run, spec_of
from stub_cluster import StubCluster
from warm_box import WarmBox

READY = {"type": "Ready", "status": "True", "reason": "Ready", "message": "all is well"}


def test_a_read_that_dies_is_in_the_status(box: WarmBox, cluster: StubCluster) -> None:
    """The version is one that no server has said, by which a refusal is decided."""
    other = READY | {"type": "Progressing", "reason": "Complete"}
    status = {"phase": "Ready", "version": "strange", "conditions": [READY, other]}
    found = resource("Database", "app", spec_of("Database"), **status)
    cluster.add(found)
    outcome = run(box, "database", found)
    assert outcome.code == 0, outcome.output
    (database,) = cluster.of_kind("Database")
    ready, *others = database["status"]["conditions"]
    assert (ready["status"], ready["reason"]) == ("Unknown", "ReconcileFailed")
    assert "not a version of PostgreSQL: 'strange'" in ready["message"]
    assert others == [other]
    assert "Request the next reconcile" in outcome.read("stdout")


def test_a_backup_whose_job_cannot_be_read(box: WarmBox, cluster: StubCluster) -> None:
    spec = spec_of("Backup") | {"timeout": "soon"}
    del spec["encryption"]
    found = resource("Backup", "one", spec)
    cluster.add(found)
    outcome = run(box, "backup", found)
    assert outcome.code == 0, outcome.output
    backup = cluster.objects[
        f"/apis/{found['apiVersion']}/namespaces/{SPACE['namespace']}/backups/one"
    ]
    assert backup["status"]["phase"] == "Pending"
    (ready,) = backup["status"]["conditions"]
    assert (ready["type"], ready["reason"]) == ("BackupReady", "ReconcileFailed")
