"""Encryption of files in the age format (age-encryption.org/v1), authenticated and in chunks.

The work is done by the Rust implementation of age, file to file, in flat memory and outside of
Python's lock. Anybody with the key can decrypt with the program ``age``, without this project.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyrage

from ..errors import ChecksumMismatch, EncryptionKeyWrong, SecretMissing
from .protocol import ENCRYPTED_SUFFIX

HEADER = b"age-encryption.org/v1\n"
"""What every file in the age format begins with."""

_SYSTEM_ERROR = " (os error "
_NO_KEY_FITS = "No matching keys found"


@dataclass(frozen=True)
class EncryptionKey:
    """X25519 identities as ``age-keygen`` writes them, one per line; ``#`` begins a comment.

    Attributes:
        identity_file: the file with them. The first one encrypts, each of them decrypts.
    """

    identity_file: Path

    @cached_property
    def _identities(self) -> list[Any]:
        try:
            lines = self.identity_file.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SecretMissing(
                f"the encryption key {self.identity_file} cannot be read: put what age-keygen"
                " writes into the Secret, under the key identity"
            ) from error
        keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        try:
            identities = [pyrage.x25519.Identity.from_str(key) for key in keys]
        except pyrage.IdentityError:
            identities = []
        # Not the library's words: they may quote the key.
        if not identities:
            raise SecretMissing(
                f"the encryption key {self.identity_file} is not one: each line must be an age"
                " identity, AGE-SECRET-KEY-1..., as age-keygen writes it"
            )
        return identities

    def check(self) -> None:
        """Find out whether there is a usable key.

        Raises:
            SecretMissing
        """
        assert self._identities

    def encrypt_file(self, path: Path, folder: Path) -> Path:
        """Write an encrypted copy of a file into a folder; its name ends with .age.

        Raises:
            OSError
        """
        target = folder / (path.name + ENCRYPTED_SUFFIX)
        try:
            pyrage.encrypt_file(str(path), str(target), [self._identities[0].to_public()])
        except pyrage.EncryptError as error:
            # The library hides which error it was; a full disk is the one that is to be expected.
            raise _as_os_error(error) from error
        return target

    def decrypt_file(self, path: Path, target: Path) -> None:
        """Write a decrypted copy of a file.

        Raises:
            ChecksumMismatch, EncryptionKeyWrong; OSError.
        """
        try:
            pyrage.decrypt_file(str(path), str(target), self._identities)
        except pyrage.DecryptError as error:
            raise _decryption_error(error, path.name) from error
        except OSError as error:
            # The library raises it, without a number, also for what was altered.
            if error.errno is None:
                raise _decryption_error(error, path.name) from error
            raise

    def encrypt(self, content: bytes) -> bytes:
        """Encrypt a small text."""
        return bytes(pyrage.encrypt(content, [self._identities[0].to_public()]))

    def decrypt(self, content: bytes, name: str) -> bytes:
        """Decrypt a small text.

        Raises:
            ChecksumMismatch, EncryptionKeyWrong
        """
        try:
            return bytes(pyrage.decrypt(content, self._identities))
        except (pyrage.DecryptError, OSError) as error:
            raise _decryption_error(error, name) from error


def _as_os_error(error: Exception) -> OSError:
    text, _, number = str(error).rpartition(_SYSTEM_ERROR)
    return OSError(int(number.rstrip(")")) if text else errno.EIO, text or str(error))


def _decryption_error(error: Exception, name: str) -> Exception:
    if _SYSTEM_ERROR in str(error):
        return _as_os_error(error)
    if str(error) == _NO_KEY_FITS:
        return EncryptionKeyWrong(
            f"{name} was encrypted for another key: add the one of that time to the Secret's"
            " identity, a line below the first"
        )
    return ChecksumMismatch(f"{name} is not what was encrypted: {error}; use another backup")
