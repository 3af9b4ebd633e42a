"""Brings the parameters of the spec to the servers, and restarts those that need it.

Patroni keeps its dynamic configuration in an annotation of the Endpoints `NAME-config`, and each
instance loads it within seconds (source: patroni/dcs/kubernetes.py). What the operator has written
there stands beside it, in an annotation of the same object: both change at once or not at all.

A value is written once the primary was found to take it. If an instance does not start with it, the
configuration of before is put back, and no other instance is restarted.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ...errors import DatabaseNotReady, InvalidInput, OperatorError
from ...kube.client import ApiError, Cluster, Object
from ...kube.port_forward import reach
from ...postgres.connection import Connection, connect, deadline
from ...postgres.errors import database_errors
from ...postgres.hba import HbaFile, ensure_group, read_hba_file
from ...postgres.own_names import SESSION_GROUP
from ...postgres.settings import (
    Setting,
    check_in_session,
    find_missing_libraries,
    find_similar,
    read_files,
    read_memory,
    read_settings,
)
from ...units import first_of, format_time, parse_time
from . import patroni_rest
from .certificates import read_certificates, server_name
from .hba import HBA, HbaLineRefused, all_lines, asked_lines, check_lines, further_lines
from .instances import read_instances
from .maintenance import find_maintenance
from .members import Member, find_primary
from .parameters import (
    JUDGED_WITH,
    LIBRARIES,
    MOST_RESTARTS,
    NO_PARAMETERS,
    NOT_STARTED,
    Change,
    Instance,
    Record,
    asked_parameters,
    check_alone,
    check_together,
    context_of,
    describe_parameters,
    hold,
    is_due,
    is_known_good,
    make_change,
    memory_of,
    next_defaults,
    next_restart,
    put_back,
    read_list,
)
from .patroni_rest import ServerNotStarted
from .secrets import read_rest_api_login
from .superuser import read_secret, superuser, write_private
from .synchronous import SYNCHRONOUS, read_mode, with_mode
from .synchronous_state import is_in_effect

ANNOTATION = "database.example.com/parameters"
_CONFIG = "config"
_HBA_FILE = "pg_hba.conf"
_SECONDS = 15.0
# Patroni loads a change within its loop of 2 s.
_LOADED_WITHIN = timedelta(seconds=60)
# The first time its files have to stop saying what the change does: the kubelet takes a minute.
_HBA_LOADED_WITHIN = timedelta(seconds=180)
_LOG_LINES = 200
# The first severity of a line: what comes after another one may be a user's text.
_FATAL = re.compile(r"(?:(?!LOG:  |ERROR:  |STATEMENT:  |DETAIL:  |HINT:  ).)*?FATAL:  (.*)")
_REFUSED = "ParameterRefused"
_NOT_LOADED = "ParameterNotLoaded"


@dataclass(frozen=True)
class Stored:
    """What the Endpoints `NAME-config` has.

    Attributes:
        config: Patroni's dynamic configuration.
        record: what the operator has written into it.
        since: when that was.
        version: the resourceVersion of the Endpoints.
    """

    config: dict[str, Any]
    record: Record
    since: datetime | None
    version: str

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the dynamic configuration, and what is written as they are.

        That is the spec's lines of pg_hba.conf, and the mode of synchronous replication.
        """
        found: dict[str, Any] = (self.config.get("postgresql") or {}).get("parameters") or {}
        lines, mode = further_lines(self.hba), read_mode(self.config)
        return {
            **found,
            **({HBA: "\n".join(lines)} if lines else {}),
            **({SYNCHRONOUS: mode} if mode else {}),
        }

    @property
    def hba(self) -> Any:
        """All lines of pg_hba.conf in the dynamic configuration; None where it has none."""
        return (self.config.get("postgresql") or {}).get("pg_hba")

    @property
    def has_hba(self) -> bool:
        """Whether the dynamic configuration has the lines, and not the files of the instances."""
        return further_lines(self.hba) is not None


