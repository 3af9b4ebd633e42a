"""How figures are written."""

from __future__ import annotations

from ansible_collections.postgres.operator.plugins.module_utils.units import (
    format_duration,
    format_size,
)


def test_durations_and_sizes_are_written_as_kubernetes_does() -> None:
    assert [format_duration(s) for s in (0.4, 59, 60, 3725)] == ["0s", "59s", "1m0s", "1h2m5s"]
    assert [format_size(s) for s in (0, 1023, 1536, 5 << 30)] == ["0", "1023", "1.5Ki", "5.0Gi"]
