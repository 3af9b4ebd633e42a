"""The program that stands on PATH as `ansible-runner`.

It hands its run to a warm parent and waits for its end. Anything odd before the run has started
makes it execute the real ansible-runner instead: the same results, only slower.

It starts at every run. Hence it and what it imports take from C (`_socket`, `_signal`) what the
library's own modules wrap in 10 ms, and leave alone what only people and type checkers read:
`typing`, `collections.abc` and `dataclasses` would take 15 ms of 26.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys
import time

from . import key, log, protocol, real_runner, settings, starting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

CONNECT_PAUSE = 0.01
PEER_CREDENTIALS_BYTES = 12


class NotWarmError(Exception):
    """This run has to be cold; the message says why."""


def main(arguments: Sequence[str]) -> NoReturn:
    """Run as `ansible-runner` with these arguments."""
    environment = dict(os.environ)
    try:
        runner = real_runner.find(environment)
    except real_runner.NoRealRunnerError as error:
        sys.exit(str(error))
    # Only `run` is worth it, and all other commands leave processes behind or answer at once.
    if settings.is_off(environment) or arguments[:1] != ["run"]:
        real_runner.become(runner, arguments, environment)
    folder = ""
    try:
        folder = settings.folder(environment)
        connection, pid = _enter(folder, runner, arguments, environment)
    except (NotWarmError, settings.SettingsError, starting.CannotStartError, OSError) as error:
        if folder:
            log.write(folder, f"a cold run: {error}")
        real_runner.become(runner, arguments, environment)
    _leave(folder, connection, pid)


def start_beside(command: Sequence[str]) -> NoReturn:
    """Start a parent for this environment, then become the command."""
    if not command:
        sys.exit("usage: with-warm-runner COMMAND [ARGUMENT...]")
    environment = dict(os.environ)
    if not settings.is_off(environment):
        try:
            runner = real_runner.find(environment)
            name = key.of(environment, runner)
            starting.start(settings.folder(environment), name, runner, environment)
        except (
            OSError,
            real_runner.NoRealRunnerError,
            settings.SettingsError,
            starting.CannotStartError,
        ) as error:
            print(f"with-warm-runner: no warm parent yet: {error}", file=sys.stderr)
    os.execvp(command[0], list(command))


def _enter(
    folder: str, runner: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[_socket.socket, int]:
    """Have the run made ready, and started: return the connection and the run's pid."""
    name = key.of(environment, runner)
    wait = settings.wait_seconds(environment)
    umask = os.umask(0o077)
    os.umask(umask)
    request = protocol.encode_request(arguments, environment, os.getcwd(), umask)
    connection = _connect(folder, name, runner, environment, time.monotonic() + wait)
    connection.settimeout(wait)
    descriptors = protocol.encode_descriptors(range(protocol.DESCRIPTORS))
    sent = connection.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    connection.sendall(request[sent:])
    if connection.recv(1) != protocol.ACCEPTED:
        raise NotWarmError("the parent refused it: see its own line")
    # Accepted, it may have to queue, and each run ahead of it lasts as long as it lasts.
    connection.settimeout(None)
    pid = _receive(connection, protocol.STARTED)
    if pid is None:
        raise NotWarmError("its process died before the run began")

    def forward(number: int, _frame: object) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            # It has ended just now: its status is on the way.
            return

    for number in (_signal.SIGTERM, _signal.SIGINT):
        _signal.signal(number, forward)
    connection.sendall(protocol.GO)
    return connection, pid


def _connect(
    folder: str, name: str, runner: str, environment: Mapping[str, str], deadline: float
) -> _socket.socket:
    """Connect to the parent of the key; start it where there is none and await its socket."""
    path = os.path.join(folder, f"{name}.socket")
    started = False
    while True:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        # A parent's queue that is full refuses at once.
        connection.settimeout(0)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
        else:
            _check_peer(connection)
            return connection
        if not started:
            starting.start(folder, name, runner, environment)
            started = True
        if time.monotonic() > deadline:
            raise NotWarmError("no parent came up in time")
        time.sleep(CONNECT_PAUSE)


def _check_peer(connection: _socket.socket) -> None:
    credentials = connection.getsockopt(
        _socket.SOL_SOCKET, _socket.SO_PEERCRED, PEER_CREDENTIALS_BYTES
    )
    if int.from_bytes(credentials[4:8], sys.byteorder) != os.geteuid():
        raise NotWarmError("the parent's socket belongs to another user")


def _receive(connection: _socket.socket, kind: bytes) -> int | None:
    """Return the number of a message of this kind, None where something else came."""
    data = b""
    while len(data) < 1 + protocol.NUMBER_BYTES:
        try:
            more = connection.recv(1 + protocol.NUMBER_BYTES - len(data))
        except ConnectionResetError:
            return None
        if not more:
            return None
        data += more
    return protocol.decode_number(data[1:]) if data[:1] == kind else None


def _leave(folder: str, connection: _socket.socket, pid: int) -> NoReturn:
    """Await the run's end and end alike."""
    status = _receive(connection, protocol.ENDED)
    if status is None:
        message = f"the warm parent died during run {pid}; it is not run again"
        log.write(folder, message)
        print(f"warm-runner: {message}; see {folder}/log", file=sys.stderr, flush=True)
        os._exit(1)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (_signal.SIGKILL, _signal.SIGSTOP):
            _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))
