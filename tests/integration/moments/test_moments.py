"""Random moments of a server that is written to all the time: exactly what was committed by then.

A few in CI; ``make test-moments ARGS="--rounds 200 --seed 1"`` tries more.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from campaign import Campaign


def test_what_is_restored_is_what_was_committed_by_then(
    postgres_server, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    option = request.config.getoption
    rounds = option("--rounds")
    seed = option("--seed") or random.SystemRandom().randrange(1, 1_000_000)
    root = Path(tempfile.mkdtemp(prefix="moments-"))
    root.chmod(0o755)

    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    campaign = Campaign(root, postgres_server.account, rounds, seed, say, option("--promotions"))
    say(f"\nseed {seed}")
    try:
        campaign.run(time.monotonic() + option("--minutes") * 60)
    finally:
        campaign.end()
        if not os.environ.get("KEEP"):
            shutil.rmtree(root)
    say(campaign.figures())
    assert campaign.wrong == []
