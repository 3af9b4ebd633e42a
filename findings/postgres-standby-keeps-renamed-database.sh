#!/usr/bin/env bash
# PostgreSQL 18.6, ALTER DATABASE ... RENAME with a standby. Expected: a database is renamed only when nobody is connected
# to it, as on the primary, where RENAME fails otherwise; or the sessions on a standby end, as those of a database that
# is dropped do.
# Seen: a session on the standby goes on, and reads the same database under its new name. Where a primary exchanges two
# names in a transaction, pooled connections to "app" on a standby read the old database and new ones the new database.
# Here: a restore ends the sessions on replicas itself, after they have replayed the new names.
source "$(dirname "$0")/postgres.bash" "psycopg[binary]==3.3.9"

start primary 5432
as_owner pg_basebackup -p 5432 -D "$folder/standby" -R -c fast --no-sync
start standby 5433
"$folder/venv/bin/python" - <<'PYTHON'
import time

import psycopg

CONTENT = "SELECT current_database(), (SELECT version FROM content)"


def connect(port, database):
    return psycopg.connect(port=port, dbname=database, autocommit=True)


def await_replay():
    (position,) = primary.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
    while not standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]).fetchone()[0]:
        time.sleep(0.05)


primary, standby = connect(5432, "postgres"), connect(5433, "postgres")
for database, version in (("app", "old"), ("app_new", "new")):
    primary.execute(f"CREATE DATABASE {database}")
    with connect(5432, database) as connection:
        connection.execute(f"CREATE TABLE content AS SELECT '{version}' AS version")
await_replay()

with connect(5432, "app"):
    try:
        primary.execute("ALTER DATABASE app RENAME TO app_old")
    except psycopg.errors.ObjectInUse as error:
        print(f"with a session on the primary: {error.diag.message_primary}")
    else:
        raise SystemExit("changed: a session on the primary does not prevent it")

pooled = connect(5433, "app")
print("on the standby, before:", *pooled.execute(CONTENT).fetchone())
with primary.transaction():
    primary.execute("ALTER DATABASE app RENAME TO app_old")
    primary.execute("ALTER DATABASE app_new RENAME TO app")
await_replay()
time.sleep(1)
try:
    old = pooled.execute(CONTENT).fetchone()
except psycopg.OperationalError as error:
    raise SystemExit(f"changed: the session has ended: {error}") from None
new = connect(5433, "app").execute(CONTENT).fetchone()
print("the same session, after:", *old)
print("a new session:", *new)
if (old, new) != (("app_old", "old"), ("app", "new")):
    raise SystemExit("changed: they read something else")

primary.execute("DROP DATABASE app_old")
await_replay()
try:
    pooled.execute(CONTENT)
except psycopg.OperationalError as error:
    print(f"once it is dropped: {error.diag.message_primary}")
else:
    raise SystemExit("changed: the session outlives a DROP")
PYTHON
