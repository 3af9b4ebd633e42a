"""Ask an instance's Patroni to restart its PostgreSQL, by its REST API."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ...errors import OperatorError
from ...kube.port_forward import Address

PORT = 8008
_NOT_STARTED = "restart failed"
_CONNECT_SECONDS = 3.0
# A reconcile holds one of the operator's few workers; Patroni goes on without it.
_RESTART_SECONDS = 8.0


class RestartFailed(OperatorError):
    """Patroni could not restart its PostgreSQL, or could not be asked to."""


class ServerNotStarted(RestartFailed):
    """PostgreSQL was stopped and did not start again."""

    reason = RestartFailed.reason


def restart(address: Address, name: str, authorities: Path, login: str, instance: str) -> bool:
    """Restart the PostgreSQL of an instance, after a checkpoint; return whether it runs again.

    False where that takes longer: the instance's report says how it ends.

    Args:
        address: of the REST API.
        name: that its certificate has.
        authorities: the file with those that have signed it.
        login: user and password, with a colon between.
        instance: the name of its pod.

    Raises:
        ServerNotStarted: PostgreSQL does not start.
        RestartFailed: Patroni refused, or was not reached.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authorities)
    pool = urllib3.HTTPSConnectionPool(
        address.host,
        address.port,
        ssl_context=context,
        assert_hostname=name,
        server_hostname=name,
        retries=False,
        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_RESTART_SECONDS),
    )
    try:
        headers = urllib3.make_headers(basic_auth=login)
        answer = pool.request("POST", "/restart", body=b"{}", headers=headers)
    except ReadTimeoutError:
        return False
    except HTTPError as error:
        raise RestartFailed(
            f"the Patroni of instance {instance} cannot be reached on port {PORT} ({error}); check"
            " the NetworkPolicies of its namespace"
        ) from error
    finally:
        with suppress(HTTPError):
            pool.close()
    if answer.status != 200:
        said = answer.data.decode(errors="replace").strip()
        kind = ServerNotStarted if said == _NOT_STARTED else RestartFailed
        raise kind(f"Patroni did not restart instance {instance}: {said}")
    return True
