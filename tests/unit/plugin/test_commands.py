"""What the plugin's commands ask of the API server, and how they end."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import backup, condition
from kubectl_postgres.follow import follow
from kubectl_postgres.program import program
from kubectl_postgres.screen import console

COMPLETED = {
    "Backup": backup("x", verified=True)["status"],
    "Restore": {
        "phase": "Completed",
        "previousDatabase": "shop_before_1",
        "difference": {"examples": ['"public"."song": 3 rows']},
        "conditions": [
            condition("RestoreReady", "True", "RestoreCompleted", "what would change"),
            condition("Finished", "True", "Completed", ""),
        ],
    },
}


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(program, arguments, input=answer)


def specs(cluster: Any) -> list[dict[str, Any]]:
    return [one["spec"] for one in cluster.made]


@pytest.fixture
def completing(cluster):
    cluster.ends = COMPLETED
    cluster.add(backup("good"))
    return cluster


def test_a_backup_is_made_and_followed(completing) -> None:
    done = run("backup", "app", "--verify", "--as", "mine")
    assert done.exit_code == 0, done.output
    assert specs(completing) == [{"databaseRef": {"name": "app"}, "verify": "restore"}]
    assert completing.made[0]["metadata"] == {"name": "mine"}
    assert done.output.splitlines()[-1] == "Backup mine is Completed: 12.3Mi, verified"


def test_a_backup_that_fails_ends_with_1_and_its_reason(cluster) -> None:
    cluster.ends = {"Backup": backup("x", "Failed")["status"]}
    done = run("backup", "app", "--as", "mine")
    assert done.exit_code == 1
    assert "Backup mine is Failed: BackupFailed: the words" in done.output


def test_one_that_is_not_verified_is_no_success(cluster) -> None:
    said = condition("Verified", "False", "FingerprintMismatch", "table t differs")
    status = backup("x")["status"]
    cluster.ends = {"Backup": status | {"conditions": [*status["conditions"], said]}}
    done = run("backup", "app", "--verify")
    assert done.exit_code == 1
    assert "is not verified: FingerprintMismatch: table t differs" in done.output


def test_a_backup_goes_where_another_one_is(completing) -> None:
    destination = {"s3": {"bucket": "safe"}}
    completing.objects["Backup", "good"]["spec"] |= {"destination": destination, "retry": {}}
    run("backup", "app", "--like", "good")
    assert specs(completing)[0] == {"databaseRef": {"name": "app"}, "destination": destination}


def test_a_physical_backup_goes_beside_the_archive(completing, database) -> None:
    done = run("backup", "app", "--physical")
    assert (done.exit_code, completing.made) == (1, [])
    assert "has no spec.archive" in done.output
    destination = {"s3": {"bucket": "safe"}}
    database["spec"]["archive"] = {"destination": destination, "recipients": ["age1x"]}
    run("backup", "app", "--physical")
    assert specs(completing)[0] == {
        "databaseRef": {"name": "app"},
        "destination": destination,
        "encryption": {"recipients": ["age1x"]},
        "method": "physical",
    }


def test_before_the_live_database_is_replaced_a_dry_run_is_shown_and_asked_for(completing) -> None:
    refused = run("restore", "app", "--from", "good", answer="n\n")
    assert refused.exit_code == 1
    assert "what would change" in refused.output
    assert '"public"."song": 3 rows' in refused.output
    wanted = {"databaseRef": {"name": "app"}, "backupRef": {"name": "good"}}
    assert specs(completing) == [wanted | {"dryRun": True}]
    accepted = run("restore", "app", "--from", "good", answer="y\n")
    assert accepted.exit_code == 0, accepted.output
    assert specs(completing)[1:] == [wanted | {"dryRun": True}, wanted]
    assert "The replaced database is kept as shop_before_1" in accepted.output


def test_a_table_of_a_moment_is_restored_beside(completing) -> None:
    options = ("--to", "old", "--table", "public.song", "--at", "2026-01-01 10:00:00+01:00")
    done = run("restore", "app", "--from", "good", "--yes", *options)
    assert done.exit_code == 0, done.output
    assert specs(completing) == [
        {
            "databaseRef": {"name": "app"},
            "backupRef": {"name": "good"},
            "targetDatabase": "old",
            "include": {"tables": ["public.song"]},
            "pointInTime": "2026-01-01T10:00:00+01:00",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("restore", "app", "--from", "good", "--table", "public.t"), 2, "--table needs --to"),
        (("restore", "app", "--from", "good", "--at", "2026-01-01T10:00:00"), 2, "needs a zone"),
        (("restore", "app", "--from", "good", "--at", "yesterday"), 2, "write it like 2026"),
        (("restore", "app", "--from", "none"), 3, "Backup none does not exist in namespace shop"),
        (("restore", "app"), 2, "Missing option '--from'"),
        (("backup", "none"), 3, "Database none does not exist"),
        (("status", "none"), 3, "Database none does not exist"),
        (("hibernate", "none", "--yes"), 3, "Database none does not exist"),
        (("grow", "none", "2Gi"), 3, "Database none does not exist"),
        (("logs", "app"), 1, "has no instances now"),
    ],
)
def test_mistakes(completing, arguments, code, message) -> None:
    done = run(*arguments)
    assert (done.exit_code, completing.made, completing.changes) == (code, [], [])
    assert message in done.output


def test_status_for_programs(completing) -> None:
    one = json.loads(run("status", "app", "-o", "json").output)
    assert (one["name"], one["phase"]) == ("app", "Ready")
    assert [each["name"] for each in json.loads(run("status", "-o", "json").output)] == ["app"]
    assert "name: app" in run("status", "app", "-o", "yaml").output


def test_without_a_database_the_namespace_is_named(cluster) -> None:
    cluster.objects.clear()
    done = run("status")
    assert done.exit_code == 1
    assert "there is no Database in namespace shop" in done.output


def test_a_switchover_is_waited_for(cluster) -> None:
    cluster.becomes = {"switchover": {"to": "app-1", "state": "Completed", "message": "done"}}
    done = run("switchover", "app", "--to", "app-1")
    assert done.exit_code == 0, done.output
    assert cluster.changes == [{"switchoverTo": "app-1"}]
    again = run("switchover", "app", "--to", "app-1")
    assert (again.exit_code, "each value counts once" in again.output) == (1, True)
    already = run("switchover", "app", "--to", "app-0")
    assert (already.exit_code, "already" in already.output) == (0, True)


def test_a_switchover_that_is_refused_says_why(cluster) -> None:
    cluster.becomes = {"switchover": {"to": "app-9", "state": "Refused", "message": "no app-9"}}
    done = run("switchover", "app", "--to", "app-9")
    assert (done.exit_code, "Refused: no app-9" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "fields", "phase"),
    [
        (("hibernate", "app", "--yes"), {"hibernate": True}, "Hibernated"),
        (("wake", "app"), {"hibernate": False}, "Ready"),
        (("grow", "app", "2Gi"), {"storage": {"size": "2Gi"}}, "Ready"),
    ],
)
def test_one_field_is_changed_and_waited_for(cluster, arguments, fields, phase) -> None:
    cluster.becomes = {"phase": phase}
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert cluster.changes == [fields]


def test_what_stops_clients_is_asked_for(cluster) -> None:
    for command in ("hibernate", "restart"):
        done = run(command, "app", answer="n\n")
        assert (done.exit_code, cluster.changes) == (1, [])


def test_volumes_that_cannot_grow_end_with_the_reason(cluster, database) -> None:
    said = condition("StorageDiffers", "True", "ExpansionRefused", "its class does not let it")
    cluster.becomes = {"conditions": [*database["status"]["conditions"], said]}
    done = run("grow", "app", "2Gi")
    assert done.exit_code == 1
    assert "ExpansionRefused: its class does not let it" in done.output


def test_on_a_terminal_a_step_is_text(completing) -> None:
    """Square brackets are what rich would otherwise read, and refuse."""
    screen = console(80)
    screen.file, screen._force_terminal = io.StringIO(), True
    completing.add(backup("odd", progress="Dumping [/] :fire:"))
    assert follow(completing, "Backup", "odd", screen)["status"]["phase"] == "Completed"