def read_stored(cluster: Cluster, database: Object) -> Stored | None:
    """Return the dynamic configuration; None before Patroni has written it.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    metadata = database["metadata"]
    found = cluster.get("v1", "Endpoints", metadata["namespace"], f"{metadata['name']}-config")
    annotations = (found or {}).get("metadata", {}).get("annotations") or {}
    if found is None or _CONFIG not in annotations:
        return None
    kept = _read_json(annotations.get(ANNOTATION, "{}"))
    since = str(kept.pop("since", ""))
    return Stored(
        json.loads(annotations[_CONFIG]),
        Record.from_plain(kept),
        parse_time(since) if since else None,
        found["metadata"]["resourceVersion"],
    )


def _read_json(text: str) -> dict[str, Any]:
    """Return an object; an empty one where another hand has written what is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def is_settled(stored: Stored | None, database: Object) -> bool:
    """Return whether every instance has the parameters that it is to have, as far as is known."""
    return stored is None or (stored.record.settled and not _is_due(stored, database))


def _is_due(stored: Stored, database: Object) -> bool:
    record = stored.record
    if _has_other_hba(stored, database):
        return True
    if record.refused and record.context != context_of(database):
        return True
    waits = _waits_for_window(database, stored)
    if record.held and not waits:
        return True
    defaults = next_defaults(record, stored.parameters, database, waits)
    return is_due(record, stored.parameters, asked_parameters(database), defaults)


def _has_other_hba(stored: Stored, database: Object) -> bool:
    """Return whether the operator's own lines are to be others, as after a change of spec.tls."""
    return stored.hba is not None and stored.hba != _wanted_hba(database, stored.parameters)


def _wanted_hba(database: Object, parameters: Mapping[str, Any]) -> list[str]:
    return all_lines(database, str(parameters.get(HBA, "")).splitlines())


def describe(stored: Stored | None, message: str = "") -> dict[str, Any]:
    """Return what the status says of the parameters.

    Args:
        message: what is being done to bring them to the instances; empty where nothing is.
    """
    record = stored.record if stored else Record()
    return {
        "parameters": describe_parameters(record),
        "refused": list(record.refused),
        "held": list(record.held),
        "message": message,
    }


