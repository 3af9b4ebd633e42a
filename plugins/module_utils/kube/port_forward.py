"""Reach a port of a pod: by its address inside the cluster, by the API server outside of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from . import access
from .client import is_on_pod_network

_BUFFER_BYTES = 65536


@dataclass(frozen=True)
class Address:
    """Where a TCP client connects to."""

    host: str
    port: int


@contextlib.contextmanager
def reach(namespace: str, pod: str, pod_ip: str, port: int) -> Iterator[Address]:
    """Give an address that leads to the pod's port for as long as the context is open.

    Outside the cluster (make run, ansible-runner on a laptop) it is a port of the loopback
    interface, each connection to which becomes a port-forward.
    """
    if is_on_pod_network():
        yield Address(pod_ip, port)
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        forwarder = threading.Thread(
            target=_accept, args=(namespace, pod, port, server), daemon=True
        )
        forwarder.start()
        yield Address(*server.getsockname()[:2])
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _accept(namespace: str, pod: str, port: int, server: socket.socket) -> None:
    """Forward every connection until the server's socket is closed."""
    # Inside the cluster nothing needs the client library, which takes 0.3 s and 30 MB.
    from kubernetes import client, config  # noqa: PLC0415
    from kubernetes.stream import portforward  # noqa: PLC0415

    configuration = client.Configuration()
    config.load_kube_config(access.kubeconfig_path(), client_configuration=configuration)
    api = client.CoreV1Api(client.ApiClient(configuration))
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with contextlib.suppress(Exception):
            forward = portforward(
                api.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port)
            )
            remote = forward.socket(port)
            remote.setblocking(True)
            for source, target in ((client, remote), (remote, client)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()
            continue
        client.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Copy one direction until either end closes."""
    with contextlib.suppress(OSError):
        while data := source.recv(_BUFFER_BYTES):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.close()
