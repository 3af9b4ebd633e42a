"""How pg_dump compresses, and what its versions can do."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidInput, ServerVersionUnsupported
from ..postgres.releases import Version

_LEVELS = {"gzip": (1, 9), "lz4": (1, 12), "zstd": (1, 22)}
METHODS = ("gzip", "lz4", "none", "zstd")
_FIRST_WITH_METHODS = 16
"""Before, pg_dump knows gzip's levels only."""


@dataclass(frozen=True)
class Compression:
    """What was asked for.

    Attributes:
        method: one of METHODS; None is zstd where pg_dump can do it, else gzip.
        level: None is the method's own default.
    """

    method: str | None = None
    level: int | None = None

    def option(self, client: Version) -> str:
        """The value of pg_dump's ``--compress``.

        >>> Compression().option(Version(15, 20)), Compression().option(Version(17, 6))
        ('6', 'zstd')

        Raises:
            InvalidInput: the level does not fit the method.
            ServerVersionUnsupported: this pg_dump does not know the method.
        """
        modern = client.major >= _FIRST_WITH_METHODS
        method = self.method or ("zstd" if modern else "gzip")
        self._check_level()
        if modern:
            return method if self.level is None else f"{method}:{self.level}"
        if method == "none":
            return "0"
        if method != "gzip":
            raise ServerVersionUnsupported(
                f"pg_dump {client} cannot compress with {method}, {_FIRST_WITH_METHODS} is the"
                " first that can: write compression.method gzip, or use a newer PostgreSQL"
            )
        # zlib's own default.
        return str(self.level or 6)

    def _check_level(self) -> None:
        if self.level is None:
            return
        if self.method not in _LEVELS:
            raise InvalidInput("compression.level needs a method: gzip, lz4 or zstd")
        lowest, highest = _LEVELS[self.method]
        if not lowest <= self.level <= highest:
            raise InvalidInput(
                f"compression.level {self.level} is not valid for {self.method}:"
                f" use {lowest} to {highest}"
            )
