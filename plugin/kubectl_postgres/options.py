"""What all commands take: where the cluster is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from .access import Cluster, Place

_OPTIONS = (
    click.option("--namespace", "-n", default="", help="Else the namespace of the context."),
    click.option("--context", "kube_context", default="", help="A context of the kubeconfig."),
    click.option("--kubeconfig", default="", help="Else KUBECONFIG, or ~/.kube/config."),
)


def placed(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that lead to a cluster; it gets what connects to that."""

    @wraps(function)
    def run(*args: Any, namespace: str, kube_context: str, kubeconfig: str, **others: Any) -> None:
        place = Place(kubeconfig, kube_context, namespace)
        function(lambda: Cluster(place), *args, **others)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run
