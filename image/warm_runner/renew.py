"""Gives a forked process what must be its own: streams, temporary folder, random numbers."""

from __future__ import annotations

import atexit
import importlib
import io
import logging
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing import util
from typing import Any, TextIO

from . import key

# Variables that were read during the imports and that `ansible` below reads again.
VARIABLES = key.RENEWED | {"KUBECONFIG"}


def standard_streams() -> tuple[TextIO, TextIO, TextIO]:
    """Return new streams over descriptors 0, 1 and 2, encoded as this process's first ones."""
    assert sys.__stdin__ is not None
    assert sys.__stdout__ is not None
    assert sys.__stderr__ is not None
    return (
        open(0, encoding=sys.__stdin__.encoding, errors=sys.__stdin__.errors, closefd=False),
        _output(1, sys.__stdout__),
        _output(2, sys.__stderr__),
    )


def _output(descriptor: int, like: TextIO) -> TextIO:
    return io.TextIOWrapper(
        open(descriptor, "wb", closefd=False),
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=os.isatty(descriptor) or descriptor == 2,
        write_through="PYTHONUNBUFFERED" in os.environ,
    )


def process(environment: Mapping[str, str]) -> None:
    """Make a process just forked one that was started with this environment."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.stdin, sys.stdout, sys.stderr = standard_streams()
    random.seed()
    # Its folder was chosen by the parent's environment.
    tempfile.tempdir = None
    # What the parent registered is the parent's; these two every process has.
    atexit._clear()
    atexit.register(util._exit_function)  # type: ignore[attr-defined]
    atexit.register(logging.shutdown)


def main(read: Mapping[str, str | None]) -> bool:
    """Execute ansible-runner's program again where the variables that it read are others now.

    Returns:
        Whether it was executed: what was made of it before is out of date then.
    """
    if all(os.environ.get(name) == value for name, value in read.items()):
        return False
    importlib.reload(importlib.import_module("ansible_runner.__main__"))
    return True


def ansible() -> None:
    """Do again what Ansible did with this environment while it was imported."""
    constants = importlib.import_module("ansible.constants")
    config = constants.config
    for name in ("CACHE_PLUGIN_CONNECTION", "DEFAULT_ROLES_PATH", "DEFAULT_LOCAL_TMP"):
        constants.set_constant(
            name, config.get_config_value(name, variables=vars(constants)), vars(constants)
        )
    # The first parts of every uuid of a play.
    variables: Any = importlib.import_module("ansible.utils.vars")
    variables.random_int = secrets.token_hex(4)
    # A singleton: it has seen the terminal, and what was warned of already.
    importlib.import_module("ansible.utils.display").Display().__init__()
    kube_config = sys.modules.get("kubernetes.config.kube_config")
    if kube_config is not None:
        kube_config.KUBE_CONFIG_DEFAULT_LOCATION = os.environ.get(  # type: ignore[attr-defined]
            "KUBECONFIG", "~/.kube/config"
        )
