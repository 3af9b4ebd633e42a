"""Write docs/reference from the CRDs and the modules' documentation (make generate).

With --check nothing is written, and the exit code is 1 where the files are not what they would be.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
REFERENCE = CHECKOUT / "docs" / "reference"


def resource_pages() -> Iterator[tuple[str, str]]:
    """Yield file name and text of a page for each custom resource."""
    for path in sorted((CHECKOUT / "crds").glob("database.example.com_*.yaml")):
        crd = yaml.safe_load(path.read_text())
        names = crd["spec"]["names"]
        version = crd["spec"]["versions"][0]
        schema = version["schema"]["openAPIV3Schema"]
        lines = [
            f"# {names['kind']}",
            "",
            one_line(schema["description"]),
            "",
            f"`apiVersion: {crd['spec']['group']}/{version['name']}`, short name"
            f" `{names['shortNames'][0]}`. Made from `{path.relative_to(CHECKOUT)}`.",
        ]
        for part in ("spec", "status"):
            properties = schema["properties"][part]
            lines += ["", f"## {part}", "", one_line(properties["description"]), ""]
            lines += ["| field | type | meaning |", "|---|---|---|"]
            lines += list(field_rows(properties, "", part == "status"))
        lines += ["", "## What the API server refuses", ""]
        # Fields of the same kind have the same rules.
        lines += [f"- {message}" for message in dict.fromkeys(rule_messages(schema))]
        yield f"{names['singular']}.md", "\n".join(lines) + "\n"


def field_rows(schema: dict[str, Any], prefix: str, in_status: bool) -> Iterator[str]:
    """Yield a table row for each field, nested ones with their path."""
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        notes = [one_line(field.get("description", ""))]
        # What is required in a status says nothing to its reader.
        if name in required and not in_status:
            notes.append("Required.")
        if not isinstance(field.get("default", {}), dict):
            notes.append(f"Default {value_text(field['default'])}.")
        if limits := limits_text(field):
            notes.append(limits)
        if "enum" in field and field["type"] == "string" and "phase" not in name:
            notes.append("One of " + ", ".join(f"`{value}`" for value in field["enum"]) + ".")
        text = " ".join(note for note in notes if note).replace("|", "\\|")
        yield f"| `{prefix}{name}` | {type_name(field)} | {text} |"
        nested = field.get("items", field)
        if name != "conditions":
            inner = f"{prefix}{name}{'[]' if 'items' in field else ''}."
            yield from field_rows(nested, inner, in_status)


def limits_text(field: dict[str, Any]) -> str:
    """Say how large or small a value may be, or how many of them there may be."""
    if "minimum" in field and "maximum" in field:
        return f"{field['minimum']} to {field['maximum']}."
    if "minimum" in field:
        return f"At least {field['minimum']}."
    if "maxItems" in field or "minItems" in field:
        fewest, most = field.get("minItems", 0), field.get("maxItems")
        return f"At least {fewest}." if most is None else f"{fewest} to {most} of them."
    return ""


def value_text(value: Any) -> str:
    """Write a default as one would write it in YAML."""
    if value == "":
        return "empty"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def type_name(field: dict[str, Any]) -> str:
    """Return a field's type in words."""
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if field["type"] == "array":
        return f"list of {field['items']['type']}"
    return str(field.get("format", field["type"]) if field["type"] == "string" else field["type"])


def rule_messages(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the message of every CEL rule in the schema."""
    for rule in schema.get("x-kubernetes-validations", []):
        yield rule["message"]
    for field in schema.get("properties", {}).values():
        yield from rule_messages(field)
    if "items" in schema:
        yield from rule_messages(schema["items"])


def module_page() -> tuple[str, str]:
    """Return file name and text of the page of all modules."""
    lines = [
        "# Modules",
        "",
        "The modules of the collection `postgres.operator`. Each runs inside the Ansible worker;"
        " its work is in `plugins/module_utils`.",
    ]
    for path in sorted((CHECKOUT / "plugins" / "modules").glob("*.py")):
        texts = constant_texts(path)
        documentation = yaml.safe_load(texts["DOCUMENTATION"])
        lines += ["", f"## {documentation['module']}", ""]
        lines += [f"{one_line(text)}" for text in documentation["description"]]
        lines += ["", "| option | type | meaning |", "|---|---|---|"]
        lines += list(option_rows(all_options(documentation)))
        lines += ["", "```yaml", texts["EXAMPLES"].strip(), "```", ""]
        if returned := yaml.safe_load(texts["RETURN"]):
            lines += ["| returns | type | meaning |", "|---|---|---|", *option_rows(returned)]
    return "modules.md", marked_down("\n".join(lines)).rstrip() + "\n"


def marked_down(text: str) -> str:
    """Write Ansible's markup as Markdown."""
    text = re.sub(r"\b[COV]\(([^)]*)\)", r"`\1`", text)
    return re.sub(r"\bM\(postgres\.operator\.(\w+)\)", r"[\1](#\1)", text)


def all_options(documentation: dict[str, Any]) -> dict[str, Any]:
    """Return a module's options: first those of the fragments that it names, then its own."""
    named = documentation.get("extends_documentation_fragment", [])
    options: dict[str, Any] = {}
    for name in [named] if isinstance(named, str) else named:
        file, _, fragment = name.removeprefix("postgres.operator.").partition(".")
        texts = constant_texts(CHECKOUT / "plugins" / "doc_fragments" / f"{file}.py")
        options |= yaml.safe_load(texts[fragment.upper()])["options"]
    return options | (documentation.get("options") or {})


def option_rows(options: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield a table row for each option or returned value, suboptions with their path."""
    for name, option in options.items():
        description = option["description"]
        words = description if isinstance(description, str) else " ".join(description)
        notes = [one_line(words)]
        if option.get("required"):
            notes.append("Required.")
        if "default" in option:
            notes.append(f"Default {value_text(option['default'])}.")
        text = " ".join(notes).replace("|", "\\|")
        yield f"| `{prefix}{name}` | {option.get('type', 'str')} | {text} |"
        yield from option_rows(option.get("suboptions") or {}, f"{prefix}{name}.")


def constant_texts(path: Path) -> dict[str, str]:
    """Return the texts that a file, or a class in it, gives to names, without importing it."""
    tree = ast.parse(path.read_text())
    return {
        node.targets[0].id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def one_line(text: str) -> str:
    """Return the text without line ends."""
    return " ".join(text.split())


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args().check
    stale = []
    for name, text in [*resource_pages(), module_page()]:
        path = REFERENCE / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(path.relative_to(CHECKOUT)))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for name in stale:
        print(f"{name}: {'out of date; run: make generate' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
