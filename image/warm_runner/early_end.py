"""Ends a run before Ansible, where the collection of its role finds that there is nothing to do.

A collection has a function for each role that may end so, in `plugins/plugin_utils/early_end.py`.
It is called in a process of its own, with the environment and the variables that the run would
have had. Where it answers that there is nothing to do, the run leaves what ansible-operator reads
of a run without tasks. Whatever else happens, Ansible runs as ever.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import select
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from . import event_post, key, log, settings
from .program import die_with_parent

if TYPE_CHECKING:
    from .preload import Warm

COLLECTION_MODULE = "plugins.plugin_utils.early_end"
NOTHING_TO_DO = "Nothing to do: the run ended before Ansible."
# A run with anything else asks for more than its role.
OPTIONS = ("--rotate-artifacts", "--role", "--roles-path", "--hosts", "-i")
FLAGS = ("--role-skip-facts",)
FILES = {"env": {"envvars", "extravars", "settings"}, "inventory": {"hosts"}}
SETTINGS = {"runner_http_url", "runner_http_path"}
HOST = re.compile(
    r"localhost( ansible_connection=local| ansible_python_interpreter=(\"[^\"]*\"|\S+))*\s*"
)
IDENT = re.compile(r"[\w-]+")
POST_VARIABLES = ("RUNNER_HTTP_URL", "RUNNER_HTTP_PATH")

Find = Callable[[dict[str, Any], str], Any]


class NoEarlyEndError(Exception):
    """Ansible has to run; the message says why."""


@dataclass(frozen=True)
class Role:
    """A role that may end early.

    Attributes:
        name: of the role.
        find: the collection's function; it gets the run's variables and the role's folder.
        hand_over: takes, in the process of a run that goes on, what `find` has found.
    """

    name: str
    find: Find
    hand_over: Callable[[Any], object]


@dataclass(frozen=True)
class Roles:
    """The roles that may end early, by the real path of their folder.

    Attributes:
        problem: why a collection that was named has none; empty where all have.
    """

    by_path: dict[str, Role]
    problem: str = ""


@dataclass(frozen=True)
class Run:
    """What the arguments and the folder of a run say.

    Attributes:
        folder: the private folder.
        ident: the name of its artifacts.
        rotate: how many of those are kept; 0 is all.
        role, role_path: the role and the real path of its folder.
        variables: the extra variables.
        environment: the variables that are added to the environment.
        posts: where events are posted, as the settings say.
    """

    folder: str
    ident: str
    rotate: int
    role: Role
    role_path: str
    variables: dict[str, Any]
    environment: dict[str, str]
    posts: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What a collection's function has found.

    Attributes:
        end: whether there is nothing to do.
        requeue_after: when the next run is to be, as Go writes a duration; empty for no request.
        found: for `hand_over`; None for nothing.
    """

    end: bool
    requeue_after: str
    found: Any


def load(collections: Sequence[str]) -> Roles:
    """Return the roles of these collections that may end early."""
    roles: dict[str, Role] = {}
    problems = []
    for name in collections:
        base = f"ansible_collections.{name}"
        try:
            module: Any = importlib.import_module(f"{base}.{COLLECTION_MODULE}")
        except ImportError as error:
            problems.append(f"{name}: {error}")
            continue
        for folder in importlib.import_module(base).__path__:
            for role, find in module.EARLY_ENDS.items():
                path = os.path.realpath(os.path.join(folder, "roles", role))
                roles[path] = Role(role, find, getattr(module, "hand_over", lambda _found: None))
    return Roles(roles, "; ".join(problems))


def end_early(warm: Warm, folder: str, words: Sequence[str]) -> bool:
    """End the run of these arguments where there is nothing to do; return whether it has ended."""
    if not warm.early_ends.by_path:
        return False
    try:
        run = _read(warm, words)
    except NoEarlyEndError:
        return False
    try:
        answer = _understand(_ask(run, settings.early_end_seconds(os.environ)))
        if answer.end:
            _finish(run, answer)
        elif answer.found is not None:
            run.role.hand_over(answer.found)
    except Exception as error:
        # Of what the function says, the run that follows will report more.
        reason = str(error) if isinstance(error, NoEarlyEndError) else type(error).__name__
        log.write(folder, f"role {run.role.name} did not end early: {reason}")
        return False
    return answer.end


