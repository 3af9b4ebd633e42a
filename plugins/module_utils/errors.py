"""The project's errors: each class is one reason that a condition or a Job's result can carry.

The name of the class is the reason (CamelCase, part of the API), the message names the object
that is concerned and the next step. Nothing here knows PostgreSQL, Kubernetes or Ansible.
"""

from __future__ import annotations

from .printable import printable


class OperatorError(Exception):
    """Root of all errors that the project raises on purpose.

    Attributes:
        reason: the reason of a condition: the name of the class unless it sets another one.
        message: shown to people in conditions, events and logs: no secrets in it, and one line.
        may_pass: whether the same may succeed later though nothing was corrected.
    """

    reason = "OperatorError"
    may_pass = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = printable(message)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "reason" not in cls.__dict__:
            cls.reason = cls.__name__


class ArchiveConflict(OperatorError):
    """An archive of WAL has other content than what was to be put there, or another server's."""


class ArchiveMissing(OperatorError):
    """There is no archive of WAL at the location."""


class AuthFailed(OperatorError):
    """The server refused the user or the password."""


class BackupFailed(OperatorError):
    """A backup failed for a reason that has no name of its own."""


class BackupLocationMissing(OperatorError):
    """There is no finished artifact (one with a manifest) at the location."""


class ChecksumMismatch(OperatorError):
    """The artifact is not what its manifest says."""


class DatabaseGone(OperatorError):
    """The server had the Database's own database, and has it no more."""


class DatabaseNotEmpty(OperatorError):
    """There is data where something new was to be made."""


class DatabaseInUse(OperatorError):
    """A database has what keeps it from being replaced, or would stay in the replaced one."""


class DatabaseNotFound(OperatorError):
    """The server has no database of that name."""


class DatabaseNotReady(OperatorError):
    """The server cannot be reached, is starting, shutting down or read-only."""

    may_pass = True


class EncryptionKeyWrong(OperatorError):
    """The key does not open the artifact."""


class IncompatibleVersion(OperatorError):
    """The artifact cannot be restored by this version of the server or of the project."""


class InvalidInput(OperatorError):
    """A value that was handed in can never work."""


class Locked(OperatorError):
    """Another run holds the lock of the database."""


class NoSpace(OperatorError):
    """A disk is full: the server's or the store's; the message says which."""


class NotEnoughRoom(OperatorError):
    """A disk has less free room than is needed; the message has the figures."""


class OutOfMemory(OperatorError):
    """The kernel ended a process, or a container, that needed more memory than it may use."""


class PointInTimeOutOfRange(OperatorError):
    """A moment that the backup and the archive after it do not reach."""


class RestoreFailed(OperatorError):
    """A restore failed for a reason that has no name of its own; the live database is untouched."""


class ScheduleInvalid(OperatorError):
    """A cron expression that is not one, or never comes true."""


class ScriptFailed(OperatorError):
    """A script of SQL failed for a reason that has no name of its own."""


class SecretMissing(OperatorError):
    """A file that a Secret should have provided is missing or unusable."""


class ServerVersionUnsupported(OperatorError):
    """Client programs and server do not fit together."""


class StoreDenied(OperatorError):
    """The store refuses access."""


class StoreUnreachable(OperatorError):
    """The store cannot be reached or fails."""

    may_pass = True


class TimeZoneUnknown(OperatorError):
    """There is no time zone of that name."""


class Timeout(OperatorError):
    """Something that had to happen within a limit did not."""

    may_pass = True


class NoConnectionFree(DatabaseNotReady):
    """All connections of the server are in use that the role may have."""

    reason = DatabaseNotReady.reason


class LockCycle(Timeout):
    """A run waits for a session that waits for the run; PostgreSQL does not see it."""

    reason = Timeout.reason


class VerificationFailed(OperatorError):
    """A backup that was read back could not be restored and compared, or differs when it is."""


class WalMissing(OperatorError):
    """A segment of WAL is missing in an archive that has later ones."""


MAY_PASS = frozenset(error.reason for error in OperatorError.__subclasses__() if error.may_pass)
"""The reasons for which a Backup with `retry` is tried again."""

LACKS_ROOM = frozenset({NoSpace.reason, NotEnoughRoom.reason})
"""The reasons of what failed for lack of room."""
