"""The progress of a backup, a restore and a verification is logged while they run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact import progress
from ansible_collections.postgres.operator.plugins.module_utils.artifact.artifact import (
    check_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import Progress
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    restore_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.stored_files import (
    files_tally,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)

ROWS = 400_000
SIZE = r"[\d.]+(Ki|Mi|Gi)?"


@pytest.fixture
def large(bench, monkeypatch: pytest.MonkeyPatch):
    """A database whose parts last long enough to be asked about, and impatient questions."""
    bench.execute(
        f"CREATE TABLE large AS SELECT g AS id, md5(g::text) AS text"
        f" FROM generate_series(1, {ROWS}) g; CREATE INDEX ON large (text)"
    )
    monkeypatch.setattr(progress, "FIGURES_SECONDS", 0.01)
    return bench


def figures_of(log: Path, step: str) -> list[str]:
    """What was logged of a step between its beginning and its end."""
    texts = [line.partition(" ")[2] for line in log.read_text().splitlines()]
    figures = [text.removeprefix(f"{step}: ") for text in texts if text.startswith(f"{step}: ")]
    return [text for text in figures if not text.startswith("done in")]


def percents(figures: list[str]) -> list[int]:
    return [int(text.partition("%")[0]) for text in figures if "%" in text]


def test_a_backup_reports_its_tables_and_bytes(large, tmp_path: Path) -> None:
    log = tmp_path / "log"
    create_artifact(large.backup_request(), Progress(log))
    [step] = re.findall(r"Dumping and fingerprinting \d+ tables(?= \.\.\.)", log.read_text())
    figures = figures_of(log, step)
    assert figures
    assert all(
        re.fullmatch(rf"\d+ of \d+ tables fingerprinted, {SIZE} dumped", t) for t in figures
    ), figures


def test_a_restore_reports_percent_objects_and_bytes(large, tmp_path: Path) -> None:
    large.backup()
    log = tmp_path / "log"
    restore_artifact(large.restore_request(), Progress(log))
    loaded = figures_of(log, "Restoring into it")
    rows = rf"\d+% of the rows, \d+ of \d+ tables, {SIZE}"
    end = rf"all rows are there, {SIZE}; keys and indexes are made"
    assert all(re.fullmatch(f"{rows}|{end}", text) for text in loaded), loaded
    assert percents(loaded) == sorted(percents(loaded))
    # Somewhere on its way, and not only before and after.
    assert any(0 < percent < 100 for percent in percents(loaded)), loaded
    compared = figures_of(log, "Comparing it with the manifest")
    assert all(
        re.fullmatch(r"\d+%, \d+ of \d+ tables, \d+ rows? of \d+ rows", text) for text in compared
    ), compared


def test_a_verification_reports_the_same(large, scratch: Path, tmp_path: Path) -> None:
    large.backup()
    log = tmp_path / "log"
    verify_artifact(VerifyRequest(large.store, large.location, scratch=scratch), Progress(log))
    assert any(0 < percent < 100 for percent in percents(figures_of(log, "Restoring into it")))


def test_reading_back_counts_every_file_and_byte(large) -> None:
    artifact = large.backup()
    tally = files_tally()
    check_artifact(large.store, large.location, tally=tally)
    assert (tally.count, tally.amount) == (
        len(artifact.manifest.files),
        artifact.manifest.size_bytes,
    )
    assert tally.text().startswith("100%, ")
