"""Who gets in with the rules that a Database's servers have, and how certificates are renewed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    AuthFailed,
    DatabaseNotReady,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    Tls,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.hba import (
    ensure_group,
    read_hba_file,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.own_names import (
    SESSION_GROUP,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.session_roles import (
    session_roles,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.hba import (
    all_lines,
    own_lines,
)
from ansible_collections.postgres.operator.plugins.module_utils.tls import issue
from ansible_collections.postgres.operator.plugins.module_utils.tls.handshake import (
    served_certificate,
)
from collection_root import CHECKOUT

NAME = "app.shop.svc"
PASSWORD = "of the application"
NOW = datetime.now(UTC)
RULES = CHECKOUT / "roles" / "database" / "vars" / "main" / "tls.yml"
FOLDER = "/etc/certificates"


def rendered(clients: str = "Require") -> dict[str, Any]:
    """What the role says of TLS to Patroni."""
    loader = DataLoader()
    variables = loader.load_from_file(str(RULES), trusted_as_template=True)
    resource = {"spec": {"tls": {"clients": clients}}}
    hba = own_lines(resource) | {"dynamic": False}
    variables["database_reconcile"] = {"migrating": False, "resource": resource, "hba": hba}
    found = Templar(loader, variables).template(variables["database_tls"])["postgresql"]
    return {key: found[key] for key in ("parameters", "pg_hba", "pg_ident")}


@dataclass
class Server:
    """A server with the role's rules and certificates of an authority of its own."""

    folder: Path
    port: int
    authority: issue.Pair
    account: dict[str, Any]

    def write(self, name: str, pair: issue.Pair) -> None:
        for end, text in ((".crt", pair.certificate), (".key", pair.key)):
            path = self.folder / f"{name}{end}"
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_text(text)
            if "user" in self.account:
                shutil.chown(path, self.account["user"])

    @property
    def tls(self) -> Tls:
        return Tls("verify-full", self.folder / "ca.crt")

    @property
    def application(self) -> ConnectionParameters:
        return ConnectionParameters(
            NAME, self.port, "owner", "postgres", self.folder / "password", self.tls, "127.0.0.1"
        )

    @property
    def superuser(self) -> ConnectionParameters:
        folder = self.folder
        tls = replace(self.tls, sslcert=folder / "superuser.crt", sslkey=folder / "superuser.key")
        return replace(self.application, user="postgres", password_file=None, tls=tls)

    def reload(self) -> None:
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGHUP)

    def load_rules(self, text: str) -> None:
        """Write pg_hba.conf, and wait until the server has loaded it."""
        before = self._loaded()
        (self.folder / "data" / "pg_hba.conf").write_text(text)
        self.reload()
        deadline = time.monotonic() + 10
        while self._loaded() == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def _loaded(self) -> Any:
        with connect(self.superuser) as session:
            return session.execute("SELECT pg_conf_load_time()").fetchone()


@pytest.fixture(scope="module")
def server(postgres_server) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="tls-test-"))
    account = postgres_server.account
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        made = Server(folder, probe.getsockname()[1], issue.make_authority("t", NOW), account)
    if "user" in account:
        shutil.chown(folder, account["user"])
    made.write("tls", issue.issue_server(made.authority, "app", [NAME], NOW))
    made.write("superuser", issue.issue_client(made.authority, "postgres", NOW))
    made.write("replication", issue.issue_client(made.authority, "standby", NOW))
    for name in ("ca.crt", "clients-ca.crt"):
        (folder / name).write_text(made.authority.certificate)
    (folder / "password").write_text(PASSWORD)
    data = folder / "data"
    subprocess.run(
        ["initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust", "--no-sync"],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        **account,
    )
    rules = rendered()
    (data / "pg_hba.conf").write_text("\n".join(rules["pg_hba"]) + "\n")
    (data / "pg_ident.conf").write_text("\n".join(rules["pg_ident"]) + "\n")
    settings = rules["parameters"] | {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "port": str(made.port),
    }
    lines = [f"{k} = '{str(v).replace(FOLDER, str(folder))}'" for k, v in settings.items()]
    with (data / "postgresql.conf").open("a") as file:
        file.write("\n".join(lines) + "\n")
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            ["postgres", "-D", data], stdout=log, stderr=log, cwd=folder, **account
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                connect(made.superuser).close()
                break
            except DatabaseNotReady:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with connect(made.superuser) as session:
            session.execute(f"CREATE ROLE owner LOGIN PASSWORD '{PASSWORD}'")
            session.execute(f"CREATE ROLE standby LOGIN REPLICATION PASSWORD '{PASSWORD}'")
            session.execute(f"CREATE ROLE rewind LOGIN PASSWORD '{PASSWORD}'")
            session.execute(f"ALTER ROLE postgres PASSWORD '{PASSWORD}'")
        yield made
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        shutil.rmtree(folder)


