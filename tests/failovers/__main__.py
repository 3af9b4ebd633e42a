"""make test-failovers: faults drawn by a seed, while clients write, and a check of all they saw.

Needs a cluster with the operator, as KUBECONFIG says. Each round does one fault to one instance,
waits until writes are acknowledged and all replicas stream again, and reads all rows. At the end the
history is checked (history.py). The exit code is 1 where something is wrong; with --mode off a row
that was acknowledged may be lost, and how many is printed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

from faults import KINDS, Fault, draw, inflict
from history import UNKNOWN, Write, check, longest_gap
from kube import KubectlError, Namespace
from trial import DATABASE, Trial, load_read, until

_WHOLE_SECONDS = 240.0
_MAY_LOSE = {"lost", "vanished", "stale"}


@dataclass
class Round:
    """One fault, and what came of it.

    Attributes:
        begun, ended: in seconds since 1970.
        promotions: how many timelines it has added.
    """

    fault: Fault
    begun: float
    ended: float = 0.0
    promotions: int = 0


@dataclass
class Campaign:
    """Rounds on one Database, and what was found wrong meanwhile."""

    cluster: Trial
    choose: random.Random
    kinds: tuple[str, ...]
    folder: Path
    rounds: list[Round] = field(default_factory=list)
    reads: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def failovers(self) -> int:
        """How often another instance, or the same one again, was promoted."""
        return sum(one.promotions for one in self.rounds)

    def run(self, failovers: int, minutes: float) -> None:
        """Do rounds until there were so many failovers, or the time is over."""
        end = time.monotonic() + minutes * 60
        timeline = self.cluster.wait_until_whole(_WHOLE_SECONDS, self.cluster.streaming).timeline
        while self.failovers < failovers and time.monotonic() < end and not self.wrong:
            timeline = self._round(timeline)

    def _round(self, timeline: int) -> int:
        fault = draw(self.choose, self.kinds)
        leader = until(lambda: self.cluster.leader() or None, 30, "an instance leads")
        replicas = [f"{DATABASE}-{n}" for n in range(self.cluster.instances)]
        replicas.remove(leader)
        replica = replicas[int(fault.chance * len(replicas))]
        if fault.kind == "switch over":
            with suppress(KubectlError):
                replica = self._candidate(leader) or replica
        target = leader if fault.on_primary else replica
        begun = time.time()
        try:
            inflict(fault, self.cluster.namespace, DATABASE, target, replica)
        except KubectlError as error:
            print(f"{fault.text}: not done, {error}", flush=True)
            return timeline
        now = Round(fault, begun)
        self.rounds.append(now)
        try:
            if fault.seconds:
                time.sleep(fault.seconds)
            if fault.kind == "switch over":
                self._await_leader(replica)
            # So long until a fault has shown.
            time.sleep(3)
            state = self.cluster.wait_until_whole(_WHOLE_SECONDS, self.cluster.streaming)
            until(self._writes, 60, "a write is acknowledged")
            now.ended, now.promotions = time.time(), state.timeline - timeline
            self._read()
        except TimeoutError as error:
            self.wrong.append(f"after {fault.text} on {target}: {error}")
            return timeline
        print(
            f"{len(self.rounds)}: {fault.text} ({target}): {now.promotions} failovers"
            f" ({self.failovers} in all), whole after {now.ended - begun:.0f} s",
            flush=True,
        )
        time.sleep(self.choose.uniform(0, 2))
        return state.timeline

    def _await_leader(self, instance: str) -> None:
        """Wait for a switchover, which may also be refused."""
        with suppress(TimeoutError):
            until(lambda: self.cluster.leader() == instance or None, 40, "the switchover is over")

    def _candidate(self, leader: str) -> str:
        """Return a replica that may take over: one that streams, a synchronous one where any is."""
        names = (
            "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'"
            " ORDER BY sync_state IN ('sync', 'quorum') DESC, random() LIMIT 1"
        )
        return self.cluster.sql(leader, names).strip()

    def _writes(self) -> bool | None:
        return True if time.time() - self.cluster.last_acknowledged() < 2 else None

    def _read(self) -> None:
        try:
            self.cluster.read(self.folder, self.reads)
            self.reads += 1
        except KubectlError as error:
            print(f"not read: {error}", flush=True)


def report(rounds: Sequence[Round], writes: Sequence[Write]) -> None:
    """Print a line for each kind of fault: how often, failovers, seconds without a write."""
    by_kind: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for one in rounds:
        if one.ended:
            gap = longest_gap(writes, one.begun, one.ended)
            where = "primary" if one.fault.on_primary else "replica"
            by_kind[f"{one.fault.kind}, {where}"].append((gap, one.promotions))
    print(f"{'fault':<32} {'times':>5} {'failovers':>9} {'median s':>8} {'longest s':>9}")
    for kind, found in sorted(by_kind.items()):
        gaps = [gap for gap, _ in found]
        promotions = sum(number for _, number in found)
        print(
            f"{kind:<32} {len(found):>5} {promotions:>9} {statistics.median(gaps):>8.1f}"
            f" {max(gaps):>9.1f}"
        )


def judge(campaign: Campaign, writes: Sequence[Write]) -> list[str]:
    """Check the history, print what was found, and return what is wrong."""
    files = sorted(campaign.folder.glob("read-*"))
    verdict = check(writes, (load_read(path) for path in files))
    unknown = sum(write.outcome == UNKNOWN for write in writes)
    print(
        f"{len(writes)} writes, {unknown} of unknown outcome, {len(files)} reads,"
        f" {len(campaign.rounds)} faults, {campaign.failovers} failovers"
    )
    wrong = list(campaign.wrong)
    for kind in vars(verdict):
        values = getattr(verdict, kind)
        print(f"{kind}: {len(values)}{' ' + str(values[:5]) if values else ''}")
        if values and not (campaign.cluster.mode == "off" and kind in _MAY_LOSE):
            wrong.append(f"{kind}: {values[:20]}")
    return wrong


def main() -> int:
    """Run a campaign."""
    parser = argparse.ArgumentParser(prog="test-failovers", description=__doc__)
    parser.add_argument("--failovers", type=int, default=20, help="end after so many")
    parser.add_argument("--minutes", type=float, default=60, help="end after them in any case")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    parser.add_argument(
        "--mode", default="quorum", choices=("off", "preferred", "required", "quorum")
    )
    parser.add_argument("--count", type=int, default=1, help="replication.synchronousCount")
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument(
        "--streaming", type=int, default=0, help="replicas that stream before the next fault; all"
    )
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument(
        "--pause", type=float, default=0.1, help="seconds between a client's writes"
    )
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these faults")
    parser.add_argument("--keep", action="store_true", help="leave the namespace")
    given = parser.parse_args()
    print(f"mode {given.mode}, count {given.count}, seed {given.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="failovers-"))
    namespace = Namespace(f"failovers-{uuid.uuid4().hex[:8]}")
    namespace.kubectl("create", "namespace", namespace.name)
    cluster = Trial(
        namespace, given.mode, given.count, given.instances, given.streaming or given.instances - 1
    )
    kinds = tuple(given.kind or KINDS)
    campaign = Campaign(cluster, random.Random(given.seed), kinds, folder)
    wrong = ["it was not brought to its end"]
    try:
        cluster.make(given.clients, given.pause)
        campaign.run(given.failovers, given.minutes)
        writes = cluster.stop_clients()
        if not campaign.wrong:
            cluster.wait_until_whole(_WHOLE_SECONDS, given.instances - 1)
        cluster.read(folder, campaign.reads)
        report(campaign.rounds, writes)
        wrong = judge(campaign, writes)
    finally:
        if wrong:
            print(f"namespace {namespace.name} and {folder} are kept")
        elif not given.keep:
            cluster.delete()
    print("\n".join(wrong) or "nothing is wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
