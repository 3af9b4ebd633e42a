# Read by the findings about one ansible-runner: installs it in a temporary folder, which is removed at the end, and goes
# there, where playbooks are to be written into project/.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ansible-runner==2.4.3 ansible-core==2.19.14
export PATH="$folder/venv/bin:$PATH"
cd "$folder"
mkdir project
