#!/bin/sh
# Starts the postgres stand-in the way the official image's entry point does:
# a first start makes the data directory from POSTGRES_PASSWORD, POSTGRES_USER,
# POSTGRES_DB and the scripts in /docker-entrypoint-initdb.d.
set -eu

case ${1:-postgres} in
    -*) set -- postgres "$@" ;;
esac
if [ "${1:-postgres}" != postgres ]; then
    exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown postgres:postgres "$PGDATA"
    exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres}
    if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
        echo "set POSTGRES_PASSWORD: a new database needs a superuser password" >&2
        exit 1
    fi
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    passwords=$(mktemp)
    printf '%s\n' "${POSTGRES_PASSWORD:-unused}" > "$passwords"
    # shellcheck disable=SC2086
    initdb --username="$user" --pwfile="$passwords" ${POSTGRES_INITDB_ARGS:-}
    rm -f "$passwords"
    echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    database=${POSTGRES_DB:-$user}
    if [ "$database" != postgres ]; then
        createdb --username="$user" --maintenance-db=postgres "$database"
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) . "$file" ;;
            *.sql) psql --username="$user" --set=ON_ERROR_STOP=1 --no-psqlrc --file="$file" "$database" ;;
            *.sql.gz) gunzip -c "$file" | psql --username="$user" --set=ON_ERROR_STOP=1 --no-psqlrc "$database" ;;
        esac
    done
    pg_ctl --wait --mode=fast stop
fi
exec "$@"
