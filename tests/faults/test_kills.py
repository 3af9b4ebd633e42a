"""Backups and Restores of which each is hit by the death of the operator, its Job or PostgreSQL.

Each operation must end within two minutes of the last kill that hit it, and what it says must be
true: a Completed Backup restores to what was backed up, a Completed Restore has put that in place,
a Failed one nothing.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from kube import Namespace
from line import Line, OperatorKills
from proof import read_artifacts

PROGRESS_SECONDS = 60.0


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace(f"kills-{uuid.uuid4().hex[:8]}")
    made.kubectl("create", "namespace", made.name)
    yield made
    made.kubectl("delete", "namespace", made.name, "--wait=false")


@pytest.mark.e2e
@pytest.mark.alone
def test_nothing_is_lost_or_falsely_reported(
    namespace: Namespace, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    option = request.config.getoption
    plan = ["back_up"] * option("--backups") + ["restore"] * option("--restores")
    count, seed = option("--databases"), option("--seed")
    random.Random(seed).shuffle(plan)
    kills = OperatorKills()
    lines = [Line(namespace, f"db{n}", random.Random(seed + n), kills) for n in range(count)]

    begun = time.monotonic()

    def work(line: Line, share: list[str]) -> None:
        line.prepare()
        for number, operation in enumerate(share, 1):
            if time.monotonic() > begun + option("--minutes") * 60:
                return
            getattr(line, operation)(number)

    def tell() -> None:
        done = sum(line.outcomes.total() for line in lines)
        faults = sum(len(line.wrong) for line in lines)
        minutes = (time.monotonic() - begun) / 60
        with capsys.disabled():
            print(f"{minutes:.0f} min: {done} of {len(plan)} operations, {faults} faults")

    with ThreadPoolExecutor(count) as pool:
        working = [pool.submit(work, line, plan[n::count]) for n, line in enumerate(lines)]
        while wait(working, timeout=PROGRESS_SECONDS).not_done:
            tell()
    for future in working:
        future.result()
    tell()

    wrong = [text for line in lines for text in (*line.wrong, *compare_artifacts(line))]
    total: Counter[tuple[str, str, str]] = sum((line.outcomes for line in lines), Counter())
    with capsys.disabled():
        print()
        for (kind, victim, phase), times in sorted(total.items()):
            print(f"{kind:<8} {victim + ' killed':<20} {phase:<10} {times:>4}")
        longest, which = max(line.longest for line in lines)
        print(f"the slowest took {longest:.0f} s: {which} ({len(kills.times)} in all)")
    assert not wrong, "\n".join(wrong)


def compare_artifacts(line: Line) -> list[str]:
    """Return what the artifacts of a Database hold that they should not; one text each."""
    held = read_artifacts(line.namespace, line.name)
    wrong = [
        f"Backup {line.names[artifact]} holds {held.get(artifact)}: {state}"
        for artifact, state in line.completed.items()
        if held.get(artifact) != state
    ]
    unfinished = [artifact for artifact, state in held.items() if state == "unfinished"]
    return wrong + [f"{artifact} of {line.name} is left unfinished" for artifact in unfinished]
