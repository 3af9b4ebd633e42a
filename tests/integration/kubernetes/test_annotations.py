"""What ansible-operator reads of a resource's annotations by itself is bounded."""

from __future__ import annotations

import pytest
from custom_resources import Create, annotate
from kubernetes.client.exceptions import ApiException

PERIOD = "ansible.sdk.operatorframework.io/reconcile-period"
VERBOSITY = "ansible.sdk.operatorframework.io/verbosity"
SPECS = {
    "Database": {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}},
    "Backup": {"databaseRef": {"name": "app"}},
    "Restore": {"databaseRef": {"name": "app"}, "backupRef": {"name": "nightly"}},
}
MESSAGES = {
    PERIOD: f"the annotation {PERIOD} is a whole number from 1 with s, m or h, such as 1m",
    VERBOSITY: f"the annotation {VERBOSITY} is a number from 0 to 7",
}


REFUSED = {
    PERIOD: ("0s", "1ms", "-1s", "", "soon", "{{ 6 * 7 }}", "1", "1s\n"),
    VERBOSITY: ("8", "-1", "", "vvvv", "{{ 2 }}", "4\n"),
}
ACCEPTED = ({PERIOD: "1s", VERBOSITY: "7"}, {PERIOD: "24h"}, {"example.com/own": "1ms"})


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize(
    ("annotation", "value"), [(name, value) for name in REFUSED for value in REFUSED[name]]
)
def test_what_is_refused(create: Create, name: str, kind: str, annotation: str, value: str) -> None:
    resource = create(kind, name, SPECS[kind])
    with pytest.raises(ApiException) as caught:
        annotate(resource, {annotation: value})
    assert caught.value.status == 422
    assert MESSAGES[annotation] in str(caught.value.body)


@pytest.mark.parametrize("kind", SPECS)
def test_what_is_not(create: Create, name: str, kind: str) -> None:
    resource = create(kind, name, SPECS[kind])
    for wanted in ACCEPTED:
        changed = annotate(resource, wanted)
        assert wanted.items() <= changed["metadata"]["annotations"].items()
