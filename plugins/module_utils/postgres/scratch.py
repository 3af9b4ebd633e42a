"""A temporary PostgreSQL server, whose data is deleted when the block ends.

Only its own user (and root) can reach it, by a Unix socket in a private folder; it is fast
because nothing in it has to survive.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, OperatorError
from .connection import ConnectionParameters, connect
from .errors import classify_text
from .programs import describe_ending, find_program

SUPERUSER = "postgres"

_PORT = 5432
_SOCKET_PATH_BYTES = 107
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_SHUT_DOWN_SECONDS = 600.0
_REMOVE_SECONDS = 5.0
_COMPLAINT_SECONDS = 5.0
_POLL_SECONDS = 0.05
_COMPLAINTS = 5
_PR_SET_PDEATHSIG = 1

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    # No parallel workers: memory stays bounded. None of extensions either: they might act.
    "max_worker_processes": "0",
    "log_line_prefix": "",
    # Statements hold people's data.
    "log_min_error_statement": "panic",
}

# The socket is in a folder that only the server's user can enter.
_HBA = "local all all trust\nhost all all all reject\n"

_COMPLAINT = re.compile(r"\b(PANIC|FATAL): |was terminated by signal")
_NO_COMPLAINT = re.compile(r"the database system is|terminating connection due to administrator")


@dataclass
class ScratchServer:
    """A running server.

    Attributes:
        parameters: a superuser in the maintenance database.
        complaints: the first grave lines of the server's log.
    """

    parameters: ConnectionParameters
    process: subprocess.Popen[str]
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self) -> None:
        """Read the log for as long as there is a server, or that would stop."""
        assert self.process.stderr is not None
        with self.process.stderr as log:
            for line in log:
                grave = _COMPLAINT.search(line) and not _NO_COMPLAINT.search(line)
                if grave and len(self.complaints) < _COMPLAINTS:
                    self.complaints.append(" ".join(line.split()))

    def await_complaint(self) -> None:
        """Give the log a moment: a session breaks before the server writes why."""
        deadline = time.monotonic() + _COMPLAINT_SECONDS
        while not self.complaints and not self.crashed and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def explain(self, message: str) -> str:
        """The message, with how the server ended if it has, and what it complained of."""
        status = self.process.poll()
        if status is not None:
            self._reader.join(timeout=2)
            message += f"; the scratch server {describe_ending(status)}"
        if self.complaints:
            message += f"; the scratch server's log: {'; '.join(self.complaints)}"
        return message

    @property
    def crashed(self) -> bool:
        """Whether it ended by itself, or one of its processes was killed."""
        return self.process.poll() is not None or any(
            "terminated by signal" in text for text in self.complaints
        )

    @property
    def out_of_memory(self) -> bool:
        """Whether it, or one of its processes, was killed as the kernel does when memory is short.

        Its own processes end each other by SIGQUIT, or by SIGABRT.
        """
        return self.process.poll() == -signal.SIGKILL or any(
            "terminated by signal 9:" in text for text in self.complaints
        )

    def shut_down(self) -> None:
        """End it as it should end, so that it can be started again.

        Raises:
            subprocess.TimeoutExpired
        """
        self.process.send_signal(signal.SIGINT)
        self.process.wait(_SHUT_DOWN_SECONDS)

    def stop(self) -> None:
        """End it at once."""
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def scratch_server(
    parent: Path, settings: Mapping[str, str], failure: type[OperatorError]
) -> Iterator[ScratchServer]:
    """A new server of the version on PATH, with C as the locale of its own databases.

    As root it is run as the system's user postgres, since PostgreSQL refuses to be root.

    Args:
        parent: a folder in which one for all of the server's files is made, and removed again.
        settings: what PostgreSQL is to be started with, beyond what makes it private and fast.
        failure: the error if it does not start for a reason that is not recognised.

    Raises:
        InvalidInput: the folder cannot be used, or there is no user to run as.
        ServerVersionUnsupported: initdb or postgres is not on PATH.
        NoSpace
    """
    account = account_of_server()
    with _private_folder(parent, account) as folder:
        _init(folder, account, failure)
        server = _launch(folder, account, settings)
        try:
            _wait_until_ready(server, failure)
            yield server
        finally:
            server.stop()


@contextmanager
def existing_server(
    folder: Path,
    settings: Mapping[str, str],
    failure: type[OperatorError],
    start_seconds: float = _START_SECONDS,
) -> Iterator[ScratchServer]:
    """A server on a data directory that is there, of the version on PATH; it stays as it is then.

    Nothing that its files say of who may connect, where it listens or what it loads is used.

    Args:
        folder: has the data directory, named ``data``, and gets the server's other files.
        settings: what PostgreSQL is to be started with, beyond what makes it private and fast.
        failure: the error if it does not start for a reason that is not recognised.
        start_seconds: how long it may take to start; a recovery takes what it takes.

    Raises:
        InvalidInput: there is no user to run as, or the path is too long.
        ServerVersionUnsupported: postgres is not on PATH.
        NoSpace
    """
    account = account_of_server()
    _require_short(folder)
    # Beside the settings above, and in place of what was written by the server that it was.
    for name, text in (("postgresql.conf", ""), ("pg_hba.conf", _HBA), ("pg_ident.conf", "")):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "data" / "postgresql.auto.conf").write_text("", encoding="utf-8")
    own_files = {
        "config_file": str(folder / "postgresql.conf"),
        "hba_file": str(folder / "pg_hba.conf"),
        "ident_file": str(folder / "pg_ident.conf"),
        "data_directory": str(folder / "data"),
    }
    hand_over(folder, account)
    server = _launch(folder, account, {**own_files, **settings})
    try:
        _wait_until_ready(server, failure, start_seconds)
        yield server
        server.shut_down()
    finally:
        server.stop()


def hand_over(folder: Path, account: Mapping[str, Any]) -> None:
    """Let the user that the server runs as own all that is in a folder."""
    if not account:
        return
    for parent, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(Path(parent, name), account["user"], account["group"], follow_symlinks=False)


def account_of_server() -> dict[str, Any]:
    """Arguments of subprocess: the user to run as."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam(SUPERUSER)
    except KeyError:
        raise InvalidInput(
            f"PostgreSQL refuses to run as root and there is no user {SUPERUSER}:"
            " run as another user"
        ) from None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def _private_folder(parent: Path, account: Mapping[str, Any]) -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="scratch-", dir=parent))
    except OSError as error:
        raise classify_text(str(error), InvalidInput)(
            f"cannot create a folder below {parent}: {error.strerror};"
            " name a scratch folder that exists, is writable and has room"
        ) from error
    try:
        _require_short(folder)
        if account:
            shutil.chown(folder, account["user"], account["group"])
        yield folder
    finally:
        _remove(folder)


