#!/usr/bin/env bash
# ansible-runner 2.4.3 with ansible-core 2.19.14, Runner.get_fact_cache(host). Expected of a fact that a play has set with
# cacheable: that it is returned, as the run's artifacts have it.
# Seen: nothing is returned, without an error. Since 2.19 ansible-core stores the facts of localhost in a file named
# s1_localhost, and ansible-runner reads the file named localhost. With ansible-core 2.18.6 it returns the fact.
# Here: no facts are cached.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p project
cat > project/site.yml <<'YAML'
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        colour: blue
        cacheable: true
YAML
for core in 2.18.6 2.19.14; do
    python3 -m venv --clear venv
    venv/bin/pip install --quiet --disable-pip-version-check ansible-runner==2.4.3 "ansible-core==$core"
    PATH="$folder/venv/bin:$PATH" python - "$core" <<'PYTHON'
import sys
from pathlib import Path

import ansible_runner

core = sys.argv[1]
run = ansible_runner.run(private_data_dir=".", playbook="site.yml", ident=core, quiet=True)
files = sorted(path.name for path in Path("artifacts", core, "fact_cache").iterdir())
facts = run.get_fact_cache("localhost")
print(f"ansible-core {core}: {run.status}, files {files}, get_fact_cache: {facts}")
if facts != ({} if core == "2.19.14" else {"colour": "blue"}):
    raise SystemExit("changed")
PYTHON
done