def _read(warm: Warm, words: Sequence[str]) -> Run:
    """Read what the run is to do.

    Raises:
        NoEarlyEndError: it is no run of a role that may end early, or asks for more than that.
    """
    options = _options(words)
    path = os.path.realpath(os.path.join(options["--roles-path"], options["--role"]))
    role = warm.early_ends.by_path.get(path)
    if role is None:
        raise NoEarlyEndError("the role has none")
    private = options["private folder"]
    _check_folder(private)
    given = _json(private, "settings")
    environment = _json(private, "envvars")
    if not given.keys() <= SETTINGS or any(name in os.environ for name in POST_VARIABLES):
        raise NoEarlyEndError("there are other settings")
    if not all(isinstance(value, str) for value in environment.values()):
        raise NoEarlyEndError("env/envvars has other values than text")
    if (
        "ANSIBLE_VERBOSITY" in os.environ
        or any(key.is_of_the_key(name) for name in environment)
        or warm.difference({**os.environ, **environment})
    ):
        raise NoEarlyEndError("the environment is another one than the parent's")
    if os.path.lexists(os.path.join(private, "artifacts", options["-i"])):
        raise NoEarlyEndError("its artifacts are there already")
    return Run(
        folder=private,
        ident=options["-i"],
        rotate=int(options["--rotate-artifacts"]),
        role=role,
        role_path=path,
        variables=_json(private, "extravars"),
        environment=environment,
        posts=given,
    )


def _options(words: Sequence[str]) -> dict[str, str]:
    """Return the options of a run as ansible-operator starts it."""
    found = {"--rotate-artifacts": "0"}
    private = words[1] if len(words) > 1 else ""
    left = iter(words[2:])
    for word in left:
        if word in OPTIONS:
            found[word] = next(left, "")
        elif word not in FLAGS:
            raise NoEarlyEndError(f"{word} is another option")
    if (
        words[:1] != ["run"]
        or not private
        or private.startswith("-")
        or found.get("--hosts") != "localhost"
        or not found.get("--role")
        or not found.get("--roles-path")
        or not IDENT.fullmatch(found.get("-i", ""))
        or not found["--rotate-artifacts"].isdecimal()
    ):
        raise NoEarlyEndError("it is no run of a role on localhost")
    return {**found, "private folder": os.path.abspath(private)}


def _check_folder(private: str) -> None:
    """See that the run's folder has nothing that changes more than variables and environment."""
    try:
        for name, known in FILES.items():
            others = set(os.listdir(os.path.join(private, name))) - known
            if others:
                raise NoEarlyEndError(f"there is {name}/{others.pop()}")
        with open(os.path.join(private, "inventory", "hosts"), encoding="utf-8") as file:
            if not HOST.fullmatch(file.read()):
                raise NoEarlyEndError("the inventory is another one")
        if os.path.lexists(os.path.join(private, "ansible.cfg")):
            raise NoEarlyEndError("there is ansible.cfg")
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(os.path.join(private, "project")):
                # A play that ansible-runner has left is a file, and changes nothing.
                if entry.is_dir() or entry.name == "ansible.cfg":
                    raise NoEarlyEndError(f"there is project/{entry.name}")
    except (OSError, ValueError) as error:
        raise NoEarlyEndError(f"the folder is another one: {type(error).__name__}") from error


def _json(private: str, name: str) -> dict[str, Any]:
    """Return a file of `env`, which ansible-operator writes as JSON; empty where there is none."""
    try:
        with open(os.path.join(private, "env", name), encoding="utf-8") as file:
            found = json.load(file, object_hook=_plain)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NoEarlyEndError(f"env/{name} is no JSON") from error
    if not isinstance(found, dict):
        raise NoEarlyEndError(f"env/{name} is no object")
    return found


def _plain(found: dict[str, Any]) -> Any:
    """Return text that is marked, so that Ansible takes it for no template, as text."""
    return found["__ansible_unsafe"] if found.keys() == {"__ansible_unsafe"} else found


def _ask(run: Run, seconds: float) -> bytes:
    """Return what the collection's function answers, in a process of its own.

    Raises:
        NoEarlyEndError: it gave no answer within so many seconds.
    """
    deadline = time.monotonic() + seconds
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            _answer(run, writer)
        finally:
            os._exit(1)
    os.close(writer)
    try:
        answer = _read_until(reader, deadline)
    finally:
        os.close(reader)
        # It has nothing left to do: either it has answered, or it will not.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if answer is None:
        raise NoEarlyEndError(f"no answer within {seconds:g} s")
    return answer


