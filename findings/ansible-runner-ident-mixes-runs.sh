#!/usr/bin/env bash
# ansible-runner 2.4.3 with ansible-core 2.19.14, ansible_runner.run(ident=...). Expected of a second run with the ident
# of a first: its events take the place of those of the first, or an error.
# Seen: events, messages and stats are those of both runs. One that ends before there are stats, here since a role is
# missing, has status "failed" and the stats of the run before it: one task ok, no failures.
# Here: each run gets an ident of its own from ansible-operator.
source "$(dirname "$0")/ansible-runner.bash"
cat > project/good.yml <<'YAML'
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: of the first run
YAML
cat > project/incomplete.yml <<'YAML'
- hosts: localhost
  gather_facts: false
  roles: [not_installed]
YAML
python - <<'PYTHON'
import ansible_runner


def run(playbook, ident):
    result = ansible_runner.run(private_data_dir=".", playbook=playbook, ident=ident, quiet=True)
    kinds = [event["event"] for event in result.events]
    print(f"{playbook}, ident {ident}: {result.status}, {kinds.count('runner_on_ok')} tasks ok, stats {result.stats}")
    return result, kinds


run("good.yml", "nightly")
mixed, kinds = run("incomplete.yml", "nightly")
alone, _ = run("incomplete.yml", "other")
if (mixed.status, alone.stats) != ("failed", None):
    raise SystemExit("changed: this run alone is another")
if not mixed.stats or mixed.stats["ok"] != {"localhost": 1} or "runner_on_ok" not in kinds:
    raise SystemExit("changed: the first run's events are gone")
PYTHON
