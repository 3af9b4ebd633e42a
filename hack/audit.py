"""Looks for known vulnerabilities in what is pinned, and reports what could not be checked.

    python3 hack/audit.py --pip-audit PROGRAM --operator PROGRAM

pip-audit asks PyPI about each package of requirements/*.txt, govulncheck the Go vulnerability
database about the modules of ansible-operator. Ends with 1 where there is a vulnerability, and with
2 where something could not be asked: that is no clean result.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
GOVULNCHECK = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
# What govulncheck ends with where it has found something.
FOUND = 3


@dataclass
class Findings:
    """What was found, and what could not be asked about: a line for each."""

    vulnerable: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [str(word) for word in command], text=True, capture_output=True, check=False
    )


def read_pip_audit(name: str, printed: str, error: str) -> Findings:
    """What pip-audit said of one file.

    >>> text = '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]},'
    >>> text += ' {"name": "b", "skip_reason": "not found"}]}'
    >>> read_pip_audit("x.txt", text, "")
    Findings(vulnerable=['x.txt: a 1: CVE-1'], unknown=['x.txt: b: not found'])
    """
    findings = Findings()
    try:
        dependencies = json.loads(printed)["dependencies"]
    except (ValueError, KeyError):
        findings.unknown.append(f"{name}: {last_line(error)}")
        return findings
    for each in dependencies:
        if "skip_reason" in each:
            findings.unknown.append(f"{name}: {each['name']}: {each['skip_reason']}")
        findings.vulnerable += [
            f"{name}: {each['name']} {each['version']}: {fault['id']}"
            for fault in each.get("vulns", ())
        ]
    return findings


def audit_python(program: Path) -> Findings:
    """Ask about the Python packages."""
    findings = Findings()
    for path in sorted(REQUIREMENTS.glob("*.txt")):
        done = run([program, "--no-deps", "--disable-pip", "--format=json", "--requirement", path])
        found = read_pip_audit(path.name, done.stdout, done.stderr)
        findings.vulnerable += found.vulnerable
        findings.unknown += found.unknown
    return findings


def audit_go(operator: Path) -> Findings:
    """Ask about the Go modules of a program."""
    done = run(["go", "run", GOVULNCHECK, "-mode=binary", operator])
    # `go run` ends with 1 for whatever its program ended with.
    status = FOUND if f"exit status {FOUND}" in done.stderr else done.returncode
    if status == FOUND:
        lines = [line for line in done.stdout.splitlines() if line.startswith("Vulnerability #")]
        return Findings(
            vulnerable=[f"{operator.name}: {line}" for line in lines or ["see govulncheck"]]
        )
    if status:
        error = done.stderr.replace("exit status 1", "").strip()
        return Findings(unknown=[f"{operator.name}: {last_line(error)}"])
    return Findings()


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


def main() -> int:
    """Ask about everything; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pip-audit", type=Path, required=True)
    parser.add_argument("--operator", type=Path, required=True, help="ansible-operator, as built")
    options = parser.parse_args()
    found = [audit_python(options.pip_audit), audit_go(options.operator)]
    vulnerable = [line for each in found for line in each.vulnerable]
    unknown = [line for each in found for line in each.unknown]
    for line in vulnerable:
        print(f"VULNERABLE  {line}")
    for line in unknown:
        print(f"NOT ASKED   {line}")
    print(f"{len(vulnerable)} vulnerabilities, {len(unknown)} could not be asked about")
    if vulnerable:
        return 1
    return 2 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
