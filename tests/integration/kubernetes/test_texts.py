"""Whatever text is written into a field: the API server refuses the field, or keeps the text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from custom_resources import Create
from kubernetes.client.exceptions import ApiException
from string_fields import KEY, KINDS, SPECS, TEXTS, Path_, field_id, spec_with, string_fields


def value_at(document: Any, path: Path_, text: str) -> Any:
    for step in path:
        document = text if step == KEY and text in document else document[step]
    return document


@pytest.mark.parametrize("kind", KINDS)
def test_the_specs_are_valid_but_for_the_text(create: Create, name: str, kind: str) -> None:
    """Else a refusal below would say nothing."""
    for spec in SPECS[kind]:
        create(kind, name, spec, dry_run="All")


@pytest.mark.parametrize(
    ("kind", "path"),
    [(kind, path) for kind in KINDS for path in string_fields(kind)],
    ids=field_id,
)
def test_a_field(create: Create, name: str, kind: str, path: Path_) -> None:
    for text in TEXTS.values():
        spec = spec_with(kind, path, text)
        try:
            created = create(kind, name, spec, dry_run="All")
        except ApiException as error:
            assert error.status == 422, error.body
            causes = json.loads(error.body)["details"]["causes"]
            assert any(names(cause["field"], path) for cause in causes), error.body
        else:
            assert value_at(created, path, text) == text


def names(field: str, path: Path_) -> bool:
    """Return whether a refusal is of this field.

    Of a map's key or value, that of the map is; of a name that is one of another list, that of the
    list is.
    """
    steps = [str(step) for step in path if not isinstance(step, int) and step not in {KEY, "any"}]
    found = field.replace("[0]", "").replace("[any]", ".any")
    in_list = found in {"spec.databases", "spec.users"} and steps[-1] in {"owner", "memberOf"}
    return found.startswith(".".join(steps)) or (in_list and path[1] == found.split(".")[1])
