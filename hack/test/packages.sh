#!/usr/bin/env bash
# Installs what the integration tests start, where the machine has none: a PostgreSQL server, and age.
set -euo pipefail

missing=()
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
command -v age >/dev/null || missing+=(age)
if [ ${#missing[@]} -eq 0 ]; then
    echo "a PostgreSQL server and age are installed"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
