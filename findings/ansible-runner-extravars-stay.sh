#!/usr/bin/env bash
# ansible-runner 2.4.3 with ansible-core 2.19.14, ansible_runner.run(extravars=...). Expected: the variables of this call.
# Seen: those of the first call that has any are written to env/extravars of the folder and stay there. Later calls
# without any get them; calls with others get both, and do not change the file.
# Here: ansible-operator writes that file itself before each run.
source "$(dirname "$0")/ansible-runner.bash"
cat > project/site.yml <<'YAML'
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "stage {{ stage | default('none') }}, limit {{ limit | default('none') }}"
YAML
python - <<'PYTHON'
from pathlib import Path

import ansible_runner


def run(**options):
    result = ansible_runner.run(private_data_dir=".", playbook="site.yml", quiet=True, **options)
    message = next(
        event["event_data"]["res"]["msg"] for event in result.events if event["event"] == "runner_on_ok"
    )
    print(f"{options or 'no extravars'}: {message}")
    return message


seen = [run(), run(extravars={"stage": "test"}), run(extravars={"limit": "5"}), run()]
print("env/extravars:", Path("env/extravars").read_text())
if seen != [
    "stage none, limit none",
    "stage test, limit none",
    "stage test, limit 5",
    "stage test, limit none",
]:
    raise SystemExit("changed: other variables reach the playbook")
PYTHON
