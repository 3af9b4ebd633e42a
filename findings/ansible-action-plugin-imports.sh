#!/usr/bin/env bash
# ansible-core 2.19.14, meta/runtime.yml of a collection. Expected of the two ways to run a module's tasks by an action
# plugin of another name: that they are alike; an "action_plugin" of the module, and a "redirect" of the action.
# Seen: the plugin that a module names is imported in the worker that is forked for a task, so for each task anew, with
# all that it imports. The one that is redirected to is imported once, before the fork.
# Here: the modules of the collection are redirected (docs/decisions/0002).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ansible-core==2.19.14
export PATH="$folder/venv/bin:$PATH" ANSIBLE_COLLECTIONS_PATH="$folder" ANSIBLE_LOCALHOST_WARNING=no
export ANSIBLE_INVENTORY_UNPARSED_WARNING=no IMPORTS="$folder/imports"
collection=$folder/ansible_collections/example/tools
mkdir -p "$collection"/{meta,plugins/action,plugins/modules}
cat > "$collection/plugins/action/shared.py" <<'PYTHON'
import os

from ansible.plugins.action import ActionBase

with open(os.environ["IMPORTS"], "a") as file:
    print(os.getpid(), file=file)


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"changed": False}
PYTHON
for module in named redirected; do
    echo "DOCUMENTATION = 'module: $module'" > "$collection/plugins/modules/$module.py"
done
cat > "$collection/meta/runtime.yml" <<'YAML'
plugin_routing:
  modules:
    named:
      action_plugin: example.tools.shared
  action:
    redirected:
      redirect: example.tools.shared
YAML

# Usage: imports MODULE: how often four tasks import the plugin.
imports() {
    : > "$IMPORTS"
    {
        printf -- '- hosts: localhost\n  gather_facts: false\n  tasks:\n'
        printf '    - example.tools.%s:\n' "$1" "$1" "$1" "$1"
    } > "$folder/site.yml"
    ansible-playbook "$folder/site.yml" > "$folder/output"
    grep -q "ok=4 " "$folder/output" || { cat "$folder/output"; exit 1; }
    wc -l < "$IMPORTS"
}
named=$(imports named)
redirected=$(imports redirected)
echo "four tasks import the plugin $named times by action_plugin, $redirected times by redirect"
[ "$named $redirected" = "4 1" ] || { echo "changed: expected 4 and 1"; exit 1; }
