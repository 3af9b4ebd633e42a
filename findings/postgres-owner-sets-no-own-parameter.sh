#!/usr/bin/env bash
# PostgreSQL 18.6, a parameter with a dot in its name that no extension has defined, such as app.mode. Any role may SET it in
# its session. Expected: the owner of a database may then also keep it, by ALTER DATABASE ... SET and ALTER ROLE ... SET for
# itself, as it may keep work_mem.
# Seen: both are refused, "permission denied to set parameter", until a superuser has granted SET ON PARAMETER to the role,
# for each name. So the settings of a database that a superuser has made cannot be made again by its owner.
# Here: a restore applies the settings of a backup with the rights of the database's owner, and names those that were refused.
source "$(dirname "$0")/postgres.bash"

start data 5432
sql 5432 "CREATE ROLE owner LOGIN"
sql 5432 "CREATE DATABASE app OWNER owner"

# Usage: as_role STATEMENT. Prints what PostgreSQL refuses, else "done".
as_role() {
    if output=$(PGUSER=owner PGDATABASE=app sql 5432 "$1" 2>&1); then
        echo "done"
    else
        echo "${output#ERROR:  }"
    fi
}
refused='permission denied to set parameter "app.mode"'
for statement in "SET app.mode = 'a'" "ALTER DATABASE app SET work_mem = '8MB'" \
    "ALTER DATABASE app SET app.mode = 'a'" "ALTER ROLE owner SET app.mode = 'a'"; do
    answer=$(as_role "$statement")
    echo "$statement: $answer"
    case $statement in
        SET* | *work_mem*) [ "$answer" = "done" ] || changed "it is refused" ;;
        *) [ "$answer" = "$refused" ] || changed "it is not refused as before" ;;
    esac
done
sql 5432 'GRANT SET ON PARAMETER "app.mode" TO owner'
answer=$(as_role "ALTER DATABASE app SET app.mode = 'a'")
echo "the same once SET ON PARAMETER is granted: $answer"
[ "$answer" = "done" ] || changed "it is refused"
