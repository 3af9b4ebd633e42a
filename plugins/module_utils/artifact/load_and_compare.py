"""Restores an artifact into an empty database and compares that with the manifest."""

from __future__ import annotations

from dataclasses import replace

from ..postgres.cancellation import Cancellation
from .artifact import Artifact
from .compare import compare_content, compare_views, tables_tally
from .load_contents import LoadRequest, load_contents
from .load_progress import LoadProgress
from .progress import Progress
from .readers import Readers


def load_and_compare(request: LoadRequest, progress: Progress, with_statistics: bool) -> Artifact:
    """Load all that was asked for, compare every row, and give everything to its owner.

    Args:
        with_statistics: whether the planner gets its statistics, beside the comparison.

    Returns:
        The artifact as if it held just what was loaded.

    Raises:
        OperatorError: as ``load_contents``; ``request.failure`` too where the contents differ.
    """
    # The server that the roles are on.
    here = request.parameters.at(request.roles.server.hostaddr)
    request = replace(request, parameters=here)
    figures = LoadProgress(request.parameters, request.artifact.manifest)
    with progress.step("Restoring into it", figures.text):
        loaded = load_contents(request)
    manifest = loaded.artifact.manifest
    readers = Readers(request.roles, request.parameters.dbname, request.as_superuser)
    tally, cancellation = tables_tally(), Cancellation()
    with progress.step("Comparing it with the manifest", tally.text):
        compare_content(
            request.parameters,
            readers,
            manifest,
            request.jobs,
            cancellation,
            request.failure,
            loaded.analyses(cancellation) if with_statistics else (),
            tally,
        )
    with progress.step("Giving everything to its owner"):
        loaded.hand_over()
        compare_views(request.parameters, manifest, request.failure)
    return loaded.artifact
