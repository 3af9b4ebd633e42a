"""Requests to the Kubernetes API, over a connection that is kept."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.util import Timeout

from .access import Access

# Connect and read, in seconds: a silent API server must end a reconcile, not hang it.
TIMEOUT = Timeout(connect=5, read=30)


class RefusedError(Exception):
    """The API server answered with an error.

    Attributes:
        status: of HTTP.
        body: what it said.
    """

    def __init__(self, status: int, reason: str, body: bytes) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.body = body

    @property
    def document(self) -> dict[str, Any] | None:
        """The API server's Status object, None where the answer was anything else."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) and found.get("kind") == "Status" else None

    @property
    def causes(self) -> frozenset[str]:
        """The reasons of the causes that the Status object names."""
        details = (self.document or {}).get("details") or {}
        return frozenset(cause.get("reason", "") for cause in details.get("causes") or [])

    @property
    def message(self) -> str:
        """What the Status object says, else what HTTP says."""
        return " ".join(str((self.document or {}).get("message") or self).split())


class Transport:
    """Sends requests to one API server; urllib3 repeats those that never reached it."""

    def __init__(self, access: Access) -> None:
        address = urlsplit(access.server)
        self._base = address.path.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "postgres-operator"}
        if access.authorization:
            self._headers["Authorization"] = access.authorization
        self._pool: urllib3.HTTPConnectionPool
        if address.scheme == "https":
            self._pool = urllib3.HTTPSConnectionPool(
                str(address.hostname), address.port, timeout=TIMEOUT, ssl_context=access.tls()
            )
        else:
            self._pool = urllib3.HTTPConnectionPool(
                str(address.hostname), address.port, timeout=TIMEOUT
            )

    def send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Return the body of the answer.

        Raises:
            RefusedError: it is an error.
            urllib3.exceptions.HTTPError: there is none.
        """
        url = f"{self._base}{path}?{urlencode(query)}" if query else f"{self._base}{path}"
        headers, data = self._headers, None
        if body is not None:
            headers = {**headers, "Content-Type": content_type}
            data = json.dumps(body, separators=(",", ":")).encode()
        answer = self._pool.urlopen(method, url, body=data, headers=headers, redirect=False)
        if not 200 <= answer.status < 300:
            raise RefusedError(answer.status, answer.reason or "", answer.data)
        return answer.data