def maintain_configuration(
    cluster: Cluster, database: Object, rolling: bool, dry_run: bool = False
) -> dict[str, Any]:
    """Take at most one step towards all instances having the parameters. Never waits for one.

    Args:
        rolling: whether instances are being replaced: their successors start with what is written,
            so none is restarted.

    Returns:
        `changed`, and what `describe` returns.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    stored = read_stored(cluster, database)
    metadata = database["metadata"]
    members, leader = read_instances(cluster, metadata["namespace"], metadata["name"])
    primary = find_primary(members, leader)
    if stored is None or dry_run or is_settled(stored, database):
        return {"changed": False, **describe(stored)}
    try:
        failed = [m for m in members if m.state in NOT_STARTED]
        if failed and stored.record.previous and not stored.record.settled:
            why = _why_not_started(cluster, database, failed[0])
            return _put_back(cluster, database, stored, _REFUSED, why)
        if _is_due(stored, database) and (
            primary is not None or is_known_good(asked_parameters(database), stored.record)
        ):
            return _change(cluster, database, stored, primary)
        if primary is None:
            return {"changed": False, **describe(stored, "waiting for a primary")}
        return _bring(cluster, database, stored, members, primary, rolling)
    except ApiError:
        raise
    except OperatorError as error:
        return {"changed": False, **describe(stored, error.message)}


def _change(
    cluster: Cluster, database: Object, stored: Stored, primary: Member | None
) -> dict[str, Any]:
    """Write the parameters, or that they are refused.

    Args:
        primary: None where what is asked for is known to be good.
    """
    asked = asked_parameters(database)
    waits = _waits_for_window(database, stored)
    defaults = next_defaults(stored.record, stored.parameters, database, waits)
    memory = memory_of(database)
    refused: tuple[str, ...] = ()
    context = context_of(database)
    if asked == stored.record.asked and context == stored.record.context:
        # Refused before, or as they are.
        refused = stored.record.refused
    elif primary is not None and not is_known_good(asked, stored.record):
        try:
            check_lines(database, asked_lines(database))
            with _session(cluster, database, primary) as connection:
                _check(connection, {**stored.parameters, **defaults, **asked}, asked, memory)
                if HBA in asked:
                    ensure_group(connection, SESSION_GROUP)
        except HbaLineRefused as error:
            refused = (error.reason, error.message)
        except InvalidInput as error:
            refused = (_REFUSED, error.message)
    given = stored.record.given if refused else asked
    held: tuple[str, ...] = ()
    if primary is not None and waits:
        need_restart = _need_restart(cluster, database, primary, {*given, *defaults}, stored)
        given, held = hold(stored.record, given, defaults, need_restart)
    made_from = stored.record.made_from if waits else None
    made_from = memory if made_from is None else made_from
    change = make_change(stored.parameters, stored.record, given, defaults, made_from)
    record = replace(change.record, asked=asked, refused=refused, context=context, held=held)
    if change.parameters == stored.parameters and not _has_other_hba(stored, database):
        # As with a new Database, which begins with the defaults, or if all is refused.
        known = stored.record
        record = replace(
            record,
            settled=known.settled or known.made_from is None,
            previous=known.previous,
            restarts=known.restarts,
            left=known.left,
        )
    message = "" if record.settled else "the parameters are being loaded"
    return _write(cluster, database, stored, Change(change.parameters, record), message)


def _waits_for_window(database: Object, stored: Stored) -> bool:
    """Return whether no server is to be restarted for a change now.

    One that has never served has nobody to disturb.
    """
    served = database.get("status", {}).get("version") and stored.record.made_from is not None
    return bool(served) and not find_maintenance(database, datetime.now(UTC)).open


def _need_restart(
    cluster: Cluster, database: Object, primary: Member, names: set[str], stored: Stored
) -> list[str]:
    """Return which of these parameters, and of those that are written, only a restart brings."""
    names = {*names, *stored.record.given, *stored.record.defaults} - NO_PARAMETERS
    with _session(cluster, database, primary) as connection:
        known = read_settings(connection, names)
    return [name for name, setting in known.items() if setting.needs_restart]


def _check(
    connection: Connection, wanted: Mapping[str, Any], asked: Mapping[str, str], memory: int
) -> None:
    """Refuse what the server would not take, or would not start with.

    Raises:
        InvalidInput
    """
    known = read_settings(connection, {*asked, *JUDGED_WITH})
    for name, value in asked.items():
        if name in NO_PARAMETERS:
            continue
        setting = known.get(name)
        if setting is None:
            _check_unknown(connection, name)
            continue
        if setting.context == "internal":
            raise InvalidInput(f"parameter {name} cannot be set: it says how the server was built")
        setting.parse(value)
        check_in_session(connection, setting, value)
        number = float(setting.parse(value)) if setting.vartype == "integer" else None
        check_alone(name, value, number)
    for name in [name for name in LIBRARIES if name in asked]:
        libraries = [f"{LIBRARIES[name]}{library}" for library in read_list(asked[name])]
        missing = find_missing_libraries(connection, libraries)
        if missing:
            raise InvalidInput(
                f"the image has no library {missing[0]}, which {name} names; use an image that has"
                " it, or leave it out"
            )
    amounts = {}
    for name in JUDGED_WITH:
        if name in known:
            text = str(wanted[name]) if name in wanted else known[name].setting or ""
            amounts[name] = known[name].amount(text)
    check_together(amounts, memory or read_memory(connection))


def _check_unknown(connection: Connection, name: str) -> None:
    """Refuse a name that is nobody's; one with a dot is that of an extension.

    Raises:
        InvalidInput
    """
    if "." in name:
        return
    similar = find_similar(connection, name)
    hint = f"; is {similar} meant?" if similar else ""
    version = connection.info.parameter_status("server_version")
    raise InvalidInput(f"PostgreSQL {version} has no parameter {name}{hint}")


def _bring(
    cluster: Cluster,
    database: Object,
    stored: Stored,
    members: Sequence[Member],
    primary: Member,
    rolling: bool,
) -> dict[str, Any]:
    """See which instance lacks what, and restart the next one that has to be."""
    # It runs, and its Patroni cannot query it any more.
    unready = [m for m in members if not m.ready and m.state in {"running", "streaming"}]
    if unready and _is_late(stored) and not rolling:
        why = (
            f"instance {unready[0].name} has not been ready since; see:"
            f" kubectl logs {unready[0].name} -c postgres"
        )
        return _put_back(cluster, database, stored, _NOT_LOADED, why)
    overridden: dict[str, str] = {}
    lacking, fault = _find_lacking(cluster, database, stored, members, overridden)
    if fault:
        return _put_back(cluster, database, stored, *fault)
    late = {name: lacks.reload for name, lacks in lacking.items() if lacks.reload}
    if late:
        return _wait_for_load(cluster, database, stored, late, overridden)
    if rolling or any(not member.encrypted for member in members):
        return {"changed": False, **describe(stored)}
    instance, message = next_restart(members, primary.name, lacking)
    if instance:
        target = next(member for member in members if member.name == instance)
        return _restart(cluster, database, stored, target, message)
    complete = len(lacking) == len(members) == database["spec"]["replicas"]
    if message or not complete:
        return {"changed": False, **describe(stored, message)}
    if not _has_mode(cluster, database, stored, primary):
        return {
            "changed": False,
            **describe(stored, f"{primary.name} has yet to follow spec.replication.synchronous"),
        }
    record = replace(stored.record, settled=True, previous={}, left=(), restarts={})
    return _write(cluster, database, stored, Change(stored.parameters, record), "")


def _has_mode(cluster: Cluster, database: Object, stored: Stored, primary: Member) -> bool:
    """Return whether the primary's Patroni acts by the mode of synchronous replication."""
    if SYNCHRONOUS not in {*stored.record.given, *stored.record.left}:
        return True
    return is_in_effect(cluster, database, stored.config, primary.name)


