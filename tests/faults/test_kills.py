"""Backups and Restores of which each is hit by the death of the operator, its Job or PostgreSQL.

Each operation must end within two minutes, and what it says must be true: a Completed Backup
restores to what was backed up, a Completed Restore has put that in place, a Failed one nothing.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from kube import Namespace
from line import Line
from proof import read_artifacts


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace(f"kills-{uuid.uuid4().hex[:8]}")
    made.kubectl("create", "namespace", made.name)
    yield made
    made.kubectl("delete", "namespace", made.name, "--wait=false")


@pytest.mark.e2e
@pytest.mark.alone
def test_nothing_is_lost_or_falsely_told(
    namespace: Namespace, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    option = request.config.getoption
    plan = ["back_up"] * option("--backups") + ["restore"] * option("--restores")
    count, seed = option("--databases"), option("--seed")
    random.Random(seed).shuffle(plan)
    lines = [Line(namespace, f"db{n}", random.Random(seed + n)) for n in range(count)]

    def work(line: Line, share: list[str]) -> None:
        line.prepare()
        for number, operation in enumerate(share, 1):
            getattr(line, operation)(number)

    shares = [plan[n::count] for n in range(count)]
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, lines, shares))

    wrong = [text for line in lines for text in line.wrong]
    for line in lines:
        held = read_artifacts(namespace, line.name)
        for artifact, state in line.completed.items():
            if held.get(artifact) != state:
                wrong.append(f"Backup {line.names[artifact]} holds {held.get(artifact)}: {state}")
        unfinished = [artifact for artifact, state in held.items() if state == "unfinished"]
        wrong += [f"{artifact} of {line.name} is left unfinished" for artifact in unfinished]
    total: Counter[tuple[str, str, str]] = sum((line.outcomes for line in lines), Counter())
    with capsys.disabled():
        print()
        for (kind, victim, phase), times in sorted(total.items()):
            print(f"{kind:<8} {victim + ' killed':<20} {phase:<10} {times:>4}")
    assert not wrong, "\n".join(wrong)
