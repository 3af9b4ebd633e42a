"""What of a Database's users and databases could not be made as the spec says, entry by entry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from ...errors import OperatorError
from ...kube.client import ApiError
from ...postgres.errors import without_values


@dataclass
class Differences:
    """Gathers them; one entry that fails does not keep the others from being made.

    Attributes:
        changed: whether anything was written.
        messages: what differs still, each with its entry.
    """

    changed: bool = False
    messages: list[str] = field(default_factory=list)

    def add(self, entry: str, message: str) -> None:
        """Note what is not as an entry says."""
        self.messages.append(f"{entry}: {message}")

    @contextmanager
    def of(self, entry: str, advice: str = "") -> Iterator[None]:
        """Note why the block failed, unless that is no matter of the entry.

        Args:
            advice: what to do where PostgreSQL does not drop something that others depend on.

        Raises:
            psycopg.Error: the session has ended, or the server is not the primary any more.
            ApiError: the API server refused or was not reached.
        """
        try:
            yield
        except psycopg.Error as error:
            if _is_of_the_server(error):
                raise
            depends = isinstance(error, psycopg.errors.DependentObjectsStillExist)
            self.add(entry, _say(error) + (f"; {advice}" if advice and depends else ""))
        except ApiError:
            raise
        except OperatorError as error:
            self.add(entry, error.message)


def _is_of_the_server(error: psycopg.Error) -> bool:
    """Return whether the session has ended, or the server takes no writes, for any entry."""
    state = error.sqlstate
    return state is None or state.startswith(("08", "57P")) or state == "25006"


def _say(error: psycopg.Error) -> str:
    return " ".join(without_values(str(error)).split())