def _read_until(reader: int, deadline: float) -> bytes | None:
    """Return all that comes from a pipe until its other end is closed; None if that is too late."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    content = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        more = os.read(reader, 1 << 16)
        if not more:
            return bytes(content)
        content += more


def _answer(run: Run, writer: int) -> NoReturn:
    """Be the process that asks the function, and write its answer."""
    die_with_parent()
    # What it prints, a run would not have printed.
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.environ.update(run.environment)
    try:
        text = json.dumps(run.role.find(run.variables, run.role_path))
    except BaseException as error:
        text = json.dumps({"error": type(error).__name__})
    data = text.encode()
    while data:
        data = data[os.write(writer, data) :]
    os._exit(0)


def _understand(data: bytes) -> Answer:
    """Return the answer that was written.

    Raises:
        NoEarlyEndError: it is none.
    """
    try:
        found = json.loads(data)
    except ValueError:
        raise NoEarlyEndError("its process died") from None
    if isinstance(found, dict) and found.keys() == {"error"}:
        raise NoEarlyEndError(f"{found['error']} was raised")
    if (
        not isinstance(found, dict)
        or not found.keys() <= {"end", "requeue_after", "found"}
        or not isinstance(found.get("end"), bool)
        or not isinstance(found.get("requeue_after", ""), str)
    ):
        raise NoEarlyEndError("the answer is not understood")
    return Answer(found["end"], found.get("requeue_after", ""), found.get("found"))


def _finish(run: Run, answer: Answer) -> None:
    """Leave the artifacts and post the events; where that fails, nothing is left."""
    artifacts = os.path.join(run.folder, "artifacts")
    own = os.path.join(artifacts, run.ident)
    os.makedirs(artifacts, mode=0o700, exist_ok=True)
    os.mkdir(own, 0o700)
    try:
        events = _events(run, answer)
        _leave(own, events)
        utils: Any = importlib.import_module("ansible_runner.utils")
        utils.cleanup_artifact_dir(artifacts, run.rotate)
        url = run.posts.get("runner_http_url")
        if url:
            event_post.post_all(url, run.posts.get("runner_http_path"), events)
    except BaseException:
        shutil.rmtree(own, ignore_errors=True)
        raise
    with contextlib.suppress(OSError):
        print(NOTHING_TO_DO, flush=True)


def _leave(own: str, events: Sequence[Mapping[str, Any]]) -> None:
    """Write the artifacts."""
    os.mkdir(os.path.join(own, "job_events"), 0o700)
    files = {"stdout": f"{NOTHING_TO_DO}\n", "stderr": "", "rc": "0", "status": "successful"}
    for event in events:
        files[f"job_events/{event['counter']}-{event['uuid']}.json"] = json.dumps(event)
    for name, text in files.items():
        descriptor = os.open(os.path.join(own, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _events(run: Run, answer: Answer) -> list[dict[str, Any]]:
    """Return the events that ansible-operator reads: the request for the next run, and the end."""
    playbook = {"playbook": "", "playbook_uuid": str(uuid.uuid4())}
    host = {"localhost": 1}
    events = []
    if answer.requeue_after:
        task = {
            "play": "localhost",
            "play_pattern": "localhost",
            "task": "Request the next run",
            "task_action": "requeue_after",
            "resolved_action": "requeue_after",
            "task_args": "",
            "role": run.role.name,
            "host": "localhost",
            "remote_addr": "127.0.0.1",
            "res": {"changed": False, "period": answer.requeue_after},
            "event_loop": None,
        }
        events.append(_event(run, 1, "runner_on_ok", playbook | task, ""))
    done: Mapping[str, int] = host if answer.requeue_after else {}
    stats = {
        "changed": {},
        "dark": {},
        "failures": {},
        "ignored": {},
        "ok": done,
        "processed": done,
        "rescued": {},
        "skipped": {},
        "artifact_data": {},
    }
    last = _event(run, len(events) + 1, "playbook_on_stats", playbook | stats, NOTHING_TO_DO)
    return [*events, last]


def _event(run: Run, counter: int, name: str, data: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return an event as ansible-runner posts it; the lines are those of stdout."""
    return {
        "uuid": str(uuid.uuid4()),
        "counter": counter,
        "stdout": text,
        "start_line": 0,
        "end_line": 1 if text else 0,
        "runner_ident": run.ident,
        "event": name,
        "pid": os.getpid(),
        "created": datetime.now(UTC).isoformat(),
        "event_data": {**data, "uuid": str(uuid.uuid4())},
    }