def _find_lacking(
    cluster: Cluster,
    database: Object,
    stored: Stored,
    members: Sequence[Member],
    overridden: dict[str, str],
) -> tuple[dict[str, Instance], tuple[str, str] | None]:
    """Return what each instance lacks that serves, and why the last change is to be taken back.

    Raises:
        OperatorError: one could not be asked, or does not take what was there before.
    """
    lacking: dict[str, Instance] = {}
    # Before that, the files of some have the lines, and not the dynamic configuration.
    has_hba = stored.has_hba and all(member.encrypted for member in members)
    for member in members:
        if not member.serving:
            continue
        try:
            with _session(cluster, database, member) as connection:
                lacks = _compare(connection, stored, overridden)
                found = read_hba_file(connection) if has_hba else None
        except OperatorError as error:
            if not _is_late(stored):
                raise
            why = f"no session is possible on instance {member.name}: {error.message}"
            return {}, (_NOT_LOADED, why)
        try:
            lacking[member.name] = _compare_hba(member.name, found, stored, lacks)
        except HbaLineRefused as error:
            if not stored.record.previous:
                raise
            return {}, (error.reason, error.message)
    return lacking, None


def _is_late(stored: Stored, within: timedelta = _LOADED_WITHIN) -> bool:
    """Return whether a change should have been loaded by now, and can be taken back."""
    if stored.since is None or not stored.record.previous:
        return False
    return datetime.now(UTC) - stored.since > within


