#!/usr/bin/env bash
# Installs what the integration tests start, where the machine has none: a PostgreSQL server whose programs are not
# refused, and age.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The newest server's pg_dump, as the tests choose it.
pg_dump=$(compgen -G '/usr/lib/postgresql/*/bin/pg_dump' | sort | tail -1 || true)

is_refused() {
    PYTHONPATH=$(python3 hack/collection_root.py) PYTHONDONTWRITEBYTECODE=1 python3 - "$("$1" --version)" <<'PYTHON'
import sys
from ansible_collections.postgres.operator.plugins.module_utils.errors import ServerVersionUnsupported
from ansible_collections.postgres.operator.plugins.module_utils.postgres.releases import Version, require_fixes

try:
    require_fixes("pg_dump", Version.from_program(sys.argv[1]))
except ServerVersionUnsupported as error:
    print(error)
else:
    sys.exit(1)
PYTHON
}

missing=()
if ! command -v initdb >/dev/null && [ -z "$pg_dump" ]; then
    missing+=(postgresql)
elif [ -n "$pg_dump" ] && is_refused "$pg_dump"; then
    major=$(basename "$(dirname "$(dirname "$pg_dump")")")
    missing+=("postgresql-$major" "postgresql-client-$major" libpq5)
fi
command -v age >/dev/null || missing+=(age)
if [ ${#missing[@]} -eq 0 ]; then
    echo "a PostgreSQL server and age are installed"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
