"""Runs tasks of trusted collections in the playbook's own process.

Ansible forks a worker for every task. For an action plugin that does its work itself, as those of
in-process modules do, the fork costs more than the task. The worker here does the same, without a
process, for tasks whose action is an action plugin of a collection that was named, and for a few of
Ansible's own that only compute. All others get their process as ever.

What a fork keeps apart for free is kept apart by copies: the task, which is templated in place, its
variables and its host. What an action plugin itself changes in its process stays changed until the
playbook ends; naming a collection says that its actions stand that.
"""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Collection
from typing import Any

OWN_ACTIONS = frozenset(
    f"ansible.builtin.{name}"
    for name in (
        "assert",
        "debug",
        "fail",
        "include_role",
        "include_tasks",
        "include_vars",
        "set_fact",
        "validate_argument_spec",
    )
)


def run_inline(collections: Collection[str]) -> None:
    """Have this process run the tasks of these collections itself."""
    if not collections:
        return
    worker: Any = importlib.import_module("ansible.executor.process.worker")
    executor: Any = importlib.import_module("ansible.executor.task_executor")
    result: Any = importlib.import_module("ansible.executor.task_result")
    ambient: Any = importlib.import_module("ansible._internal._task")
    errors: Any = importlib.import_module("ansible._internal._errors._error_utils")
    names = frozenset(collections)

    class Worker(worker.WorkerProcess):  # type: ignore[misc]
        """A worker that is a process only where it has to be."""

        _inline = False

        def start(self) -> None:
            if not _may_be_inline(self, names):
                super().start()
                return
            self._inline = True
            task = self._task.copy(exclude_parent=True)
            # Parents are read, and not changed.
            task._parent = self._task._parent
            with ambient.TaskContext(task):
                self._run_task(task, copy.copy(self._host))

        def is_alive(self) -> bool:
            return not self._inline and bool(super().is_alive())

        def _run_task(self, task: Any, host: Any) -> None:
            returned = executor.TaskExecutor(
                host,
                task,
                dict(self._task_vars),
                self._play_context,
                self._loader,
                self._shared_loader_obj,
                self._final_q,
                self._variable_manager,
            ).run()
            # Both are sent to the thread that awaits results: as little as possible.
            host.vars = {}
            host.groups = []
            try:
                fields = task.dump_attrs()
                self._final_q.send_task_result(result._RawTaskResult(host, task, returned, fields))
            except Exception as error:
                failed = errors.result_dict_from_exception(error)
                self._final_q.send_task_result(result._RawTaskResult(host, task, failed, {}))

    importlib.import_module("ansible.plugins.strategy")
    vars(sys.modules["ansible.plugins.strategy"])["WorkerProcess"] = Worker


def _may_be_inline(worker: Any, collections: Collection[str]) -> bool:
    task = worker._task
    action = task.resolved_action or ""
    # A limit of time interrupts the process; more hosts are worked on side by side.
    if task.async_val or task.timeout or len(worker._variable_manager._inventory.hosts) > 1:
        return False
    if action in OWN_ACTIONS:
        return True
    return action.rpartition(".")[
        0
    ] in collections and worker._shared_loader_obj.action_loader.has_plugin(
        task.action, collection_list=task.collections
    )