def _compare_hba(name: str, found: HbaFile | None, stored: Stored, lacks: Instance) -> Instance:
    """Return what an instance lacks, with the lines of pg_hba.conf.

    Args:
        found: its file; None where the dynamic configuration does not have the lines.

    Raises:
        HbaLineRefused: its server does not take one of them, and says why.
    """
    if found is None:
        return lacks
    if found.lines != stored.hba:
        return replace(lacks, reload=(*lacks.reload, _HBA_FILE))
    if found.error:
        raise HbaLineRefused(
            f"PostgreSQL of instance {name} does not take pg_hba.conf: {found.error}"
        )
    return lacks


def _compare(connection: Connection, stored: Stored, overridden: dict[str, str]) -> Instance:
    """Return what a server lacks; parameters that ALTER SYSTEM keeps are added to `overridden`."""
    record = stored.record
    names = {*record.given, *record.defaults, *record.left} - NO_PARAMETERS
    settings, files = read_settings(connection, names), read_files(connection, names)
    reload, restart, less = [], [], []
    for name in sorted(names):
        setting, in_file = settings.get(name), files.get(name)
        if name in stored.parameters:
            wanted = str(stored.parameters[name])
        elif in_file is not None:
            wanted = in_file.value
        elif setting is not None:
            wanted = setting.boot_val or ""
        else:
            continue
        gone = name in record.left and name not in stored.parameters
        if _has(setting, in_file.value if in_file else None, wanted, gone):
            continue
        if in_file is not None and in_file.by_alter_system:
            overridden[name] = in_file.value
        if setting is not None and setting.needs_restart:
            restart.append(name)
            if _is_less(setting, wanted):
                less.append(name)
        else:
            reload.append(name)
    return Instance(tuple(reload), tuple(restart), tuple(less))


def _has(setting: Setting | None, in_file: str | None, wanted: str, gone: bool) -> bool:
    """Return whether a server has a value; of what sessions set for themselves its files say so."""
    if setting is None:
        # Of an extension that is not loaded.
        return gone or in_file == wanted
    if setting.in_session:
        return gone or (in_file is not None and setting.same(in_file, wanted))
    return setting.has(wanted)


def _is_less(setting: Setting, wanted: str) -> bool:
    try:
        return float(setting.parse(wanted)) < float(setting.setting or 0)
    except (InvalidInput, ValueError):
        return False


def _wait_for_load(
    cluster: Cluster,
    database: Object,
    stored: Stored,
    late: Mapping[str, Sequence[str]],
    overridden: Mapping[str, str],
) -> dict[str, Any]:
    """Wait for Patroni to have a server load its files; not for ever."""
    instance, names = next(iter(late.items()))
    message = f"instance {instance} has yet to load {first_of(list(names))}"
    within = _HBA_LOADED_WITHIN if _HBA_FILE in names else _LOADED_WITHIN
    if not _is_late(stored, within):
        return {"changed": False, **describe(stored, message)}
    why = f"instance {instance} has not loaded {first_of(list(names))}"
    by_hand = [name for name in names if name in overridden]
    if by_hand:
        why += f", which was set by hand; run: ALTER SYSTEM RESET {by_hand[0]}"
    else:
        why += f"; see: kubectl logs {instance} -c postgres"
    return _put_back(cluster, database, stored, _NOT_LOADED, why)


