#!/usr/bin/env bash
# run_role.sh FOLDER ROLE NAMESPACE NAME PHASE [ARGUMENT...]: run a role of this project with plain
# ansible-runner, as the operator would, until the resource has the phase; once where PHASE is empty.
# FOLDER is ansible-runner's private data folder, the arguments are ansible-playbook's.
set -euo pipefail
folder=$1 role=$2 namespace=$3 name=$4 phase=$5
shift 5
roles=$(cd "$(dirname "$0")/../../roles" && pwd)

# ansible-runner takes over what an earlier run left there.
rm -rf "$folder"
mkdir -p "$folder/env"
printf '{"ansible_operator_meta": {"name": "%s", "namespace": "%s"}}\n' "$name" "$namespace" >"$folder/env/extravars"

read_phase() {
    kubectl --namespace "$namespace" get "$role" "$name" --output 'jsonpath={.status.phase}'
}

while :; do
    ansible-runner run "$folder" --role "$role" --roles-path "$roles" --hosts localhost --role-skip-facts \
        --rotate-artifacts 1 --omit-env-files ${1:+--cmdline="$*"}
    if [[ -z $phase || $(read_phase) == "$phase" ]]; then
        break
    fi
    sleep 1
done
