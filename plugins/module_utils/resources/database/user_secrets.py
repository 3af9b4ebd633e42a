"""The Secrets with the passwords of a Database's users: of the operator, or named in the spec."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from ...kube.client import ApiError, Cluster, Object
from ...kube.objects import MANAGED_BY
from .secrets import (
    SecretInvalid,
    SecretMissing,
    complete_secret,
    is_ours,
    read_authorities,
    read_key,
    secret_manifest,
    service_binding,
)
from .users import User

_PASSWORD_BYTES = 24
_USER_ANNOTATION = "database.example.com/user"
# The parts of an object's name between its dots.
_PARTS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True)
class UserSecrets:
    """Gives each user's password.

    Attributes:
        authorities: the certificates by which the server is known, as a key of a Secret.
    """

    cluster: Cluster
    database: Object
    authorities: dict[str, str]

    @classmethod
    def of(cls, cluster: Cluster, database: Object) -> UserSecrets:
        """Read what all of them have."""
        return cls(cluster, database, read_authorities(cluster, database))

    def ensure(self, user: User) -> tuple[str, bool]:
        """Return a user's password, and whether a Secret was written.

        Raises:
            SecretMissing: the Secret that the spec names does not exist.
            SecretInvalid: it cannot be used.
            ApiError: the API server refused or was not reached.
        """
        if user.secret is not None:
            return _usable(self._read_named(user.name, *user.secret), user.secret[0]), False
        name = user_secret_name(self.database["metadata"]["name"], user.name)
        found = self._get(name)
        if found is None:
            return self._create(name, user.name), True
        if not self._is_own(found, user.name):
            raise SecretInvalid(
                f"Secret {name} exists and was not made for this user, so it is not used; write"
                f" passwordSecretRef: {{name: {name}}} if its password is to be used, or delete it"
            )
        password = _usable(read_key(found, "password"), name)
        wanted = service_binding(self.database, user.name, password) | self.authorities
        data = found["data"]
        missing = {k: v for k, v in wanted.items() if k not in data or read_key(found, k) != v}
        return password, complete_secret(self.cluster, self.database, found, missing)

    def _create(self, name: str, user: str) -> str:
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        data = service_binding(self.database, user, password) | self.authorities
        try:
            self.cluster.create(
                secret_manifest(self.database, name, data, {_USER_ANNOTATION: user})
            )
        except ApiError as error:
            if error.status != 409:
                raise
            raise SecretInvalid(
                f"Secret {name} was created by another program meanwhile; it is read again"
            ) from error
        return password

    def _read_named(self, user: str, name: str, key: str) -> str:
        """Return the password in a Secret that the spec names.

        Only one that says that it is for this user: who may write a Database may not be allowed to
        read each Secret of the namespace, and could try out passwords with what the server has.
        """
        found = self._get(name)
        if found is None:
            raise SecretMissing(
                f"Secret {name} does not exist; create it with the keys username ({user}) and {key}"
            )
        if is_ours(found):
            raise SecretInvalid(
                f"Secret {name} is one that the operator has made; create another one with the keys"
                f" username ({user}) and {key}, or leave passwordSecretRef out"
            )
        if "username" not in (found.get("data") or {}) or read_key(found, "username") != user:
            raise SecretInvalid(
                f"Secret {name} is not for this user; give it a key username whose value is {user}"
            )
        return read_key(found, key)

    def _is_own(self, found: Object, user: str) -> bool:
        labels = {**MANAGED_BY, "database": self.database["metadata"]["name"]}
        metadata = found["metadata"]
        made_for = (metadata.get("annotations") or {}).get(_USER_ANNOTATION)
        return (metadata.get("labels") or {}).items() >= labels.items() and made_for == user

    def _get(self, name: str) -> Object | None:
        return self.cluster.get("v1", "Secret", self.database["metadata"]["namespace"], name)


def _usable(password: str, secret: str) -> str:
    """Return a password that a server can compare; nothing can send it a NUL."""
    if "\0" in password:
        raise SecretInvalid(f"the password in Secret {secret} has a NUL in it; write another one")
    return password


def user_secret_name(database: str, user: str) -> str:
    """Return the name of the Secret that is made for a user.

    No name of a Database has a dot, nor has any other Secret of one, and a name that is written out
    has no dot of its own and does not start with a digit: so no two users have the same, of one
    Database or of two.

    >>> user_secret_name("app", "read_only")
    'app-user.read.only'
    >>> user_secret_name("app", "ReadOnly")
    'app-user.0-9b4ef9a9ff63'
    >>> user_secret_name("app", "read.only")
    'app-user.0-6852482fb580'
    """
    readable = user.replace("_", ".")
    if _PARTS.fullmatch(readable) and "." not in user and not user[0].isdigit():
        return f"{database}-user.{readable}"
    return f"{database}-user.0-{hashlib.sha256(user.encode()).hexdigest()[:12]}"