def _require_short(folder: Path) -> None:
    """Refuse a folder that no socket can be in.

    Raises:
        InvalidInput
    """
    if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) > _SOCKET_PATH_BYTES:
        raise InvalidInput(f"the path {folder.parent} is too long for a socket: name a shorter one")


def _remove(folder: Path) -> None:
    """Remove a folder; processes of a server that was killed may write for another moment."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_POLL_SECONDS if folder.exists() else 0)


def _environment() -> dict[str, str]:
    """Without what would point programs at another server; messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def _init(folder: Path, account: Mapping[str, Any], failure: type[OperatorError]) -> None:
    done = subprocess.run(
        [
            find_program("initdb"),
            f"--pgdata={folder / 'data'}",
            f"--username={SUPERUSER}",
            "--auth-local=trust",
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        env=_environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        **account,
    )
    if done.returncode:
        detail = " ".join(done.stderr.split())
        raise classify_text(detail, failure)(
            f"initdb {describe_ending(done.returncode)}: {detail or 'it wrote no message'}"
        )


def _launch(folder: Path, account: Mapping[str, Any], settings: Mapping[str, str]) -> ScratchServer:
    quoted = str(folder).replace('"', '""')
    options = {**_SETTINGS, **settings, "unix_socket_directories": f'"{quoted}"'}
    process = subprocess.Popen(
        [
            find_program("postgres"),
            "-D",
            str(folder / "data"),
            "-p",
            str(_PORT),
            *(word for item in options.items() for word in ("-c", "=".join(item))),
        ],
        env=_environment(),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 (it takes no lock)
        **account,
    )
    return ScratchServer(ConnectionParameters(str(folder), _PORT, SUPERUSER), process)


def _end_with_parent() -> None:
    """Let the kernel end this process when the one that started it is killed (Linux only)."""
    # What a shell starts in the background ignores it, and so would PostgreSQL while it starts.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _wait_until_ready(
    server: ScratchServer, failure: type[OperatorError], seconds: float = _START_SECONDS
) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            connect(server.parameters).close()
            return
        except OperatorError as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                text = server.explain("the scratch server did not start")
                raise classify_text(text, failure)(text) from error
        time.sleep(_POLL_SECONDS)