def _restart(
    cluster: Cluster, database: Object, stored: Stored, member: Member, message: str
) -> dict[str, Any]:
    """Restart an instance, unless that has been of no use several times."""
    done = stored.record.restarts.get(member.name, 0)
    if done >= MOST_RESTARTS and stored.record.previous:
        why = (
            f"{done} restarts of instance {member.name} did not bring what they were for"
            f" ({message}); see: kubectl logs {member.name} -c postgres"
        )
        return _put_back(cluster, database, stored, _NOT_LOADED, why)
    restarts = {**stored.record.restarts, member.name: done + 1}
    record = replace(stored.record, restarts=restarts)
    written = _write(cluster, database, stored, Change(stored.parameters, record), message)
    try:
        _ask_to_restart(cluster, database, member)
    except ServerNotStarted:
        # At once: an only instance is away until then.
        stored = read_stored(cluster, database) or stored
        if not stored.record.previous:
            raise
        why = _why_not_started(cluster, database, member)
        return _put_back(cluster, database, stored, _REFUSED, why)
    return written


def _ask_to_restart(cluster: Cluster, database: Object, member: Member) -> None:
    namespace = database["metadata"]["namespace"]
    with (
        tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder,
        reach(namespace, member.name, member.pod_ip, patroni_rest.PORT) as address,
    ):
        certificates = read_certificates(cluster, database)
        authorities = write_private(Path(folder, "ca.crt"), certificates["ca.crt"])
        login = read_rest_api_login(read_secret(cluster, database, "internal"))
        name = server_name(database)
        patroni_rest.restart(address, name, authorities, login, member.name)


def _put_back(
    cluster: Cluster, database: Object, stored: Stored, reason: str, why: str
) -> dict[str, Any]:
    """Write the configuration of before the last change, which is refused for that reason."""
    change = put_back(stored.record, reason, why)
    return _write(cluster, database, stored, change, "putting the former values back")


def _why_not_started(cluster: Cluster, database: Object, member: Member) -> str:
    """Return why an instance does not start, in PostgreSQL's words where its log has them."""
    try:
        log = cluster.read_log(
            database["metadata"]["namespace"], member.name, "postgres", _LOG_LINES
        )
    except ApiError:
        log = ""
    said = [match[1] for match in map(_FATAL.match, log.splitlines()) if match]
    words = f": {said[-1]}" if said else f"; see: kubectl logs {member.name} -c postgres"
    return f"instance {member.name} does not start with spec.postgresql{words}"


@contextmanager
def _session(cluster: Cluster, database: Object, member: Member) -> Iterator[Connection]:
    namespace = database["metadata"]["namespace"]
    with (
        tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder,
        reach(namespace, member.name, member.pod_ip, 5432) as address,
    ):
        internal = None if member.encrypted else read_secret(cluster, database, "internal")
        parameters = superuser(cluster, database, address, internal, Path(folder))
        with (
            database_errors(f"reading the parameters of {member.name}", DatabaseNotReady),
            connect(parameters) as connection,
            deadline(connection, _SECONDS, f"reading the parameters of {member.name}"),
        ):
            yield connection


def _write(
    cluster: Cluster, database: Object, stored: Stored, change: Change, message: str
) -> dict[str, Any]:
    """Write configuration and record, if the Endpoints are still those that were read."""
    now = datetime.now(UTC)
    parameters = {
        name: value for name, value in change.parameters.items() if name not in NO_PARAMETERS
    }
    postgresql = {**(stored.config.get("postgresql") or {}), "parameters": parameters}
    if stored.hba is not None or HBA in change.parameters:
        postgresql["pg_hba"] = _wanted_hba(database, change.parameters)
    config = with_mode(stored.config, change.parameters.get(SYNCHRONOUS))
    config["postgresql"] = postgresql
    kept = {**change.record.to_plain(), "since": format_time(now)}
    metadata = database["metadata"]
    patch = {
        "metadata": {
            "resourceVersion": stored.version,
            "annotations": {
                _CONFIG: json.dumps(config, separators=(",", ":")),
                ANNOTATION: json.dumps(kept, separators=(",", ":")),
            },
        }
    }
    name = f"{metadata['name']}-config"
    cluster.merge("v1", "Endpoints", metadata["namespace"], name, patch)
    written = Stored(config, change.record, now, "")
    return {"changed": True, **describe(written, message)}
