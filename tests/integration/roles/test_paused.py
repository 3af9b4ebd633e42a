"""Of a paused Database a reconcile writes the status only."""

from __future__ import annotations

import copy

from role_runs import resource, run, spec_of
from stub_cluster import StubCluster
from warm_box import WarmBox


def test_only_the_status_is_written(box: WarmBox, cluster: StubCluster) -> None:
    spec = spec_of("Database") | {"paused": True}
    looked_at = resource("Database", "one", spec)
    cluster.add(looked_at)
    before = copy.deepcopy(cluster.objects)
    outcome = run(box, "database", looked_at)
    assert outcome.code == 0, outcome.output
    changed = {path for path in cluster.objects if cluster.objects[path] != before.get(path)}
    (path,) = (path for path in changed if "/events/" not in path)
    assert path.endswith("/databases/one")
    found = cluster.objects[path]
    assert found["spec"] == spec
    reasons = {c["type"]: (c["status"], c["reason"]) for c in found["status"]["conditions"]}
    assert reasons["Paused"] == ("True", "PausedBySpec")
    assert reasons["Ready"] == ("False", "Paused")
    # Once it is no longer paused it is made.
    del found["spec"]["paused"]
    assert run(box, "database", found).code == 0
    assert cluster.of_kind("StatefulSet")
    assert "Paused" not in {c["type"] for c in cluster.objects[path]["status"]["conditions"]}
