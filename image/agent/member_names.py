"""Members of a cluster verify each other by name, though they reach each other by address.

Patroni and libpq connect to the address that a member has announced: names would make a failover
depend on the cluster's DNS. A certificate cannot have that address, which a pod gets when it
starts. So at the border, where Patroni's settings become libpq's, the address becomes `hostaddr`
and `host` is the name that all certificates of the cluster have; and back where Patroni compares
what a server has with what it should. The same for its requests to the REST API of others.

And Patroni is asked to load its files anew when Kubernetes has replaced them.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

VERIFIED = "verify-full"
LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 2.0


def to_libpq(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return Patroni's settings with the name to verify beside the address to connect to."""
    # Its own server Patroni asks for replication by this name, which is no address.
    address = LOOPBACK if settings.get("host") == "localhost" else str(settings.get("host"))
    if settings.get("sslmode") != VERIFIED or not _is_address(address):
        return dict(settings)
    return {**settings, "host": name, "hostaddr": address}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def to_patroni(settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return libpq's settings as Patroni has made them."""
    if not settings or "hostaddr" not in settings:
        return None if settings is None else dict(settings)
    return {**{k: v for k, v in settings.items() if k != "hostaddr"}, "host": settings["hostaddr"]}


def install(name: str) -> None:
    """Have Patroni, in this process, verify the name."""
    from patroni import psycopg, request  # noqa: PLC0415 (before it reads its settings)
    from patroni.postgresql import config  # noqa: PLC0415

    connect, parse_dsn = psycopg.connect, config.parse_dsn
    format_dsn = config.ConfigHandler.format_dsn
    reload_config = request.PatroniRequest.reload_config

    def named_connect(*arguments: Any, **settings: Any) -> Any:
        return connect(*arguments, **to_libpq(name, settings))

    def named_dsn(self: Any, settings: Mapping[str, Any]) -> str:
        named = to_libpq(name, settings)
        text: str = format_dsn(self, named)
        return f"{text} hostaddr={named['hostaddr']}" if "hostaddr" in named else text

    def parsed_dsn(text: str) -> dict[str, Any] | None:
        return to_patroni(parse_dsn(text))

    def named_requests(self: Any, settings: Any) -> None:
        reload_config(self, settings)
        self._pool.connection_pool_kw["assert_hostname"] = name

    psycopg.connect = named_connect
    config.parse_dsn = parsed_dsn
    config.ConfigHandler.format_dsn = named_dsn
    request.PatroniRequest.reload_config = named_requests


def follow(folders: Sequence[str], reload: Callable[[], bool]) -> None:
    """Call `reload` after the files of a volume were replaced, until it says that it has worked.

    Kubernetes replaces all files of a volume at once, by a link.
    """
    links = [Path(folder, "..data") for folder in folders]

    def targets() -> list[str]:
        return [str(link.resolve()) for link in links]

    def watch() -> None:
        loaded = targets()
        while True:
            time.sleep(_POLL_SECONDS)
            found = targets()
            if found != loaded and reload():
                loaded = found

    threading.Thread(target=watch, name="files", daemon=True).start()


def ask_to_reload() -> bool:
    """Send this process the signal by which Patroni loads its files, once it would not end it."""
    if signal.getsignal(signal.SIGHUP) in {signal.SIG_DFL, None}:
        return False
    os.kill(os.getpid(), signal.SIGHUP)
    return True
