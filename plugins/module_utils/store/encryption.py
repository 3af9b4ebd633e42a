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

from ..errors import ChecksumMismatch, EncryptionKeyWrong, InvalidInput, SecretMissing
from .protocol import ENCRYPTED_SUFFIX

HEADER = b"age-encryption.org/v1\n"
"""What every file in the age format begins with."""

_SYSTEM_ERROR = " (os error "
_NO_KEY_FITS = "No matching keys found"


def parse_identities(text: str, where: str) -> list[Any]:
    """Read X25519 identities as ``age-keygen`` writes them, one per line; ``#`` begins a comment.

    Args:
        where: what the text is from, for people.

    Raises:
        SecretMissing: it holds none, or something else.
    """
    lines = text.split("\n")
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    try:
        identities = [pyrage.x25519.Identity.from_str(key) for key in keys]
    except pyrage.IdentityError:
        identities = []
    # Not the library's words: they may quote the key.
    if not identities:
        raise SecretMissing(
            f"the encryption key {where} is not valid: each line must be an age identity,"
            " AGE-SECRET-KEY-1..., as age-keygen writes it"
        )
    return identities


def first_recipient(text: str, where: str) -> str:
    """Return the public key, age1..., of the first of the identities that a text holds.

    Raises:
        SecretMissing: it holds none.
    """
    return str(parse_identities(text, where)[0].to_public())


@dataclass(frozen=True)
class EncryptionKey:
    """What encrypts, and what decrypts.

    Attributes:
        identity_file: identities, see ``parse_identities``; each of them decrypts. None where
            nothing is to be decrypted.
        recipients: the public keys to encrypt for, age1...; the identity of each one decrypts.
            Without them the public key of the first identity is the one.
    """

    identity_file: Path | None = None
    recipients: tuple[str, ...] = ()

    @cached_property
    def _identities(self) -> list[Any]:
        if self.identity_file is None:
            return []
        try:
            text = self.identity_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SecretMissing(
                f"the encryption key {self.identity_file} cannot be read: put what age-keygen"
                " writes into the Secret, under the key identity"
            ) from error
        return parse_identities(text, str(self.identity_file))

    @cached_property
    def _recipients(self) -> list[Any]:
        if not self.recipients:
            return [self._identities[0].to_public()]
        found = []
        for number, recipient in enumerate(self.recipients, 1):
            try:
                found.append(pyrage.x25519.Recipient.from_str(recipient))
            except pyrage.RecipientError:
                # Not the library's words: a private key may have been given by mistake.
                raise InvalidInput(
                    f"recipient {number} of {len(self.recipients)} is not a public key of age:"
                    " copy the word that age-keygen prints after 'public key:', age1..., whole"
                ) from None
        return found

    def check(self) -> None:
        """Find out whether there is a usable key.

        Raises:
            SecretMissing: an identity is not one.
            InvalidInput: a recipient is not one.
        """
        assert self._recipients or self._identities

    @property
    def public_keys(self) -> list[str]:
        """Those that it encrypts for."""
        return [str(recipient) for recipient in self._recipients]

    def encrypt_file(self, path: Path, folder: Path) -> Path:
        """Write an encrypted copy of a file into a folder; its name ends with .age.

        Raises:
            OSError
        """
        target = folder / (path.name + ENCRYPTED_SUFFIX)
        try:
            pyrage.encrypt_file(str(path), str(target), self._recipients)
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
        return bytes(pyrage.encrypt(content, self._recipients))

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
            f"{name} was encrypted for another key: none of the identities in the Secret belongs"
            " to a recipient of that time; add the one that does, a line below the first"
        )
    return ChecksumMismatch(f"{name} is not what was encrypted: {error}; use another backup")