def encryption(session: Any) -> Any:
    return session.execute(
        "SELECT ssl, version, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    ).fetchone()


def test_an_application_gets_in_by_its_password(server: Server) -> None:
    with connect(server.application) as session:
        assert encryption(session) == (True, "TLSv1.3", None)


def test_its_login_is_bound_to_the_channel(server: Server) -> None:
    bound = f"{server.application.conninfo()} channel_binding=require"
    psycopg.connect(bound, password=PASSWORD).close()


def test_the_superuser_gets_in_by_its_certificate(server: Server) -> None:
    with connect(server.superuser) as session:
        assert encryption(session) == (True, "TLSv1.3", "/CN=postgres")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tls": Tls("disable")}, "no encryption"),
        ({"host": "other.shop.svc"}, "does not match host name"),
        ({"user": "postgres"}, "valid client certificate"),
        ({"user": "standby"}, "rejects connection"),
        ({"user": "rewind"}, "valid client certificate"),
        ({"user": "rewind", "dbname": "template1"}, "rejects connection"),
    ],
)
def test_who_does_not_get_in_by_a_password(
    server: Server, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(AuthFailed, match=words):
        connect(replace(server.application, **change))


def test_a_server_of_another_authority_is_not_trusted(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "ca.crt"
    other.write_text(issue.make_authority("t", NOW).certificate)
    with pytest.raises(AuthFailed, match="certificate verify failed"):
        connect(replace(server.application, tls=Tls("verify-full", other)))


def test_a_client_of_another_authority_is_not_let_in(server: Server, tmp_path: Path) -> None:
    forged = issue.issue_client(issue.make_authority("t", NOW), "postgres", NOW)
    for name, text in (("f.crt", forged.certificate), ("f.key", forged.key)):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text)
    tls = replace(server.tls, sslcert=tmp_path / "f.crt", sslkey=tmp_path / "f.key")
    with pytest.raises(AuthFailed, match="unknown ca"):
        connect(replace(server.superuser, tls=tls))


def test_a_members_certificate_is_for_its_own_roles(server: Server) -> None:
    folder = server.folder
    tls = replace(server.tls, sslcert=folder / "replication.crt", sslkey=folder / "replication.key")
    member = replace(server.superuser, tls=tls)
    connect(replace(member, user="rewind")).close()
    with pytest.raises(AuthFailed):
        connect(member)
    replication = replace(member, user="standby").conninfo()
    with psycopg.connect(f"{replication} replication=true", autocommit=True) as session:
        assert session.execute("IDENTIFY_SYSTEM").fetchone()


def test_replication_takes_no_password(server: Server) -> None:
    text = replace(server.application, user="standby").conninfo()
    with pytest.raises(psycopg.OperationalError, match="valid client certificate"):
        psycopg.connect(f"{text} replication=true", password=PASSWORD)


def test_a_client_does_not_give_its_password_away(server: Server, tmp_path: Path) -> None:
    """A server that asks for the clear password gets nothing: the client says what it accepts."""
    hba = server.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    try:
        server.load_rules("hostssl all owner all password\n" + before)
        with pytest.raises(AuthFailed, match="scram-sha-256"):
            connect(server.application)
    finally:
        server.load_rules(before)


def test_lines_of_a_user_decide_for_applications_and_for_nobody_else(server: Server) -> None:
    """Jobs, the operator and the instances get in although a line of the spec refuses everybody."""
    hba = server.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    lines = ["hostssl all other all scram-sha-256", "host all all all reject"]
    try:
        with connect(server.superuser) as session:
            session.execute(f"CREATE ROLE other LOGIN PASSWORD '{PASSWORD}'")
            ensure_group(session, SESSION_GROUP)
            ensure_group(session, SESSION_GROUP)
            hba.write_text("\n".join(all_lines({"spec": {}}, lines)) + "\n")
            assert read_hba_file(session).lines == all_lines({"spec": {}}, lines)
            assert read_hba_file(session).error == ""
        server.load_rules(hba.read_text())
        with pytest.raises(AuthFailed, match="rejects connection"):
            connect(server.application)
        connect(replace(server.application, user="other")).close()
        with session_roles(server.superuser, "0f8fad5b-d9cb-469f-a165-70867728950e") as roles:
            connect(roles.make("postgres")).close()
        connect(server.superuser).close()
    finally:
        server.load_rules(before)


def test_what_the_server_does_not_take_of_the_file_it_says(server: Server) -> None:
    hba = server.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    bad = "hostssl all all all ldap"
    try:
        hba.write_text("# a comment\n" + "\n".join(all_lines({"spec": {}}, [bad])) + "\n")
        with connect(server.superuser) as session:
            found = read_hba_file(session)
        assert found.lines == all_lines({"spec": {}}, [bad])
        assert 'authentication method "ldap" requires argument' in found.error
        assert found.error.endswith(f"in: {bad}")
    finally:
        hba.write_text(before)


def test_clients_without_tls_get_in_where_they_may(server: Server) -> None:
    rules = rendered("Prefer")["pg_hba"]
    assert rules[-1] == "host all all all scram-sha-256"
    assert rules[:-1] == rendered()["pg_hba"][:-1]


def test_a_certificate_is_renewed_under_an_open_session(server: Server) -> None:
    before = served_certificate("127.0.0.1", server.port, 5)
    with connect(server.application) as session:
        server.write("tls", issue.issue_server(server.authority, "app", [NAME], NOW))
        assert served_certificate("127.0.0.1", server.port, 5) == before
        server.reload()
        deadline = time.monotonic() + 10
        while served_certificate("127.0.0.1", server.port, 5) == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert session.execute("SELECT 1").fetchone() == (1,)
    with connect(server.application) as session:
        assert encryption(session)[0]


def test_one_that_cannot_be_loaded_changes_nothing(server: Server) -> None:
    before = served_certificate("127.0.0.1", server.port, 5)
    key = server.folder / "tls.key"
    good = key.read_text()
    try:
        key.write_text(issue.make_authority("t", NOW).key)
        server.reload()
        time.sleep(0.5)
        assert served_certificate("127.0.0.1", server.port, 5) == before
        connect(server.application).close()
    finally:
        key.write_text(good)
        server.reload()
