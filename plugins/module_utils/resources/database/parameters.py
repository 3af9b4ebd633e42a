"""The parameters of a Database's servers: which are whose, what they are to be, what comes next.

Patroni's dynamic configuration has them, for all instances. What the spec sets is written over what
is there, and what was there before is kept, so that a parameter that goes from the spec is again
what it was. Beside these the operator sets a few that follow from `resources` and `storage`.

Pure functions; `configuration.py` reads and writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...errors import InvalidInput
from ...units import parse_quantity
from .hba import HBA, asked_lines
from .members import Member
from .storage import smallest_volume
from .synchronous import SYNCHRONOUS, asked_mode

NO_PARAMETERS = frozenset({HBA, SYNCHRONOUS})
"""What is written and put back as parameters are, and is none of PostgreSQL's."""

PRELOAD = "shared_preload_libraries"
LIBRARIES = {
    PRELOAD: "",
    "session_preload_libraries": "",
    "local_preload_libraries": "plugins/",
}
"""Parameters that name libraries, and the folder of each below the server's own; without one of
them the server does not start, or takes no session."""

NOT_STARTED = frozenset({"start failed", "restart failed"})
"""Patroni's states of an instance whose server does not start."""

_NEEDS_RESTART = "shared_buffers"
"""The default that only a restart brings."""

MOST_RESTARTS = 3
"""So often an instance is restarted for one change."""

_MIB = 1 << 20
_GIB = 1 << 30

# What a standby may not have less of than its primary: it does not start, or stops to replay
# (source: PostgreSQL's documentation, hot standby, administrator's overview).
NOT_LESS_THAN_PRIMARY = frozenset(
    {
        "max_connections",
        "max_locks_per_transaction",
        "max_prepared_transactions",
        "max_wal_senders",
        "max_worker_processes",
    }
)

# Patroni starts a server with its own default where one of these is less
# (source: patroni/postgresql/config.py, CMDLINE_OPTIONS).
_PATRONI_LEAST = {
    "max_connections": 25,
    "max_locks_per_transaction": 32,
    "max_replication_slots": 4,
    "max_wal_senders": 3,
    "max_worker_processes": 2,
}
# With less, no session of Patroni or of the operator comes to its first statement, or no replica
# to its first record.
_LEAST_MILLISECONDS = {
    "transaction_timeout": 1000,
    "wal_receiver_timeout": 1000,
    "wal_sender_timeout": 1000,
}
_LEAST_WAL = 32 * _MIB
"""Two segments of WAL, with less of which a server does not start."""

# What a server takes, and starts with on some nodes only, or cannot be queried with as a standby.
_ONLY = {
    "default_transaction_isolation": ("read committed", "repeatable read"),
    "huge_pages": ("try", "off"),
    "io_method": ("worker", "sync"),
    "wal_level": ("replica", "logical"),
}

# Bytes of shared memory for each lock and each connection, as PostgreSQL's documentation and its
# function CalculateShmemSize have them, rounded up.
_LOCK_BYTES = 300
_CONNECTION_BYTES = 40_000
_MOST_OF_MEMORY = 0.8

JUDGED_WITH = (
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_size",
    "min_wal_size",
    "reserved_connections",
    "shared_buffers",
    "superuser_reserved_connections",
)
"""Parameters that are judged together, so that all are read where one is to change."""


@dataclass(frozen=True)
class Record:
    """What the operator has written into the dynamic configuration, and what came of it.

    Attributes:
        asked: the parameters of the spec that were judged last.
        given: those of them that are written.
        before: what was there before each; None where there was nothing.
        defaults: what the operator has set from `resources` and `storage`.
        made_from: the memory (bytes) that `shared_buffers` was made from; None before anything was
            written.
        left: parameters that were taken out, until every instance has what is there instead.
        previous: all that was written before the last change, to be put back if an instance does
            not start with it.
        refused: reason and message of what was refused; empty where nothing was.
        context: what else the spec said when the parameters were judged, see `context_of`.
        restarts: how often each instance was restarted for the last change.
        held: parameters that only a restart brings, which wait for a maintenance window.
        settled: whether every instance was seen to have all.
    """

    asked: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    before: dict[str, str | None] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    made_from: int | None = None
    left: tuple[str, ...] = ()
    previous: dict[str, Any] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    context: str = ""
    restarts: dict[str, int] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    settled: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Record:
        """Return what `to_plain` has returned; what is not known of it is left out."""
        known = {key: value for key, value in plain.items() if key in Record.__annotations__}
        for name in ("left", "refused", "held"):
            known[name] = tuple(known.get(name, ()))
        return Record(**known)


