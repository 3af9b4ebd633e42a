"""Posts events over one connection.

ansible-runner-http makes a session and a connection for every event, 2 ms each and twenty a run.
Here the connection to a Unix socket is kept. Anything else, and any trouble before a request is on
its way, goes to ansible-runner-http's own function, for its results and its errors.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


class Poster:
    """Stands in for ansible_runner_http.events.send_request in the process of a run."""

    def __init__(self, ordinary: Any) -> None:
        self._ordinary = ordinary
        self._connections: dict[str, _UnixConnection] = {}

    def __call__(
        self,
        url: str,
        data: Any,
        headers: Mapping[str, str] | None = None,
        urlpath: str | None = None,
    ) -> Any:
        """Post the data as JSON."""
        if headers or not os.path.exists(url):
            return self._ordinary(url, data=data, headers=headers, urlpath=urlpath)
        kept = self._connections.get(url)
        connection = kept or _UnixConnection(url)
        try:
            body = json.dumps(data, allow_nan=False).encode()
            connection.request("POST", urlpath or "/", body, {"Content-Type": "application/json"})
        except (OSError, http.client.HTTPException, ValueError):
            self._drop(url, connection)
            return self._ordinary(url, data=data, headers=headers, urlpath=urlpath)
        try:
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._drop(url, connection)
            if kept and isinstance(error, http.client.RemoteDisconnected):
                # It was closed while it was idle: this request was not read.
                return self._ordinary(url, data=data, headers=headers, urlpath=urlpath)
            # What ansible-runner expects of a post that went wrong.
            requests = importlib.import_module("requests")
            raise requests.exceptions.ConnectionError(str(error)) from error
        self._connections[url] = connection
        return answer.status

    def _drop(self, url: str, connection: _UnixConnection) -> None:
        self._connections.pop(url, None)
        with contextlib.suppress(OSError):
            connection.close()


def post_all(url: str, urlpath: str | None, events: Iterable[Any]) -> None:
    """Post events over one connection; where ansible-runner-http is not installed, nothing is."""
    try:
        module: Any = importlib.import_module("ansible_runner_http.events")
    except ImportError:
        return
    post = Poster(module.send_request)
    for event in events:
        post(url, event, urlpath=urlpath)


def keep_the_connection() -> None:
    """Have ansible-runner-http, where it is installed, post over one connection."""
    with contextlib.suppress(ImportError):
        events: Any = importlib.import_module("ansible_runner_http.events")
        events.send_request = Poster(events.send_request)
