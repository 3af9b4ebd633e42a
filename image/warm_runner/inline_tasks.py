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
    tasks: Any = importlib.import_module("ansible._internal._task")
    names = frozenset(collections)

    class Worker(worker.WorkerProcess):  # type: ignore[misc]
        """A worker that is a process only where it has to be."""

        _inline = False

        def start(self) -> None:
            if not _may_be_inline(self, names):
                super().start()
                return
            self._inline = True
            task = self._task.copy(exclude_parent=True, exclude_tasks=True)
            # Parents are read, and not changed.
            task._parent = self._task._parent
            host = copy.copy(self._host)
            variables = dict(self._task_vars)
            with tasks.TaskContext.create(task=task, task_vars=variables, host_name=host.name):
                self._run_task(task, host)

        def is_alive(self) -> bool:
            return not self._inline and bool(super().is_alive())

        def _run_task(self, task: Any, host: Any) -> None:
            task.squash()
            result = executor.TaskExecutor(
                host,
                self._play_context,
                self._loader,
                self._shared_loader_obj,
                self._final_q,
                self._variable_manager,
            ).run()
            result.finalize_registered_values()
            task.ignore_errors = result.ignore_errors
            task.ignore_unreachable = result.ignore_unreachable
            try:
                self._final_q.send_task_result(host, task, result)
            except Exception as error:
                # It is the result that cannot be sent, or a value of the task.
                bare = type(self._task)()
                bare._uuid = self._task._uuid
                failed = tasks.UnifiedTaskResult.create_from_action_exception(error)
                failed.finalize_registered_values()
                self._final_q.send_task_result(host, bare, failed)

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