def asked_parameters(database: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of the spec, each as text.

    With those for `preload`, `hba` and `replication`.
    """
    wanted = database["spec"].get("postgresql", {})
    parameters = dict(wanted.get("parameters", {}))
    if wanted.get("preload"):
        parameters[PRELOAD] = ",".join(wanted["preload"])
    if wanted.get("hba"):
        parameters[HBA] = "\n".join(asked_lines(database))
    mode = asked_mode(database)
    if mode is not None:
        parameters[SYNCHRONOUS] = mode
    return {name: _text(value) for name, value in sorted(parameters.items())}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def context_of(database: Mapping[str, Any]) -> str:
    """Return what of the spec decides, beside the parameters, whether they can be followed."""
    return f"{database['spec'].get('image', '')} {memory_of(database)}"


def read_list(value: str) -> list[str]:
    """Return the names in a parameter that is a list.

    >>> read_list('auto_explain, "pg_stat_statements",')
    ['auto_explain', 'pg_stat_statements']
    """
    names = (name.strip().strip('"') for name in value.split(","))
    return [name for name in names if name]


def is_known_good(asked: Mapping[str, str], record: Record) -> bool:
    """Return whether the parameters of the spec are among those that servers have, or had before.

    They are taken without a question to a server: one that takes no session because of a parameter
    heals when that goes.
    """
    before = record.previous.get("record", {}).get("given", {})
    # No mode of replication keeps a server from taking a session.
    named = {name: value for name, value in asked.items() if name != SYNCHRONOUS}
    return any(named.items() <= known.items() for known in (record.given, before))


def memory_of(database: Mapping[str, Any]) -> int:
    """Return the memory that an instance may use in bytes; 0 where the spec does not say."""
    resources = database["spec"].get("resources", {})
    for kind in ("limits", "requests"):
        if "memory" in resources.get(kind, {}):
            return parse_quantity(str(resources[kind]["memory"]))
    return 0


def make_defaults(memory: int, volume: int) -> dict[str, str]:
    """Return the parameters that follow from the size of an instance.

    Args:
        memory: in bytes; 0 where it is not known, and nothing follows from it.
        volume: the size of the volume in bytes.
    """
    # Before a checkpoint this much WAL may be there, and as much again for each slot that lags.
    most = min(max(volume // 8, 64 * _MIB), 16 * _GIB)
    defaults = {
        "max_wal_size": _megabytes(most),
        "min_wal_size": _megabytes(min(max(most // 8, _LEAST_WAL), 80 * _MIB)),
        # What an instance that does not stream may keep the others from removing. Without a limit
        # it would fill all volumes.
        "max_slot_wal_keep_size": _megabytes(max(volume // 4, 64 * _MIB)),
    }
    if memory:
        defaults |= {
            "shared_buffers": _megabytes(max(memory // 4, 16 * _MIB)),
            "effective_cache_size": _megabytes(max(memory // 4 * 3, 16 * _MIB)),
            "maintenance_work_mem": _megabytes(min(max(memory // 16, 16 * _MIB), 2 * _GIB)),
        }
    return defaults


def _megabytes(size: int) -> str:
    return f"{size // _MIB}MB"


def defaults_of(database: Mapping[str, Any]) -> dict[str, str]:
    """Return the defaults of a new Database."""
    return make_defaults(memory_of(database), smallest_volume(database))


def next_defaults(
    record: Record, current: Mapping[str, Any], database: Mapping[str, Any], waits: bool = False
) -> dict[str, str]:
    """Return the defaults to set now.

    One that needs a restart stays as it is until the memory of the instances changes, for which
    they are replaced anyway: an upgrade of the operator restarts no server.

    Args:
        current: what the dynamic configuration has; that of a new Database begins with all.
        waits: whether instances with another memory wait for a maintenance window.
    """
    defaults = defaults_of(database)
    if waits and record.made_from is not None:
        defaults = make_defaults(record.made_from, smallest_volume(database))
        keep = record.defaults.get(_NEEDS_RESTART)
    elif record.made_from is None:
        keep = current.get(_NEEDS_RESTART)
    elif record.made_from == memory_of(database):
        keep = record.defaults.get(_NEEDS_RESTART)
    else:
        return defaults
    defaults.pop(_NEEDS_RESTART, None)
    return {**defaults, **({_NEEDS_RESTART: _text(keep)} if keep is not None else {})}


def hold(
    record: Record,
    asked: Mapping[str, str],
    defaults: Mapping[str, str],
    need_restart: Collection[str],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return which parameters of the spec are followed before a window, and the names that wait.

    Args:
        asked: the parameters of the spec.
        defaults: those that the operator sets where the spec does not.
        need_restart: which of all only a restart brings.
    """
    before, wanted = {**record.defaults, **record.given}, {**defaults, **asked}
    held = tuple(sorted(name for name in need_restart if before.get(name) != wanted.get(name)))
    followed = {name: value for name, value in asked.items() if name not in held}
    return followed | {n: record.given[n] for n in held if n in record.given}, held


@dataclass(frozen=True)
class Change:
    """A change of the dynamic configuration.

    Attributes:
        parameters: all parameters that it is to have.
        record: what is to be remembered of it.
    """

    parameters: dict[str, Any]
    record: Record


def make_change(
    current: Mapping[str, Any],
    record: Record,
    asked: Mapping[str, str],
    defaults: Mapping[str, str],
    memory: int,
) -> Change:
    """Return what the dynamic configuration's parameters are to be.

    Args:
        current: those that it has.
        record: what was written before.
        asked: those of the spec.
        defaults: those that the operator sets where the spec does not.
    """
    parameters = dict(current)
    written = {**record.defaults, **record.given}
    # Back to what was there before the operator wrote anything.
    for name in written:
        if record.before.get(name) is None:
            parameters.pop(name, None)
        else:
            parameters[name] = record.before[name]
    # No line of pg_hba.conf is another's: those of a former Database over the same volumes go.
    parameters.pop(HBA, None)
    wanted = {**defaults, **asked}
    before = {name: _known(parameters.get(name)) for name in wanted}
    if record.made_from is None:
        # A new Database began with them.
        before |= {name: None for name, value in defaults.items() if before[name] == value}
    left = set(record.left) | set(written)
    return Change(
        {**parameters, **wanted},
        Record(
            asked=dict(asked),
            given=dict(asked),
            before=before,
            defaults={name: value for name, value in defaults.items() if name not in asked},
            made_from=memory,
            left=tuple(sorted(left - set(wanted))),
            previous={
                "parameters": dict(current),
                "record": replace(record, previous={}).to_plain(),
            },
        ),
    )


def _known(value: Any) -> str | None:
    return None if value is None else _text(value)


def put_back(record: Record, reason: str, message: str) -> Change:
    """Return the configuration of before the last change, which is refused from now on."""
    previous = record.previous
    old = Record.from_plain(previous["record"])
    return Change(
        dict(previous["parameters"]),
        replace(
            old,
            asked=record.asked,
            made_from=record.made_from,
            refused=(reason, message),
            left=tuple(sorted({*old.left, *record.given} - {*old.given, *old.defaults})),
            context=record.context,
            restarts={},
            held=(),
            settled=False,
        ),
    )


def is_due(
    record: Record,
    current: Mapping[str, Any],
    asked: Mapping[str, str],
    defaults: Mapping[str, str],
) -> bool:
    """Return whether the dynamic configuration has to be written."""
    if record.asked != dict(asked) or current.get(HBA) != record.given.get(HBA):
        return True
    if record.defaults != {n: v for n, v in defaults.items() if n not in record.given}:
        return True
    written = {**record.defaults, **record.given}
    return any(_known(current.get(name)) != value for name, value in written.items())


def check_together(values: Mapping[str, float], memory: int) -> None:
    """Refuse values that the server takes one by one and does not start with.

    Args:
        values: of `JUDGED_WITH`, in the base unit of each (sizes in bytes), as far as the server
            has them.
        memory: that an instance may use, in bytes; 0 where it is not known.

    Raises:
        InvalidInput: says which, and what to write.
    """
    connections = values["max_connections"]
    reserved = values.get("superuser_reserved_connections", 0) + values.get(
        "reserved_connections", 0
    )
    if reserved >= connections:
        raise InvalidInput(
            f"max_connections is {connections:.0f}, and {reserved:.0f} connections are reserved by"
            " superuser_reserved_connections and reserved_connections; write a larger"
            " max_connections"
        )
    for name in ("max_wal_size", "min_wal_size"):
        if values.get(name, _LEAST_WAL) < _LEAST_WAL:
            raise InvalidInput(f"{name} is less than two segments of WAL; write at least 32MB")
    locks = values.get("max_locks_per_transaction", 64) * (
        connections + values.get("max_prepared_transactions", 0)
    )
    shared = values.get("shared_buffers", 0) + locks * _LOCK_BYTES + connections * _CONNECTION_BYTES
    if memory and shared > memory * _MOST_OF_MEMORY:
        raise InvalidInput(
            f"shared_buffers, max_connections and max_locks_per_transaction need about"
            f" {shared / _MIB:.0f} MiB of shared memory, and an instance has {memory / _MIB:.0f}"
            " MiB; write less, or raise resources.limits.memory"
        )


def check_alone(name: str, value: str, number: float | None) -> None:
    """Refuse what the server takes, and Patroni or the node does not.

    Args:
        number: the value in the parameter's base unit; None for what is no number.

    Raises:
        InvalidInput: says what to write.
    """
    if name == "datestyle" and not value.strip().lower().startswith("iso"):
        raise InvalidInput(
            f"parameter datestyle cannot be {value!r} here, for Patroni reads times: write ISO, DMY"
            " or the like, and another one for a role or a database"
        )
    allowed = _ONLY.get(name)
    if allowed and value.strip().lower() not in allowed:
        raise InvalidInput(
            f"parameter {name} cannot be {value!r} here: write {' or '.join(allowed)}"
        )
    timeout = _LEAST_MILLISECONDS.get(name)
    if timeout is not None and number is not None and 0 < number < timeout:
        raise InvalidInput(
            f"parameter {name} cannot be {value!r}: write at least {timeout}ms, or 0 for none"
        )
    least = _PATRONI_LEAST.get(name)
    if least is not None and number is not None and number < least:
        raise InvalidInput(f"parameter {name} cannot be {value!r}: write at least {least}")


@dataclass(frozen=True)
class Instance:
    """What an instance lacks of the configuration.

    Attributes:
        reload: parameters that it has to load, which Patroni does within seconds.
        restart: parameters that only a restart brings.
        less: those of `restart` that are to become less than they are.
    """

    reload: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    less: tuple[str, ...] = ()


def next_restart(
    members: Sequence[Member], leader: str, lacking: Mapping[str, Instance]
) -> tuple[str, str]:
    """Return the instance to restart now, or an empty name, and in words what is done or awaited.

    Replicas first, each streaming again before the next, then the primary. What must not be less
    on a standby than on its primary is lowered on the primary first.
    """
    late = [m for m in members if not m.serving and m.name != leader]
    if not any(lacks.restart for lacks in lacking.values()):
        # As just after the restart of the primary. Of one that is not ready the status says so.
        behind = next((member.name for member in late if member.ready), "")
        awaited = f"waiting for instance {behind} to stream, which may lack a parameter"
        return "", awaited if behind else ""
    if late:
        return "", f"waiting for instance {late[0].name} to stream before the next restart"
    primary = lacking.get(leader, Instance())
    held = {name for name in primary.less if name in NOT_LESS_THAN_PRIMARY}
    for member in sorted(members, key=lambda member: -member.ordinal):
        names = [n for n in lacking.get(member.name, Instance()).restart if n not in held]
        if member.name != leader and names:
            return member.name, f"restarting replica {member.name} for {', '.join(names)}"
    if primary.restart:
        return leader, f"restarting primary {leader} for {', '.join(primary.restart)}"
    return "", ""


def describe_parameters(record: Record) -> list[dict[str, str]]:
    """Return the parameters that the operator has set, as the status has them."""
    found = [
        *(
            (name, value, "spec")
            for name, value in record.given.items()
            if name not in NO_PARAMETERS
        ),
        *((name, value, _SOURCES.get(name, "storage")) for name, value in record.defaults.items()),
    ]
    return [{"name": n, "value": v, "source": source} for n, v, source in sorted(found)]


_SOURCES = {
    "effective_cache_size": "resources",
    "maintenance_work_mem": "resources",
    "shared_buffers": "resources",
}
