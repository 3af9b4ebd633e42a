"""make demo: from nothing to a database that was destroyed and restored, and proof that it is back.

Every step is timed. The proof does not use the project's own code: it is a checksum of each table,
computed by PostgreSQL itself before the disaster and after the restore.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
NAMESPACE = "demo"
DATABASE = "app"
# One line per table: its name, its rows, and a checksum that does not depend on the rows' order.
CHECKSUMS = """
SELECT format(
  'SELECT %L, count(*), md5(coalesce(string_agg(line, %L ORDER BY line), %L))'
  ' FROM (SELECT md5(t::text) AS line FROM %s t) lines',
  c.oid::regclass::text, '', '', c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1
\\gexec
"""


@dataclass
class Demo:
    """The run: how to reach the cluster, and how long each step took (seconds)."""

    cluster: str
    provider: str
    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Say what is being done and how long it took."""
        print(f"==> {name}", flush=True)
        start = time.monotonic()
        yield
        elapsed = time.monotonic() - start
        self.steps.append((name, elapsed))
        print(f"    {elapsed:.1f} s", flush=True)

    def make(self, *arguments: str) -> None:
        """Run make targets for the demo's cluster, showing what they print."""
        subprocess.run(self._make(*arguments), cwd=CHECKOUT, check=True)

    def make_side_by_side(self, *targets: str) -> None:
        """Run make targets at the same time, with the target before each line that they print."""

        def show(target: str) -> None:
            command = self._make(target)
            with subprocess.Popen(
                command, cwd=CHECKOUT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    print(f"{target:<{max(map(len, targets))}} | {line}", end="", flush=True)
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, command)

        with ThreadPoolExecutor() as pool:
            list(pool.map(show, targets))

    def _make(self, *arguments: str) -> list[str]:
        settings = [
            f"CLUSTER={self.cluster}",
            f"CLUSTER_PROVIDER={self.provider}",
            # Never the current one, which the outer make found when this did not exist yet.
            f"KUBECONFIG={self.kubeconfig}",
        ]
        return ["make", *settings, *arguments]

    @property
    def kubeconfig(self) -> Path:
        """The cluster's kubeconfig."""
        folder = CHECKOUT / ".cluster"
        return (
            folder / "kubeconfig"
            if self.cluster == "demo"
            else folder / self.cluster / "kubeconfig"
        )

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Run kubectl in the demo's namespace and return what it printed."""
        own = CHECKOUT / ".cluster" / "bin" / "kubectl"
        command = [str(own) if own.exists() else "kubectl", "--namespace", NAMESPACE, *arguments]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(
            command, env=environment, input=text, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        return done.stdout

    def apply(self, manifest: str) -> None:
        """Apply one of the demo's manifests."""
        self.kubectl("apply", "-f", str(HERE / manifest))

    def wait(self, resource: str, phase: str, seconds: int) -> None:
        """Wait for a phase; show the resource where it does not come."""
        try:
            self.kubectl(
                "wait",
                f"--for=jsonpath={{.status.phase}}={phase}",
                resource,
                f"--timeout={seconds}s",
            )
        except SystemExit:
            print(self.kubectl("describe", resource), file=sys.stderr)
            raise

    def psql(self, script: str) -> str:
        """Run a script on the primary as the application's role."""
        primary = self.kubectl("get", "database", DATABASE, "-o", "jsonpath={.status.primary}")
        return self.kubectl(
            "exec", "-i", primary, "-c", "postgres", "--",
            "env", "PGOPTIONS=-c role=shop",
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", "shop",
            text=script,
        )  # fmt: skip

    def checksums(self) -> dict[str, str]:
        """Return each table's rows and checksum by its name."""
        rows = (line.split("|", 1) for line in self.psql(CHECKSUMS).splitlines() if line)
        return {name: value.replace("|", " rows, ") for name, value in rows}


def run(demo: Demo) -> bool:
    """Do all steps; return whether the restored tables equal the lost ones."""
    with demo.step("The Debian packages are there"):
        demo.make("cluster-packages")
    with demo.step("Kubernetes is up, the operator's image is built"):
        demo.make_side_by_side("cluster-up", "docker-build")
    with demo.step("The image is in the cluster"):
        demo.make("cluster-load")
    with demo.step("The operator runs"):
        demo.make("deploy", "install")
    with demo.step("The namespace is empty"):
        demo.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
        demo.apply("namespace.yaml")
    with demo.step("A Database of 3 instances is Ready"):
        demo.apply("database.yaml")
        demo.wait(f"database/{DATABASE}", "Ready", 180)
    print(demo.kubectl("get", "database", DATABASE))
    with demo.step("It holds data: pgbench scale 10, and a table with awkward names"):
        primary = demo.kubectl("get", "database", DATABASE, "-o", "jsonpath={.status.primary}")
        demo.kubectl(
            "exec", primary, "-c", "postgres", "--",
            "env", "PGOPTIONS=-c role=shop", "pgbench", "-i", "-q", "-s", "10", "shop",
        )  # fmt: skip
        demo.psql((HERE / "awkward.sql").read_text())
    with demo.step("Checksums of every table are taken"):
        before = demo.checksums()
    with demo.step("A Backup is Completed"):
        demo.apply("backup.yaml")
        demo.wait("backup/before-the-disaster", "Completed", 300)
    print(demo.kubectl("get", "backup", "before-the-disaster"))
    with demo.step("The disaster: every table is dropped"):
        demo.psql("DROP SCHEMA public CASCADE; DROP SCHEMA \"Sch\u00e4ma 'eins'\" CASCADE;")
        lost = demo.checksums()
    with demo.step("A Restore is Completed"):
        demo.apply("restore.yaml")
        demo.wait("restore/after-the-disaster", "Completed", 600)
    print(demo.kubectl("get", "restore", "after-the-disaster"))
    with demo.step("Checksums are compared"):
        after = demo.checksums()
    return report(demo, before, lost, after)


def report(demo: Demo, before: dict[str, str], lost: dict[str, str], after: dict[str, str]) -> bool:
    """Print the tables, the times and how to go on; return whether all is back."""
    same = bool(before) and not lost and before == after
    print(f"\n{'table':<32} {'before':<48} after")
    for name in sorted(before | after):
        verdict = "the same" if before.get(name) == after.get(name) else after.get(name, "MISSING")
        print(f"{name:<32} {before.get(name, 'NOT THERE'):<48} {verdict}")
    print(f"\n{'step':<68} seconds")
    for name, seconds in demo.steps:
        print(f"{name:<68} {seconds:7.1f}")
    print(f"{'in all':<68} {sum(seconds for _, seconds in demo.steps):7.1f}")
    if not same:
        print("\nFAILED: the restored tables are not the ones that were lost")
        return False
    print(
        f"\nAll {len(before)} tables came back as they were. Go on with:\n"
        f"  export KUBECONFIG={demo.kubeconfig} PATH={CHECKOUT}/.cluster/bin:$PATH\n"
        f"  kubectl -n {NAMESPACE} get databases,backups,restores,pods\n"
        f"  kubectl -n {NAMESPACE} describe database {DATABASE}\n"
        f"and end with: make cluster-down"
    )
    return True


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0])
    parser.add_argument("--cluster", default="demo", help="the cluster's name")
    parser.add_argument("--provider", default="embedded", choices=["embedded", "kind"])
    arguments = parser.parse_args()
    try:
        return 0 if run(Demo(arguments.cluster, arguments.provider)) else 1
    except subprocess.CalledProcessError as error:
        print(f"\nFAILED: {' '.join(error.cmd)} (exit code {error.returncode})", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
