"""Patroni's members verify a name, and connect to addresses; with the Patroni that is shipped."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from collection_root import CHECKOUT

NAME = "app.shop.svc"
ASKED = {"host": "10.0.0.7", "port": 5432, "user": "standby", "sslmode": "verify-full"}


@pytest.fixture
def member_names(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(CHECKOUT / "image" / "agent"))
    return importlib.import_module("member_names")


@pytest.fixture
def patroni(member_names: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Patroni with the name installed, forgotten afterwards."""
    known = {name for name in sys.modules if name.partition(".")[0] == "patroni"}
    for name in known:
        monkeypatch.delitem(sys.modules, name)
    psycopg = importlib.import_module("patroni.psycopg")
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr(psycopg, "connect", lambda *_, **settings: opened.append(settings))
    member_names.install(NAME)
    yield SimpleNamespace(
        opened=opened,
        psycopg=psycopg,
        config=importlib.import_module("patroni.postgresql.config"),
        request=importlib.import_module("patroni.request"),
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "patroni"]:
        monkeypatch.delitem(sys.modules, name)


def test_sessions_have_the_name(patroni: SimpleNamespace) -> None:
    patroni.psycopg.connect(**ASKED)
    patroni.psycopg.connect(host="/var/run/postgresql", sslmode="verify-full")
    patroni.psycopg.connect(host="10.0.0.7", sslmode="prefer")
    patroni.psycopg.connect(host="localhost", sslmode="verify-full", replication=1)
    verified, local, old, own = patroni.opened
    assert (own["host"], own["hostaddr"]) == (NAME, "127.0.0.1")
    assert (verified["host"], verified["hostaddr"]) == (NAME, "10.0.0.7")
    assert "hostaddr" not in local
    assert (old["host"], "hostaddr" in old) == ("10.0.0.7", False)


def test_what_a_server_is_given_is_read_back_unchanged(patroni: SimpleNamespace) -> None:
    handler = SimpleNamespace(_postgresql=SimpleNamespace(major_version=170000))
    text = patroni.config.ConfigHandler.format_dsn(handler, ASKED)
    assert f"host={NAME}" in text
    assert "hostaddr=10.0.0.7" in text
    read = patroni.config.parse_dsn(text)
    assert {key: read[key] for key in ASKED} == {k: str(v) for k, v in ASKED.items()}
    assert "hostaddr" not in read


def test_requests_to_other_members_check_the_name(patroni: SimpleNamespace) -> None:
    requests = patroni.request.PatroniRequest({"ctl": {"cacert": "/ca.crt"}})
    settings = requests._pool.connection_pool_kw
    assert settings["assert_hostname"] == NAME
    assert (settings["cert_reqs"], settings["ca_certs"]) == ("CERT_REQUIRED", "/ca.crt")
    requests.reload_config({"ctl": {"cacert": "/ca.crt"}})
    assert settings["assert_hostname"] == NAME


def test_files_that_were_replaced_are_loaded(
    member_names: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_names, "_POLL_SECONDS", 0.01)
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
    (tmp_path / "..data").symlink_to("one")
    answers, done = [False, True], threading.Event()

    def reload() -> bool:
        answer = answers.pop(0)
        if not answers:
            done.set()
        return answer

    member_names.follow([str(tmp_path)], reload)
    assert not done.wait(0.1)
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").rename(tmp_path / "..data")
    assert done.wait(5)


def test_the_signal_waits_for_its_handler(member_names: ModuleType) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    received: list[int] = []
    try:
        assert not member_names.ask_to_reload()
        signal.signal(signal.SIGHUP, lambda number, _: received.append(number))
        assert member_names.ask_to_reload()
        os.kill(os.getpid(), 0)
        assert received == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_report_of_a_member_has_how_full_its_volume_is(
    patroni: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As df says it, in steps."""
    module: Any = importlib.import_module("volume_report")
    answers = iter(
        [
            SimpleNamespace(f_blocks=1000, f_bfree=200, f_bavail=150),
            OSError("it is gone"),
            SimpleNamespace(f_blocks=0, f_bfree=0, f_bavail=0),
        ]
    )

    def statvfs(_: str) -> Any:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(module.os, "statvfs", statvfs)
    report = module.Report("/volume")
    module.install(report)
    ha = importlib.import_module("patroni.ha").Ha
    member = SimpleNamespace(
        patroni=SimpleNamespace(tags={"nofailover": True}), _disable_sync=0, state_handler=None
    )
    member.is_failover_possible = lambda *_: False
    found = []
    for _ in range(3):
        report.read()
        found.append(ha.get_effective_tags(member).get("volumeUsedPercent"))
    # 800 of 950 are used.
    assert found == [80, None, 0]
    assert ha.get_effective_tags(member)["nofailover"] is True
    monkeypatch.setattr(module, "_VALID_SECONDS", -1)
    assert "volumeUsedPercent" not in ha.get_effective_tags(member)
