"""Runs `ansible-playbook` in a fork of the run's process instead of a new interpreter.

ansible-runner starts it with pexpect, on a terminal of its own. Here the same terminal is made and
the same things are done in between, but instead of executing the program its main function is
called, in a process that has it loaded. Whatever does not fit is executed as ever.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import pexpect  # type: ignore[import-untyped]
import ptyprocess  # type: ignore[import-untyped]

from . import arguments, inline_tasks, key, log, parsed_files, preload, real_runner, renew, settings
from .preload import Warm
from .program import die_with_parent, end_as_program

PROGRAM = "ansible-playbook"
# From here on Ansible reports what it loads.
VERY_VERBOSE = re.compile("-v{4,}")
ENTRY_POINT = b"from ansible.cli.playbook import main"


def start_playbooks_here(warm: Warm, folder: str) -> None:
    """Make pexpect, in this process, fork for ansible-playbook."""

    class Spawn(pexpect.spawn):  # type: ignore[misc]
        def _spawnpty(self, args: list[bytes], **options: Any) -> ptyprocess.PtyProcess:
            if os.path.basename(os.fsdecode(args[0])) != PROGRAM or warm.usable:
                return super()._spawnpty(args, **options)
            return _fork(args, warm, folder, **options)

    pexpect.spawn = Spawn


class _Forked(ptyprocess.PtyProcess):  # type: ignore[misc]
    """A process on a terminal, closed without the pause where it has ended already."""

    def close(self, force: bool = True) -> None:
        if self.terminated:
            self.delayafterclose = 0
        super().close(force)


def _fork(
    args: Sequence[bytes],
    warm: Warm,
    folder: str,
    env: Mapping[str, str],
    cwd: str | None,
    preexec_fn: Callable[[], None] | None,
    echo: bool = True,
) -> _Forked:
    """Do what PtyProcess.spawn does, up to the program."""
    pid, master = pty.fork()
    if pid == 0:
        try:
            _become_playbook(args, warm, folder, env, cwd, preexec_fn, echo)
        finally:
            os._exit(os.EX_OSERR)
    with contextlib.suppress(OSError):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", *preload.TERMINAL_SIZE, 0, 0))
    process = _Forked(pid, master)
    process.argv = list(args)
    process.env = env
    process.launch_dir = cwd
    return process


def _become_playbook(
    args: Sequence[bytes],
    warm: Warm,
    folder: str,
    env: Mapping[str, str],
    cwd: str | None,
    preexec_fn: Callable[[], None] | None,
    echo: bool,
) -> NoReturn:
    die_with_parent()
    os.register_at_fork(after_in_child=die_with_parent)
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", *preload.TERMINAL_SIZE, 0, 0))
    if not echo:
        attributes = termios.tcgetattr(0)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(0, termios.TCSANOW, attributes)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    if cwd is not None:
        os.chdir(cwd)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if preexec_fn is not None:
        preexec_fn()
    words = [os.fsdecode(word) for word in args]
    difference = _difference(words, warm, env)
    if difference:
        log.write(folder, f"a playbook starts cold: {difference}")
        os.execve(words[0], words, dict(env))
    renew.process(env)
    renew.ansible()
    arguments.hand_out_for_playbook(warm.playbook_parser)
    parsed_files.hand_out(warm.documents)
    inline_tasks.run_inline(settings.inline_collections(env))
    sys.argv = words
    cli: Any = importlib.import_module("ansible.cli")
    # The parent has done the other half; a second time, it would only warn.
    cli.init_plugin_loader = lambda _paths: importlib.import_module(
        "ansible.plugins.loader"
    )._load_plugin_filter()
    end_as_program(importlib.import_module("ansible.cli.playbook").main)


def _difference(words: Sequence[str], warm: Warm, env: Mapping[str, str]) -> str:
    """Say in what a new ansible-playbook would differ from a fork of this process."""
    program = words[0]
    if any(VERY_VERBOSE.fullmatch(word) for word in words):
        return "it is to report what it loads"
    if real_runner.interpreter(program)[:1] != [sys.executable]:
        return f"{program} has another Python than {sys.executable}"
    with open(program, "rb") as file:
        if ENTRY_POINT not in file.read(4096):
            return f"{program} is not Ansible's own"
    difference = preload.first_difference(warm.read, env)
    if difference:
        return difference
    if key.environment_of(env) != warm.of_the_key:
        names = {name for name, _ in key.environment_of(env).items() ^ warm.of_the_key.items()}
        return f"{', '.join(sorted(names))} differ from the parent's"
    manager = importlib.import_module("ansible.config.manager")
    # Looks at the folder and the home of the playbook.
    os.environ.clear()
    os.environ.update(env)
    found = key.fingerprint(manager.find_ini_config_file() or "")
    if found != warm.configuration:
        return f"Ansible's configuration is {found}, the parent's {warm.configuration}"
    return ""
