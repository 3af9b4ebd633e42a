"""Do the work of a Job and write its result."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: job_run
short_description: Do the work of a Job and write its result
description:
  - What a playbook of this collection consists of, and so a Job. O(variables_file) has the options of the module that
    does the work, as one JSON object; what is empty in it is as good as not there, what is unknown is refused.
  - Text in that file is data. Nothing of it is a template to Ansible, as it would be if it came by C(--extra-vars).
  - Writes the result as one line of JSON of at most 4096 bytes, which is what Kubernetes keeps of a termination message,
    to the file that the variable C(result_file) names, else to C(/dev/termination-log). It has C(ok); with C(true) what
    the module returns; with C(false) a C(reason) and a C(message), which is cut if it has to be.
  - The reason is C(InvalidInput) where the file cannot be read or a variable is wrong.
options:
  work:
    description:
      - V(adopt) is M(postgres.operator.artifact_check) of an artifact that a Backup adopts.
      - V(backup) is M(postgres.operator.artifact_create), then M(postgres.operator.artifact_check); what was made and
        cannot be read back is removed. The result's C(missing) has those UIDs of the variable C(completed) of which the
        store has no artifact any more.
      - V(copy) is M(postgres.operator.artifact_copy).
      - V(extract) makes an artifact of the database C(database), with C(include) and C(exclude) as for
        M(postgres.operator.artifact_create), of the server that V(recover) has put into C(folder), in the folder C(target).
      - V(outcome) is M(postgres.operator.restore_outcome).
      - V(physical) backs up all files of a server. It takes the options of M(postgres.operator.artifact_create) for the
        connection, which is a superuser's, the store and C(recipients); C(archive), the name of the folder with the archive
        of WAL beside the artifact; C(replication), a C(user) with REPLICATION and its C(sslcert) and C(sslkey); C(standby),
        the name of a standby to copy from; C(max_rate), in KiB a second; and C(kept_from), the LSNs from which other backups
        need WAL. With these, be the list empty, WAL from before the oldest backup is removed from the archive. The result's
        C(archive) has the gaps between the end of the oldest backup of the archive, C(oldest_end), and its newest segment.
      - V(rebuild) makes the data directory C(data) of a new server, with all databases of the artifact at that target. It
        takes what V(recover) does but the connection; C(folder) is the volume that C(data) is on, C(restore_uid) a UUID by
        which a second attempt finds what the first has done, and C(max_prepared_transactions) what the new server allows.
      - V(recover) recovers the server of C(point_in_time), C(restore_point), C(lsn) or C(xid), with C(latest) of the end of
        the archive, else of the end of the backup, into C(folder). It takes the store and the artifact as
        M(postgres.operator.artifact_restore) does, and the connection to the live primary if there is one.
      - V(remove) is M(postgres.operator.artifact_remove).
      - V(restore) is M(postgres.operator.artifact_restore).
      - V(search) finds out which artifacts are gone. It takes C(root) or C(s3), C(namespace), C(resource) and C(jobs) as
        M(postgres.operator.artifact_list) does. The result's C(missing) has the first hundred of those UIDs of the variable
        C(completed) of which the store has no artifact.
      - V(verify) is M(postgres.operator.artifact_verify).
    type: str
    choices: [adopt, backup, copy, extract, outcome, physical, rebuild, recover, remove, restore, search, verify]
    required: true
  variables_file:
    description: The file.
    type: path
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
# verify.json:
# {"root": "/mnt/backups", "namespace": "shop", "resource": "app", "uid": "0f8fad5b-d9cb-469f-a165-70867728950e",
#  "scratch": "/var/tmp", "result_file": "/tmp/result.json"}
- name: Verify the backup
  postgres.operator.job_run:
    work: verify
    variables_file: verify.json
"""

RETURN = r"""
result:
  description: What was written. Absent in check mode.
  type: dict
  returned: success
"""

from pathlib import Path
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import (
    execute,
    validated,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.job import WORKS, run_job

ARGUMENT_SPEC = {
    "work": {"type": "str", "choices": sorted(WORKS), "required": True},
    "variables_file": {"type": "path", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Do it; in check mode only find out whether it could be done, and write nothing."""
    return run_job(params["work"], Path(params["variables_file"]), validated, check_mode)


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
