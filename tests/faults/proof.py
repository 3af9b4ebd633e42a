"""Restores every artifact of a claim by plain pg_restore, without any code of the project."""

from __future__ import annotations

from kube import Namespace
from line import IMAGE, STATE

POD = "proof-{}"
# For each folder below a Database's: its UID, then the state it restores to, or what it lacks.
SCRIPT = """
cd /backups/"$NAMESPACE"/"$DATABASE" || exit 1
for uid in *; do
    if [ ! -f "$uid/manifest.json" ]; then echo "$uid unfinished"; continue; fi
    dropdb --if-exists proof && createdb proof || exit 1
    if pg_restore --exit-on-error --dbname=proof "$uid/dump" > /dev/null 2>&1; then
        echo "$uid $(psql -XAtq -d proof -c "$STATE")"
    else
        echo "$uid unreadable"
    fi
done
dropdb --if-exists proof
"""


def read_artifacts(namespace: Namespace, database: str) -> dict[str, str]:
    """Return what each artifact of a Database holds, by the Backup's UID."""
    pod = POD.format(database)
    namespace.apply(_manifest(namespace, database, pod))
    namespace.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=60s", timeout=70)
    output = namespace.kubectl("exec", "--stdin", pod, "--", "bash", text=SCRIPT, timeout=1800)
    namespace.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
    return dict(line.split(" ", 1) for line in output.splitlines())


def _manifest(namespace: Namespace, database: str, pod: str) -> dict[str, object]:
    environment = {
        "PGHOST": f"{database}.{namespace.name}.svc",
        "PGUSER": "postgres",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/superuser/ca.crt",
        "PGSSLCERT": "/superuser/superuser.crt",
        "PGSSLKEY": "/superuser/superuser.key",
        "NAMESPACE": namespace.name,
        "DATABASE": database,
        "STATE": STATE,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsUser": 999, "runAsGroup": 999, "fsGroup": 999},
            "containers": [
                {
                    "name": "proof",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "3600"],
                    "env": [{"name": name, "value": text} for name, text in environment.items()],
                    "volumeMounts": [
                        {"name": "backups", "mountPath": "/backups", "readOnly": True},
                        {"name": "superuser", "mountPath": "/superuser", "readOnly": True},
                    ],
                }
            ],
            "volumes": [
                {
                    "name": "backups",
                    "persistentVolumeClaim": {"claimName": f"{database}-backups"},
                },
                {
                    "name": "superuser",
                    "secret": {"secretName": f"{database}-certificates", "defaultMode": 0o440},
                },
            ],
        },
    }
