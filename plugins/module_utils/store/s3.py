"""Artifacts in a bucket of an object store that speaks S3.

boto3 does the talking, and its s3transfer the parallel, multipart transfers, in flat memory. An
object appears whole or not at all; the manifest is the last one.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore import exceptions
from botocore.config import Config

from ..errors import (
    BackupLocationMissing,
    ChecksumMismatch,
    InvalidInput,
    NoSpace,
    OperatorError,
    SecretMissing,
    StoreDenied,
    StoreUnreachable,
)
from ..uids import is_uuid
from .filesystem import store_errors
from .protocol import MANIFEST_NAMES, LimitedSink, Location, Sink, find_finished, the_manifest

CREDENTIALS = ("accessKeyId", "secretAccessKey")
"""Keys of the Secret; a third, sessionToken, is optional."""

_MEBIBYTE = 1024 * 1024
_PART = 8 * _MEBIBYTE
_DELETIONS = 8
"""At the same time."""

_DEFAULT_REGION = "us-east-1"
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "XAdminAccessDenied",
        "XAdminUserNotFound",
    }
)
_FULL = frozenset(
    {"InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"}
)


@dataclass(frozen=True)
class S3Store:
    """A store below a prefix of a bucket.

    Attributes:
        endpoint: an http(s) URL, perhaps with a path; None is Amazon's of the region.
        proxy: the URL of the HTTP proxy to reach it by; None reaches it directly.
        prefix: names with slashes between them; may be empty.
        credentials_folder: has the files that CREDENTIALS name, each with its value.
        ca_file: certificates that the endpoint's is checked with; None takes the usual ones.
        path_style: whether the bucket is in the URL's path and not in the host's name.
        sse: the server-side encryption to ask for, such as AES256; None asks for none.
        workers: transfers at the same time.
        timeout_seconds: of a connection, and of each wait for bytes.
        attempts: for one request.

    Raises:
        InvalidInput: the prefix might lead elsewhere.
    """

    bucket: str
    credentials_folder: Path = field(repr=False)
    endpoint: str | None = None
    proxy: str | None = None
    region: str | None = None
    prefix: str = ""
    ca_file: Path | None = None
    path_style: bool = False
    sse: str | None = None
    workers: int = 2
    timeout_seconds: float = 20.0
    attempts: int = 5

    def __post_init__(self) -> None:
        parts = self.prefix.split("/") if self.prefix else []
        if any(part in ("", ".", "..") for part in parts):
            raise InvalidInput(
                f"prefix {self.prefix!r} is not valid: write names with single slashes between"
                " them, such as team/backups"
            )

    def describe(self, location: Location) -> str:
        """Its URL, as a status has it."""
        return f"s3://{self.bucket}/{self._key(location)}"

    def is_finished(self, location: Location) -> bool:
        """See ``Store``."""
        return bool(self._manifests(location))

    def exists(self, location: Location) -> bool:
        """See ``Store``: interrupted multipart uploads count."""
        with self._errors(location):
            listed = self._client.list_objects_v2(
                Bucket=self.bucket, Prefix=self._key(location) + "/", MaxKeys=1
            )
            return bool(listed.get("Contents")) or any(self._uploads(location))

    def begin(self, location: Location) -> None:
        """See ``Store``."""
        self.remove(location)

    def put(self, location: Location, name: str, path: Path) -> None:
        """See ``Store``; nothing is believed of it until it was read back."""
        with self._errors(location), self._refusals(location):
            self._transfers.upload(
                str(path), self.bucket, self._key(location, name), self._extra
            ).result()

    def finish(self, location: Location, name: str, manifest: bytes) -> None:
        """See ``Store``."""
        with self._errors(location), self._refusals(location):
            self._client.put_object(
                Bucket=self.bucket, Key=self._key(location, name), Body=manifest, **self._extra
            )

    def remove(self, location: Location) -> bool:
        """See ``Store``; aborts multipart uploads first, whose parts are not listed."""
        with self._errors(location):
            found = False
            for upload in self._uploads(location):
                found = True
                self._client.abort_multipart_upload(
                    Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
            keys = set(self._keys(location))
            manifests = keys & {self._key(location, name) for name in MANIFEST_NAMES}
            for group in (manifests, keys - manifests):
                self._delete(group)
            return found or bool(keys)

    def list_unfinished(
        self, namespace: str, database: str, is_file_name: Callable[[str], bool]
    ) -> dict[str, datetime]:
        """See ``Store``; interrupted multipart uploads count."""
        folder = "/".join(part for part in (self.prefix, namespace, database) if part) + "/"
        kept, changed = set(), dict[str, datetime]()
        with self._errors(f"{namespace}/{database}"):
            objects = self._list("list_objects_v2", "Contents", folder)
            uploads = self._list("list_multipart_uploads", "Uploads", folder)
            for entry in itertools.chain(objects, uploads):
                uid, _, name = entry["Key"].removeprefix(folder).partition("/")
                if not is_uuid(uid):
                    continue
                # A manifest that is still an upload is none yet.
                is_begun = name in MANIFEST_NAMES and "UploadId" in entry
                if not is_begun and not is_file_name(name):
                    kept.add(uid)
                moment = entry.get("LastModified") or entry["Initiated"]
                changed[uid] = max(moment, changed.get(uid, moment))
        return {uid: moment for uid, moment in changed.items() if uid not in kept}

    def list_finished(self, namespace: str = "", database: str = "") -> list[Location]:
        """See ``Store``; asks for the manifests only, however many files there are."""
        with self._errors("listing"):
            return find_finished(self, self._folder_names, namespace, database)

    def read_manifest(self, location: Location, limit: int) -> bytes:
        """See ``Store``."""
        name = the_manifest(
            location,
            self._manifests(location),
            f"there is no finished backup at {self.describe(location)} of {self._host}:"
            " it was removed or never completed, or the destination is another one",
        )
        content = LimitedSink(f"the manifest of backup {location}", limit)
        self.read(location, name, content)
        return bytes(content.data)

    def file_names(self, location: Location) -> set[str]:
        """See ``Store``."""
        start = len(self._key(location)) + 1
        with self._errors(location):
            return {key[start:] for key in self._keys(location)}.difference(MANIFEST_NAMES)

    def put_file(self, location: Location, name: str, path: Path) -> None:
        """See ``Store``; the server is given a checksum of what it has to receive."""
        with path.open("rb") as file:
            # What S3 calls Content-MD5: against mistakes on the way, not against deliberate ones.
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
            file.seek(0)
            with self._errors(location), self._refusals(location):
                self._client.put_object(
                    Bucket=self.bucket,
                    Key=self._key(location, name),
                    Body=file,
                    ContentMD5=base64.b64encode(digest).decode(),
                    **self._extra,
                )

    def files(self, location: Location, beginning: str = "") -> Iterator[tuple[str, int]]:
        """See ``Store``."""
        start = len(self._key(location)) + 1
        prefix = f"{self._key(location)}/{beginning}"
        with self._errors(location):
            for entry in self._list("list_objects_v2", "Contents", prefix):
                yield entry["Key"][start:], int(entry["Size"])

    def stored_time(self, location: Location, name: str) -> datetime:
        """See ``Store``."""
        with self._errors(location):
            found = self._client.head_object(Bucket=self.bucket, Key=self._key(location, name))
            moment: datetime = found["LastModified"]
            return moment

    def folders(self, location: Location, *parents: str) -> list[str]:
        """See ``Store``."""
        with self._errors(location):
            return sorted(
                self._folder_names(location.namespace, location.database, location.uid, *parents)
            )

    def remove_files(self, location: Location, names: Iterable[str]) -> None:
        """See ``Store``."""
        with self._errors(location):
            self._delete({self._key(location, name) for name in names})

    def read(self, location: Location, name: str, sink: Sink) -> None:
        """See ``Store``; what breaks off is taken up where it broke off, a bounded number of times.

        s3transfer is not used here: into a sink that cannot seek it repeats bytes when it tries
        again.
        """
        try:
            with self._errors(location):
                self._read(self._key(location, name), sink)
        except BackupLocationMissing as error:
            raise ChecksumMismatch(
                f"{name} of backup {self.describe(location)} is missing: use another backup"
            ) from error

    def _read(self, key: str, sink: Sink) -> None:
        offset = 0
        for attempt in range(1, self.attempts + 1):
            part = {"Range": f"bytes={offset}-"} if offset else {}
            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=key, **part)
                for chunk in answer["Body"].iter_chunks(_MEBIBYTE):
                    sink.write(chunk)
                    offset += len(chunk)
                return
            except (exceptions.HTTPClientError, exceptions.IncompleteReadError):
                if attempt == self.attempts:
                    raise

    @property
    def _host(self) -> str:
        host = self.endpoint or f"Amazon S3 in {self.region or _DEFAULT_REGION}"
        return f"{host} by proxy {self.proxy}" if self.proxy else host

    @property
    def _extra(self) -> dict[str, Any]:
        return {"ServerSideEncryption": self.sse} if self.sse else {}

    def _key(self, location: Location, name: str = "") -> str:
        return "/".join(part for part in (self.prefix, str(location), name) if part)

    def _manifests(self, location: Location) -> list[str]:
        with self._errors(location):
            start = len(self._key(location)) + 1
            found = {key[start:] for key in self._keys(location, "manifest.json")}
        return [name for name in MANIFEST_NAMES if name in found]

    def _keys(self, location: Location, name: str = "") -> Iterator[str]:
        prefix = f"{self._key(location)}/{name}"
        return (entry["Key"] for entry in self._list("list_objects_v2", "Contents", prefix))

    def _uploads(self, location: Location) -> Iterator[dict[str, Any]]:
        return self._list("list_multipart_uploads", "Uploads", self._key(location) + "/")

    def _folder_names(self, *parents: str) -> list[str]:
        """The names between a prefix and the next slash."""
        prefix = "".join(f"{part}/" for part in (self.prefix, *parents) if part)
        found = self._list("list_objects_v2", "CommonPrefixes", prefix, Delimiter="/")
        return [entry["Prefix"].removeprefix(prefix).removesuffix("/") for entry in found]

    def _list(
        self, operation: str, what: str, prefix: str, **options: str
    ) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator(operation).paginate(
            Bucket=self.bucket, Prefix=prefix, **options
        )
        for page in pages:
            yield from page.get(what, [])

    def _delete(self, keys: set[str]) -> None:
        """One by one: deleting in bulk needs checksums that not every server knows."""

        def delete(key: str) -> None:
            self._client.delete_object(Bucket=self.bucket, Key=key)

        with ThreadPoolExecutor(_DELETIONS) as pool:
            for _ in pool.map(delete, sorted(keys)):
                pass

    @cached_property
    def _client(self) -> Any:
        key_id, secret = (self._credential(name) for name in CREDENTIALS)
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region or _DEFAULT_REGION,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=self._credential("sessionToken", optional=True),
            verify=self._certificates(),
            config=Config(
                connect_timeout=self.timeout_seconds,
                read_timeout=self.timeout_seconds,
                retries={"mode": "standard", "total_max_attempts": self.attempts},
                max_pool_connections=2 * self.workers + _DELETIONS,
                s3={"addressing_style": "path" if self.path_style else "auto"},
                # What the destination says, not the surroundings.
                ignore_configured_endpoint_urls=True,
                proxies={"http": self.proxy, "https": self.proxy} if self.proxy else {},
                # Checksums in trailers are refused by servers that do not know them. Whatever is
                # stored is read back, and compared by SHA-256.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    @cached_property
    def _transfers(self) -> Any:
        config = TransferConfig(
            multipart_threshold=2 * _PART,
            multipart_chunksize=_PART,
            max_concurrency=self.workers,
            preferred_transfer_client="classic",
        )
        return create_transfer_manager(self._client, config)

    def _certificates(self) -> str | None:
        if self.ca_file and not self.ca_file.is_file():
            raise SecretMissing(
                f"the certificates {self.ca_file} are missing: the Secret that caSecretRef names"
                " needs the key ca.crt"
            )
        return str(self.ca_file) if self.ca_file else None

    def _credential(self, name: str, optional: bool = False) -> str | None:
        try:
            value = (self.credentials_folder / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            value = ""
        if not value and not optional:
            raise SecretMissing(
                f"the credentials of the store have no {name}: the Secret that"
                f" credentialsSecretRef names needs the keys {' and '.join(CREDENTIALS)}"
            )
        return value or None

    @contextmanager
    def _errors(self, location: Location | str) -> Iterator[None]:
        """Give what boto3 raises in the block a reason, and say where it happened."""
        where = f"{self._host}, bucket {self.bucket}"
        # The outer one is for local files. Some of botocore's errors are OSErrors too.
        with store_errors(f"transferring backup {location}"):
            try:
                yield
            except exceptions.ClientError as error:
                raise self._client_error(error, where) from error
            except exceptions.FlexibleChecksumError as error:
                raise ChecksumMismatch(
                    f"{where}: what came of backup {location} is not what was stored: {error}"
                ) from error
            except exceptions.BotoCoreError as error:
                raise StoreUnreachable(f"{where}: {error}; {_advice(error)}") from error

    @contextmanager
    def _refusals(self, location: Location) -> Iterator[None]:
        """Have a server that hung up on an upload say why: it may refuse before it read the body.

        Its answer is lost then. A request without a body gets the same one and can read it.
        """
        try:
            yield
        except exceptions.BotoCoreError:
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._key(location), MaxKeys=1)
            raise

    def _client_error(self, error: Any, where: str) -> OperatorError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        problem = f"{where}: {error}"
        if code == "NoSuchBucket":
            return BackupLocationMissing(
                f"{where}: there is no such bucket; create it, or correct destination.s3.bucket"
            )
        if code in _FULL or status == 507:
            return NoSpace(f"{problem}; make room in the bucket or raise its quota")
        if code in _DENIED or status in (401, 403):
            return StoreDenied(
                f"{problem}; check the credentials, and that they may list, read, write and delete"
                f" below {self.prefix or 'the root'} of the bucket"
            )
        if status == 404:
            return BackupLocationMissing(f"{problem}; it was removed, or the bucket is another one")
        return StoreUnreachable(f"{problem}; try again later")


def _advice(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "let caSecretRef name a Secret whose ca.crt signed the server's certificate"
    return "check the endpoint and the network, and try again"
