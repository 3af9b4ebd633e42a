"""Restores to random moments, each compared with what pg_waldump says of that moment."""

from __future__ import annotations

import random
import shutil
import signal
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pyrage
from ansible_collections.postgres.operator.plugins.module_utils.archive.names import (
    format_lsn,
    parse_lsn,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact import options
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical import actions
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.artifact import (
    load_physical,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.extract import (
    server_settings,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    RestoreRequest,
    restore_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.stored_files import (
    ArtifactStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    OperatorError,
    RestoreFailed,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    Connection,
    ConnectionParameters,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    existing_server,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from instances import USER, Instance, free_port, wait_for, work_folder
from ledger import Ledger, microseconds
from workload import DATABASE, TABLES, Workload

KINDS = ("moment", "near", "near", "exact", "inverted", "lsn", "xid", "point", "latest")
ZONES = (0, 0, 60, 330, -570, 840)
KEPT_BACKUPS = 4
CLIENTS = 5

_PARAMETERS = {"track_commit_timestamp": "on", "max_prepared_transactions": "20"}
_SECOND = 1_000_000


@dataclass(frozen=True)
class Base:
    """A physical Backup, as its status has it.

    Attributes:
        consistent: the earliest moment, in microseconds since 1970.
        start, end: LSNs.
    """

    uid: str
    sha256: str
    consistent: int
    start: int
    end: int


@dataclass(frozen=True)
class Wanted:
    """The target of a restore.

    Attributes:
        params: that option of the Job's module.
        base: the Backup to begin with.
        text: for people.
        count: says how many of the ledger's entries come before the end of the recovery; None where
            the restored rows say it.
        at: the moment, in microseconds since 1970, where it is one.
    """

    params: dict[str, object]
    base: Base
    text: str
    count: Callable[[], int] | None
    at: int | None = None


@dataclass(frozen=True)
class Rows:
    """What is in a server: the numbers by transaction, those of ``mirror``, and of ``filling``."""

    counter: dict[int, int]
    mirror: dict[int, int]
    filling: dict[int, int]


@dataclass
class Campaign:
    """Two instances under a workload, their Backups, and the rounds.

    Attributes:
        root: a folder that the server's user can enter.
        account: what subprocess takes to run as that user.
        say: writes a line.
        promotions: how often, out of all rounds, the standby is promoted.
    """

    root: Path
    account: dict[str, Any]
    rounds: int
    seed: int
    say: Callable[[str], None]
    promotions: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    overtaken: list[int] = field(default_factory=list)
    _instances: list[Instance] = field(default_factory=list)
    _bases: list[Base] = field(default_factory=list)
    _points: list[tuple[str, int]] = field(default_factory=list)
    _positions: list[int] = field(default_factory=list)
    _deck: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.ledger = Ledger()
        identity = pyrage.x25519.Identity.generate()
        self._identity = self.root / "identity"
        self._identity.write_text(f"{identity}\n")
        self._recipient = str(identity.to_public())
        for name in ("store", "spool"):
            (self.root / name).mkdir()
        self._uid = str(uuid.uuid4())
        self._port = free_port()

    @property
    def primary(self) -> Instance:
        return self._workload.primary

    @property
    def standby(self) -> Instance:
        return self._instances[-1]

    def run(self, until: float) -> None:
        """Do the rounds.

        Args:
            until: when no further one is begun, by time.monotonic.
        """
        primary = self._add_instance(None)
        self._workload = Workload(primary, CLIENTS, self.seed)
        primary.query(f"CREATE DATABASE {DATABASE}")
        primary.query(TABLES, DATABASE)
        self.ledger.begin(parse_lsn(str(primary.query("SELECT pg_current_wal_flush_lsn()"))))
        self._add_instance(primary)
        promoted = set(self.rng.sample(range(self.rounds), self.promotions))
        with self._workload:
            name = str(primary.query("SELECT pg_walfile_name(pg_switch_wal())"))
            # The archiver waits a second before it tries again what failed.
            wait_for(lambda: self._is_archived(name), "the first segment is archived")
            self._back_up()
            for number in range(1, self.rounds + 1):
                if time.monotonic() > until:
                    break
                assert self._workload.complete
                self._interfere(promotes=number - 1 in promoted)
                self._round(number)
        self._compare_all()

    def end(self) -> None:
        """End all processes."""
        for instance in self._instances:
            instance.end(signal.SIGKILL)

    def figures(self) -> str:
        """What was done, in a line."""
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.events.items()) if count)
        later = f", by {max(self.overtaken)} us at most" if self.overtaken else ""
        return (
            f"{len(self.seconds)} rounds, {len(self.wrong)} wrong, median"
            f" {statistics.median(self.seconds):.1f} s, longest {max(self.seconds):.1f} s; {done};"
            f" {len(self._workload.acknowledged)} transactions; in {len(self.overtaken)} rounds a"
            f" commit had been overtaken at the moment{later}; seed {self.seed}"
        )

    # What happens meanwhile.

    def _add_instance(self, primary: Instance | None) -> Instance:
        settings: dict[str, object] = {
            "namespace": "ns",
            "database": "app",
            "uid": self._uid,
            "recipients": [self._recipient],
            "root": str(self.root / "store"),
        }
        number = len(self._instances)
        made = Instance(
            self.root / f"instance-{number}",
            self.account,
            settings,
            self._port,
            f"127.0.0.{number + 2}",
            _PARAMETERS,
        )
        self._instances.append(made)
        made.make(primary)
        made.start_archiver()
        return made

    def _is_archived(self, name: str) -> bool:
        folder = self.root / "store" / "ns" / "app" / f"wal-{self._uid}"
        return any(folder.rglob(f"{name}*"))

    def _interfere(self, promotes: bool) -> None:
        rng = self.rng
        if promotes:
            self._promote()
        elif rng.random() < 0.1:
            self._kill()
        if rng.random() < 0.1:
            self.standby.archiver.kill()
            self.standby.archiver.wait()
            self.standby.start_archiver()
            self.events["archiver kills"] += 1
        if rng.random() < 0.15 or promotes:
            self._back_up()
        with self.primary.connect() as connection:
            name = f"point-{len(self._points)}"
            (lsn,) = connection.execute(
                "SELECT pg_create_restore_point(%s)::text", [name]
            ).fetchone()
            self._points.append((name, parse_lsn(lsn)))
            for _ in range(3):
                time.sleep(rng.random() / 10)
                (lsn,) = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
                self._positions.append(parse_lsn(lsn))

    def _kill(self) -> None:
        """Kill the primary, and its archiver, in the middle of everything; start them again."""
        self.primary.kill()
        self.primary.archiver.kill()
        self.primary.archiver.wait()
        self.primary.start()
        self.primary.start_archiver()
        self.events["kills of the primary"] += 1

    def _promote(self) -> None:
        """Lose the primary, promote the standby, and make another one."""
        lost, promoted = self.primary, self.standby
        lost.kill()
        self._workload.pause()
        promoted.query("SELECT pg_promote()")
        wait_for(lambda: not promoted.query("SELECT pg_is_in_recovery()"), "it is primary")
        promoted.query("CHECKPOINT")
        self._workload.primary = promoted
        timeline = promoted.query("SELECT timeline_id FROM pg_control_checkpoint()")
        history = (promoted.data / "pg_wal" / f"{timeline:08X}.history").read_text()
        switch = parse_lsn(history.splitlines()[-1].split("\t")[1])
        self.ledger.fork(lost, timeline - 1, switch)
        kept = {entry.xid for entry in self.ledger.entries if entry.committed}
        # Their numbers are given again.
        for xid in set(self._workload.written) - kept:
            del self._workload.written[xid]
        numbers = {written.number for written in self._workload.written.values()}
        lost_numbers = self._workload.acknowledged - numbers
        self._workload.acknowledged -= lost_numbers
        self._points = [point for point in self._points if point[1] <= switch]
        self._positions = [lsn for lsn in self._positions if lsn <= switch]
        self._workload.resume()
        # The former primary's archiver goes on for as long as the copy takes.
        self._add_instance(promoted)
        lost.end(signal.SIGKILL)
        shutil.rmtree(lost.root)
        self.events["promotions"] += 1
        self.events["commits lost by them"] += len(lost_numbers)

    def _back_up(self) -> None:
        """Back up as a Job does; the oldest Backup goes before, where there are many."""
        if len(self._bases) >= KEPT_BACKUPS:
            oldest = self._bases.pop(self.rng.choice((0, 0, 1)))
            store = options.store(self._params(oldest.uid))
            store.files.remove(options.location(self._params(oldest.uid)))
        from_standby = self.rng.random() < 0.5
        uid = str(uuid.uuid4())
        params = self._params(uid)
        done = actions.create(
            {
                **params,
                "recipients": [self._recipient],
                "archive": f"wal-{self._uid}",
                "replication": None,
                "standby": self.standby.host if from_standby else None,
                "max_rate": None,
                "unfinished": [],
                "unfinished_listed": None,
                "completed": [],
                "kept_from": [format_lsn(base.start) for base in self._bases],
                "oldest_end": format_lsn(min(base.end for base in self._bases))
                if self._bases
                else None,
            },
            False,
        )["artifact"]
        if done["archive"]["gaps"]:
            self._fail(f"Backup {uid} reports gaps: {done['archive']['gaps']}")
        artifact = load_physical(options.store(params), options.location(params))
        manifest = artifact.manifest
        consistent = datetime.fromisoformat(manifest.consistent_time)
        self._bases.append(
            Base(
                uid,
                artifact.sha256,
                microseconds(consistent),
                parse_lsn(manifest.start_lsn),
                parse_lsn(manifest.end_lsn),
            )
        )
        # Until the next moment is one that can be restored.
        while datetime.now(UTC) < consistent:
            time.sleep(0.05)
        source = "standby" if manifest.server.standby else "primary"
        self.events[f"Backups of the {source}"] += 1

    def _params(self, uid: str) -> dict[str, object]:
        """What all modules of a Job take."""
        return {
            "host": self.primary.host,
            "port": self._port,
            "user": USER,
            "password_file": None,
            "sslmode": "prefer",
            "sslrootcert": None,
            "sslcert": None,
            "sslkey": None,
            "root": str(self.root / "store"),
            "identity_file": str(self._identity),
            "spool": str(self.root / "spool"),
            "namespace": "ns",
            "resource": "app",
            "uid": uid,
            "jobs": 2,
            "progress_file": None,
        }

    def _fail(self, text: str) -> None:
        self.wrong.append(text)
        self.say(f"WRONG: {text}")

    # A round.

    def _round(self, number: int) -> None:
        self.ledger.read(self.primary)
        if not self._deck:
            self._deck = self.rng.sample(KINDS, len(KINDS))
        wanted = self._choose(self._deck.pop())
        acknowledged = set(self._workload.acknowledged)
        loads = self.rng.random() < 0.1
        begun = time.monotonic()
        try:
            rows, summary = self._restore(wanted, loads)
        except OperatorError as error:
            self.seconds.append(time.monotonic() - begun)
            self._fail(f"round {number}, {wanted.text}: {type(error).__name__}: {error.message}")
            return
        self.seconds.append(time.monotonic() - begun)
        self.ledger.read(self.primary)
        if wanted.count:
            count = wanted.count()
        else:
            count, missing = self._count_of(rows, acknowledged)
            if missing:
                self._fail(f"round {number}, {wanted.text}: without {sorted(missing)[:5]}")
        faults = list(self._compare(rows, count, summary))
        for fault in faults:
            self._fail(f"round {number}, {wanted.text}: {fault}")
        if wanted.at is not None:
            late = self.ledger.overtaken(wanted.at, count)
            if late:
                after = self.ledger.entries[count].time
                self.overtaken.append(after - min(entry.time for entry in late))
        how = ", and into the live server" if loads else ""
        self.say(
            f"{number}/{self.rounds} {wanted.text}{how}: {len(rows.counter)} transactions,"
            f" {self.seconds[-1]:.1f} s, {len(self.wrong)} wrong so far"
        )

    def _restore(self, wanted: Wanted, loads: bool) -> tuple[Rows, dict[str, Any]]:
        """Recover as a Job does, and read what is there; or load it, and read that."""
        params = self._params(wanted.base.uid)
        with work_folder() as folder:
            targets: dict[str, object] = dict.fromkeys(
                ("point_in_time", "restore_point", "lsn", "xid", "latest")
            )
            summary = actions.recover_server(
                {
                    **params,
                    **targets,
                    **wanted.params,
                    "folder": str(folder),
                    "sha256": wanted.base.sha256,
                },
                False,
            )["recovered"]
            if loads:
                return self._load(params, folder), summary
            with (
                existing_server(folder / "server", server_settings(1), RestoreFailed) as server,
                connect(server.parameters, DATABASE) as connection,
            ):
                return _read_rows(connection), summary

    def _load(self, params: dict[str, object], folder: Path) -> Rows:
        """Restore into another database of the live server."""
        target = folder / "logical"
        target.mkdir()
        actions.extract_database(
            {
                **params,
                "folder": str(folder),
                "database": DATABASE,
                "target": str(target),
                "include": None,
                "exclude": None,
            },
            False,
        )
        live = ConnectionParameters(self.primary.host, self._port, USER, "moment")
        restore_artifact(
            RestoreRequest(
                parameters=live,
                store=ArtifactStore(FilesystemStore(target)),
                location=options.location(params),
                uid=str(uuid.uuid4()),
                jobs=2,
            )
        )
        self.events["rounds also loaded into the live server"] += 1
        try:
            with connect(live) as connection:
                return _read_rows(connection)
        finally:
            self.primary.query("DROP DATABASE moment WITH (FORCE)")

    def _choose(self, kind: str) -> Wanted:
        choose: dict[str, Callable[[], Wanted | None]] = {
            "near": self._near,
            "exact": self._exact,
            "inverted": self._inverted,
            "lsn": self._lsn,
            "xid": self._xid,
            "point": self._point,
            "latest": self._latest,
        }
        wanted = choose[kind]() if kind in choose else None
        return wanted or self._anywhen()

    def _anywhen(self) -> Wanted:
        earliest = min(base.consistent for base in self._bases)
        return self._moment(self.rng.randint(earliest, _now()), "")

    def _near(self) -> Wanted | None:
        """Within some milliseconds of a commit."""
        at = self._some_commit()
        offset = self.rng.randint(-4000, 4000)
        return self._moment(at + offset, f", {offset} us after a commit") if at else None

    def _exact(self) -> Wanted | None:
        """The microsecond of a commit, or the one before."""
        at, offset = self._some_commit(), self.rng.choice((0, -1))
        return self._moment(at + offset, f", {offset} us after a commit") if at else None

    def _inverted(self) -> Wanted | None:
        """The time of a commit that comes in the WAL after one with a later time."""
        times = [at for at in self.ledger.inversions() if self._is_restorable(at)]
        return self._moment(self.rng.choice(times), ", of an overtaken commit") if times else None

    def _some_commit(self) -> int | None:
        times = [entry.time for entry in self.ledger.entries if self._is_restorable(entry.time)]
        return self.rng.choice(times) if times else None

    def _is_restorable(self, at: int) -> bool:
        """Whether a moment is not before the window, and a little before now."""
        earliest = min(base.consistent for base in self._bases)
        return earliest + 5000 <= at <= _now() - 5000

    def _moment(self, at: int, what: str) -> Wanted:
        bases = [base for base in self._bases if base.consistent <= at]
        base = self._choose_base(bases)
        zone = timezone(timedelta(minutes=self.rng.choice(ZONES)))
        moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(zone)
        text = moment.isoformat(timespec="microseconds")
        if text.endswith("+00:00") and self.rng.random() < 0.5:
            text = text.removesuffix("+00:00") + "Z"
        return Wanted(
            {"point_in_time": text},
            base,
            f"{text}{what}, Backup {bases.index(base) + 1} of {len(bases)}",
            partial(self.ledger.until, at, base.start),
            at,
        )

    def _choose_base(self, bases: list[Base]) -> Base:
        return bases[-1] if self.rng.random() < 0.5 else self.rng.choice(bases)

    def _from_lsn(self, option: str, value: object, lsn: int, what: str) -> Wanted | None:
        """A target that is a place in the WAL: all ends of transactions that begin before it."""
        bases = [base for base in self._bases if base.end <= lsn]
        if not bases:
            return None
        base = self._choose_base(bases)
        return Wanted({option: value}, base, what, partial(self.ledger.before, lsn))

    def _lsn(self) -> Wanted | None:
        lsns = [entry.lsn for entry in self.ledger.entries[-5000:]]
        lsn = self.rng.choice([self.rng.choice(lsns), self.rng.choice(self._positions)])
        return self._from_lsn("lsn", format_lsn(lsn), lsn, f"LSN {format_lsn(lsn)}")

    def _xid(self) -> Wanted | None:
        entry = self.rng.choice([one for one in self.ledger.entries if one.committed])
        what = f"transaction {entry.xid}"
        # Itself included: nothing else begins at its own first byte.
        return self._from_lsn("xid", str(entry.xid), entry.lsn + 1, what)

    def _point(self) -> Wanted | None:
        name, lsn = self.rng.choice(self._points)
        return self._from_lsn("restore_point", name, lsn, f"restore point {name}")

    def _latest(self) -> Wanted:
        return Wanted({"latest": True}, self._choose_base(self._bases), "latest", None)

    # The comparison.

    def _count_of(self, rows: Rows, acknowledged: set[int]) -> tuple[int, set[int]]:
        """The end of what was restored, and what was committed before and is not there."""
        last = max((n for n, entry in enumerate(self.ledger.entries) if entry.xid in rows.counter))
        return last + 1, acknowledged - set(rows.counter.values())

    def _compare(self, rows: Rows, count: int, summary: dict[str, Any]) -> Iterator[str]:
        """Say what is wrong."""
        expected = self._expected(count)
        missing = expected.counter.items() - rows.counter.items()
        added = rows.counter.items() - expected.counter.items()
        if missing or added:
            yield f"missing {sorted(missing)[:5]}, too many {sorted(added)[:5]}"
        if rows.mirror != rows.counter:
            yield "a transaction is there in part"
        if rows.filling != expected.filling:
            yield "a row has not the value of its last update"
        recovered = summary.get("recoveredTime")
        if recovered and count:
            # A status has whole seconds.
            last = self.ledger.entries[count - 1].time
            found = microseconds(datetime.fromisoformat(recovered))
            if abs(found - last) > _SECOND:
                yield f"recoveredTime is {recovered}, the last transaction ended at {last}"

    def _expected(self, count: int) -> Rows:
        written = self._workload.written
        committed = [
            (entry.xid, written[entry.xid])
            for entry in self.ledger.entries[:count]
            if entry.committed and entry.xid in written
        ]
        numbers = {xid: one.number for xid, one in committed}
        filling = {one.filling: one.number for _, one in committed if one.filling is not None}
        return Rows(numbers, numbers, filling)

    def _compare_all(self) -> None:
        """Compare the ledger with the live server and its own times of commits."""
        self.ledger.read(self.primary)
        with self.primary.connect(DATABASE) as connection:
            rows = _read_rows(connection)
            times = dict(
                connection.execute(
                    "SELECT xid, round(extract(epoch FROM"
                    " pg_xact_commit_timestamp(xid::text::xid)) * 1000000)::bigint FROM counter"
                ).fetchall()
            )
        for fault in self._compare(rows, len(self.ledger.entries), {}):
            self._fail(f"the live server: {fault}")
        ended = {entry.xid: entry.time for entry in self.ledger.entries if entry.committed}
        differing = [xid for xid, at in times.items() if ended.get(xid) != at]
        if differing:
            self._fail(f"pg_xact_commit_timestamp differs for {differing[:5]}")
        lost = self._workload.acknowledged - set(rows.counter.values())
        if lost:
            self._fail(f"confirmed and not there: {sorted(lost)[:5]}")


def _read_rows(connection: Connection) -> Rows:
    counter, mirror = (
        dict(connection.execute(f"SELECT xid, n FROM public.{name}").fetchall())
        for name in ("counter", "mirror")
    )
    filling = connection.execute("SELECT id, n FROM public.filling WHERE n > 0").fetchall()
    return Rows(counter, mirror, dict(filling))


def _now() -> int:
    return microseconds(datetime.now(UTC))
