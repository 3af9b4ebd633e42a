"""The warm parent: waits for clients, forks a process for every run, returns how it ended.

It never reads a request: whatever secrets a run brings are seen by the run's own process only.
It has one thread, so that a fork copies no lock that another thread holds.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from . import log, preload, protocol, run, settings, starting

LOOK_SECONDS = 30.0
BACKLOG = 512
# A run makes and drops objects by the hundred thousand, few of them in cycles: to look for those
# after every 700 costs more than the memory that it finds.
GC_THRESHOLD = 50_000
# Queued clients each hold a descriptor; more than these are refused and run cold.
MOST_QUEUED = 512


# The `signal` module compares and prints handlers, of which one is a method of this class: with a
# dataclass's own `==` and `repr` that reads all that is loaded, 4 ms at each fork.
@dataclass(eq=False, repr=False)
class Parent:
    """The parent of one key and all that it has under way."""

    folder: str
    key: str
    runner: str
    lock: int
    listener: socket.socket
    warm: preload.Warm
    most_runs: int
    idle_seconds: float
    socket_inode: int
    epoll: select.epoll = field(default_factory=select.epoll)
    queue: deque[socket.socket] = field(default_factory=deque)
    runs: dict[int, socket.socket] = field(default_factory=dict)
    last_used: float = field(default_factory=time.monotonic)
    serving: bool = True

    @property
    def socket_path(self) -> str:
        """Where clients connect."""
        return os.path.join(self.folder, f"{self.key}.socket")

    def serve(self) -> None:
        """Serve clients until this parent is no longer of use, then end the runs under way."""
        wake_up, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, _wake)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self._wake_descriptors = (wake_up, wake)
        self.epoll.register(wake_up, select.EPOLLIN)
        self.epoll.register(self.listener, select.EPOLLIN)
        while self.serving or self.runs:
            for descriptor, _event in self.epoll.poll(min(LOOK_SECONDS, self.idle_seconds)):
                if descriptor == wake_up:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_up, 4096)
                elif self.serving and descriptor == self.listener.fileno():
                    self._accept()
                else:
                    self._hang_up(descriptor)
            self._reap()
            self._start_queued()
            if self.serving:
                self._look_around()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        log.write(self.folder, f"ends for signal {number}; runs under way are finished")
        self._close_listener(remove=True)

    def _accept(self) -> None:
        """Take a client; or, where loaded code has changed, leave all to a successor."""
        changed = self.warm.changed()
        if changed:
            self._hand_over(f"{changed} has changed")
            return
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        if _peer_user(connection) != os.geteuid() or len(self.queue) >= MOST_QUEUED:
            connection.close()
            return
        self.last_used = time.monotonic()
        try:
            connection.send(protocol.ACCEPTED)
        except OSError:
            connection.close()
            return
        # The client's request is not for this process: only its hanging up is.
        self.epoll.register(connection, select.EPOLLRDHUP)
        self.queue.append(connection)

    def _start_queued(self) -> None:
        while self.queue and len(self.runs) < self.most_runs:
            connection = self.queue.popleft()
            try:
                pid = os.fork()
            except OSError as error:
                log.write(self.folder, f"cannot fork ({error}): this run is cold")
                self._drop(connection)
                continue
            if pid == 0:
                self._become_run(connection)
            self.runs[pid] = connection

    def _become_run(self, connection: socket.socket) -> NoReturn:
        """Leave in this new process nothing of the parent, and run."""
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setsid()
            os.dup2(connection.fileno(), 3)
            os.closerange(4, _highest_descriptor() + 1)
            run.serve(socket.socket(fileno=3), self.warm, self.folder)
        finally:
            os._exit(run.REFUSED)

    def _reap(self) -> None:
        """Send the clients of ended runs their wait status."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            connection = self.runs.pop(pid, None)
            if connection is None:
                continue
            self.last_used = time.monotonic()
            with contextlib.suppress(OSError):
                connection.send(protocol.ENDED + protocol.encode_number(status))
            self._drop(connection)

    def _hang_up(self, descriptor: int) -> None:
        """A client is gone: so is its run, at once, as it may be tried again elsewhere."""
        for pid, connection in self.runs.items():
            if connection.fileno() == descriptor:
                self.epoll.unregister(descriptor)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return
        for connection in self.queue:
            if connection.fileno() == descriptor:
                self.queue.remove(connection)
                self._drop(connection)
                return

    def _drop(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.epoll.unregister(connection)
        connection.close()

    def _look_around(self) -> None:
        """End when this parent is not needed, or cannot be reached any more."""
        if self.runs or self.queue:
            return
        if _inode(self.socket_path) != self.socket_inode:
            log.write(self.folder, f"ends: {self.socket_path} is no longer its own")
            self._close_listener(remove=False)
        elif time.monotonic() - self.last_used > self.idle_seconds:
            log.write(self.folder, f"ends: no run for {self.idle_seconds:.0f} s")
            self._close_listener(remove=True)

    def _close_listener(self, remove: bool) -> None:
        if not self.serving:
            return
        self.serving = False
        self.epoll.unregister(self.listener)
        if remove:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.socket_path)
        self.listener.close()
        os.close(self.lock)
        # Before their pid: these clients run cold.
        while self.queue:
            self._drop(self.queue.popleft())

    def _hand_over(self, why: str) -> None:
        """Start a successor with the same socket, whose clients notice nothing but a delay."""
        log.write(self.folder, f"a successor takes over: {why}")
        listener = self.listener.fileno()
        os.set_inheritable(listener, True)
        os.set_inheritable(self.lock, True)
        try:
            starting.spawn(
                self.folder, self.key, self.runner, self.warm.started_with, self.lock, listener
            )
        except (OSError, starting.CannotStartError) as error:
            log.write(self.folder, f"no successor ({error}): runs are cold until the next start")
            self._close_listener(remove=True)
            return
        self._close_listener(remove=False)


