#!/usr/bin/env bash
# hack/venv.sh FOLDER REQUIREMENTS: make the Python environment that the make targets use.
# Installs Debian's python3-venv where the machine's Python came without it. Where that is older than the image's, the
# environment has the image's, out of Debian's packages.
set -euo pipefail
folder=$1 requirements=$2
python=${PYTHON:-python3}

# Checkouts share the environment: one makes it, the others wait and find it made.
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
[ ! -x "$folder/bin/pip" ] || exit 0

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then
    python=$("$python" "$(dirname "$0")/newer_python.py")
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    echo "installing python3-venv"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3-venv ca-certificates >/dev/null
fi
echo "making the Python environment (once for these requirements)"
rm -rf "$folder.new"
"$python" -m venv "$folder.new"
"$folder.new/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
# It gets its name only when it is complete; its scripts name their folder in the first line.
find "$folder.new/bin" -type f ! -name '*.pyc' -exec sed -i "1s#$folder.new#$folder#" {} +
rm -rf "$folder"
mv "$folder.new" "$folder"
