"""The roles' variables are rendered with Ansible's own lookups and filters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible.plugins.loader import init_plugin_loader
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder


@pytest.fixture(scope="module", autouse=True)
def _plugins() -> Iterator[None]:
    """Lookups and filters are found by their full names; afterwards imports are Python's again."""
    init_plugin_loader()
    yield
    _AnsibleCollectionFinder._remove()