def main(arguments: Sequence[str]) -> int:
    """Be the parent of a key."""
    folder, key, runner = arguments[:3]
    lock, descriptor = map(int, arguments[3:])
    started_with = dict(os.environ)
    os.umask(0o077)
    os.chdir("/")
    # What is loaded stays: the collector would find nothing.
    gc.disable()
    os.set_inheritable(lock, False)
    path = os.path.join(folder, f"{key}.socket")
    # Clients may connect from now on: they wait in the socket's own queue while Ansible loads.
    listener = _listen(path) if descriptor < 0 else socket.socket(fileno=descriptor)
    os.set_inheritable(listener.fileno(), False)
    listener.setblocking(False)
    begun = time.monotonic()
    try:
        warm = preload.preload(runner, settings.collections(os.environ), started_with)
    except Exception as error:
        log.write(folder, f"cannot load Ansible, runs are cold: {type(error).__name__}: {error}")
        os.unlink(path)
        raise
    log.write(folder, f"ready after {time.monotonic() - begun:.2f} s; {warm.summary()}")
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    gc.enable()
    Parent(
        folder=folder,
        key=key,
        runner=runner,
        lock=lock,
        listener=listener,
        warm=warm,
        most_runs=settings.most_runs(os.environ),
        idle_seconds=settings.idle_seconds(os.environ),
        socket_inode=_inode(path),
    ).serve()
    return 0


def _listen(path: str) -> socket.socket:
    """Make the socket. Its folder is closed to others; a socket left there is of a dead parent."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener.bind(path)
    listener.listen(BACKLOG)
    return listener


def _wake(_number: int, _frame: FrameType | None) -> None:
    """SIGCHLD must have a handler for it to be written to the wake-up descriptor."""


def _peer_user(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _pid, user, _group = struct.unpack("3i", credentials)
    return int(user)


def _highest_descriptor() -> int:
    return max(map(int, os.listdir("/proc/self/fd")))


def _inode(path: str) -> int:
    """Return the inode of a path, 0 where there is none."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
