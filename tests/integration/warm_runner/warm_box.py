"""A place to run ansible-runner in, as ansible-operator does, warm or cold."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_api import QuietHandler

SOURCE = Path(__file__).resolve().parents[3] / "image" / "warm_runner"
COLLECTION = "demo.things"
# A module that runs in the worker, as a fast role has them.
ACTION = """
import os
import time
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        time.sleep(self._task.args.get("sleep", 0))
        from ansible_collections.demo.things.plugins.module_utils.word import WORD
        args = self._task.args
        if args.get("raise"):
            raise ValueError("raised")
        if args.get("warn"):
            Display().warning(args["warn"])
        result.update(changed=args.get("changed", False), failed=args.get("fail", False),
                      process=os.getpid(), word=WORD, period=args.get("period", "5s"),
                      kubeconfig=os.environ.get("KUBECONFIG", ""))
        return result
"""
SLOW_MODULE = """
#!/usr/bin/python
import time
from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule(argument_spec={"seconds": {"type": "float"}})
    time.sleep(module.params["seconds"])
    module.exit_json()

if __name__ == "__main__":
    main()
"""


@dataclass
class Outcome:
    """What a run left behind."""

    folder: Path
    code: int
    output: str
    posted: list[dict[str, Any]] = field(default_factory=list)

    @property
    def artifacts(self) -> Path:
        (found,) = [path for path in (self.folder / "artifacts").iterdir() if path.name == "1"]
        return found

    def read(self, name: str) -> str:
        path = self.artifacts / name
        return path.read_text() if path.exists() else "(none)"

    @property
    def events(self) -> list[dict[str, Any]]:
        files = (self.artifacts / "job_events").glob("*.json")
        return [
            json.loads(file.read_text())
            for file in sorted(files, key=lambda file: int(file.name.split("-")[0]))
        ]

    @property
    def results(self) -> list[dict[str, Any]]:
        found = [event.get("event_data", {}) for event in self.events]
        return [data["res"] for data in found if "res" in data]

    def comparable(self) -> dict[str, Any]:
        """All of it, with times, pids and names that are drawn anew made alike."""
        names: dict[str, str] = {}
        return {
            "code": self.code,
            "output": _alike(self.output.splitlines(), self.folder, names),
            "rc": self.read("rc"),
            "status": self.read("status"),
            "stdout": _alike(self.read("stdout").splitlines(), self.folder, names),
            "stderr": self.read("stderr"),
            "files": sorted(path.name for path in self.artifacts.iterdir()),
            "command": _alike(json.loads(self.read("command")), self.folder, names),
            "events": [_alike(event, self.folder, names) for event in self.events],
            "posted": [_alike(event, self.folder, names) for event in self.posted],
        }


def assert_alike(warm: Outcome, cold: Outcome) -> None:
    """Fail with the lines in which the runs differ."""
    texts = [
        json.dumps(outcome.comparable(), indent=1, ensure_ascii=False).splitlines()
        for outcome in (cold, warm)
    ]
    difference = list(difflib.unified_diff(*texts, "cold", "warm", lineterm=""))
    assert not difference, "\n".join(difference[:60])


VOLATILE = {"created", "start", "end", "duration", "pid", "process", "delta", "ansible_date_time"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
DRAWN = [
    (re.compile(r'"process": \d+'), "process"),
    (re.compile(r"ansible-tmp-[\d.]+-\d+-\d+"), "ansible-tmp"),
    (re.compile(r"ansible-local-\w+"), "ansible-local"),
    (re.compile(r"/tmp\w{8}\b"), "/tmpfile"),
    # Before plain seconds, whose pattern would take the last part of a time away.
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d([.,]\d+)?|\d+:\d\d:\d\d\.\d+"), "time"),
    (re.compile(r"\b\d+\.\d{3,}\b"), "seconds"),
]


def _alike(value: Any, folder: Path, names: dict[str, str]) -> Any:
    """Make what differs between any two runs the same; uuids are numbered as they come."""
    if isinstance(value, dict):
        return {
            key: type(item).__name__ if key in VOLATILE else _alike(item, folder, names)
            for key, item in value.items()
            if not key.startswith("WARM_RUNNER")
        }
    if isinstance(value, list):
        return [_alike(item, folder, names) for item in value]
    if not isinstance(value, str):
        return value
    text = value.replace(str(folder), "FOLDER").replace(folder.name, "NAME")
    for pattern, name in DRAWN:
        text = pattern.sub(name, text)
    return UUID.sub(lambda found: names.setdefault(found[0], f"uuid{len(names)}"), text)


class WarmBox:
    """Folders, a collection and an environment of one test; its parents die with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_folder = folder / "run"
        self.real = Path(sys.executable).parent / "ansible-runner"
        self.environment = {
            "HOME": str(folder / "home"),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{SOURCE / 'bin'}:{self.real.parent}:/usr/bin:/bin",
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_GATHERING": "explicit",
            "WARM_RUNNER_COLLECTIONS": COLLECTION,
            "WARM_RUNNER_FOLDER": str(self.run_folder),
            "WARM_RUNNER_WAIT_SECONDS": "60",
        }
        (folder / "home").mkdir()
        self.collection = folder / "collections" / "ansible_collections" / "demo" / "things"
        self._write_collection()
        self._count = 0

    def _write_collection(self) -> None:
        files = {
            "galaxy.yml": "namespace: demo\nname: things\nversion: 1.0.0\n",
            "meta/runtime.yml": "requires_ansible: '>=2.15'\n",
            "plugins/action/requeue_after.py": ACTION,
            "plugins/modules/requeue_after.py": "#!/usr/bin/python\n",
            "plugins/modules/slow.py": SLOW_MODULE,
            "plugins/module_utils/word.py": "WORD = 'one'\n",
        }
        for name, text in files.items():
            path = self.collection / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def private_folder(self, tasks: str, name: str = "", **files: str) -> Path:
        """Make the folder of a run, with a role `case` that has these tasks."""
        self._count += 1
        folder = self.folder / f"{name or 'case'}{self._count:04}"
        content = {
            "inventory/hosts": "localhost ansible_connection=local"
            ' ansible_python_interpreter="{{ ansible_playbook_python }}"\n',
            "env/extravars": '{"ansible_operator_meta": {"name": "a", "namespace": "b"}}',
            "roles/case/meta/main.yml": f"collections: [{COLLECTION}]\n",
            "roles/case/tasks/main.yml": tasks,
            "project/.keep": "",
            **{path.replace("__", "/"): text for path, text in files.items()},
        }
        for path, text in content.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    def arguments(self, folder: Path, *more: str, role: str = "case") -> list[str]:
        """The arguments as ansible-operator gives them."""
        return [
            *("run", str(folder), "--rotate-artifacts", "20", "--role", role),
            *("--roles-path", str(folder / "roles"), "--hosts", "localhost"),
            *("-i", "1", "--role-skip-facts", *more),
        ]

    def start(
        self, arguments: list[str], warm: bool = True, **variables: str
    ) -> subprocess.Popen[str]:
        """Start a run."""
        environment = self.environment | {"WARM_RUNNER": "" if warm else "off"} | variables
        return subprocess.Popen(
            ["ansible-runner", *arguments],
            executable=SOURCE / "bin" / "ansible-runner",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
        )

    def run(self, tasks: str, *more: str, warm: bool = True, **variables: str) -> Outcome:
        """Run these tasks to the end."""
        folder = self.private_folder(tasks)
        process = self.start(self.arguments(folder, *more), warm, **variables)
        output, _ = process.communicate(timeout=120)
        return Outcome(folder, process.returncode, output)

    @property
    def log(self) -> str:
        path = self.run_folder / "log"
        return path.read_text() if path.exists() else ""

    @property
    def cold_runs(self) -> int:
        return self.log.count("a cold run:") + self.log.count("a playbook starts cold:")

    @property
    def parents(self) -> list[int]:
        """The parents that live, newest last."""
        found = []
        for pid in re.findall(r"\[(\d+)\] ready after", self.log):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if str(self.run_folder).encode() in command and not _is_zombie(int(pid)):
                    found.append(int(pid))
        return found

    def close(self) -> None:
        """End what runs here."""
        for pid in processes_with(str(self.folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def processes_with(text: str) -> list[int]:
    """The processes whose command line or environment holds a text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            content = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            if text.encode() in content and not _is_zombie(int(folder.name)):
                found.append(int(folder.name))
    return found


def wait_until(condition: Any, seconds: float = 30.0) -> None:
    """Wait for something that must become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def event_receiver(path: Path) -> Iterator[list[dict[str, Any]]]:
    """Receive what ansible-runner-http posts to a socket, as ansible-operator does."""
    received: list[dict[str, Any]] = []

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            received.append(json.loads(self.read_body()))
            self.send(204)

    with _Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()
