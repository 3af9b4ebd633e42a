"""One client for the Kubernetes API, shared by all modules of a process.

Objects go in and come out as plain dicts in the API's own shape. Reads go to the API server itself
and not to the operator's caching proxy: decisions about data must not use stale reads.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from ..errors import OperatorError
from . import access
from .transport import RefusedError, Transport

FIELD_MANAGER = "postgres-operator"
_MANAGED = {"fieldManager": FIELD_MANAGER}
_MERGE_PATCH = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
GROUP_VERSION = "database.example.com/v1"
_LOG_BYTES = 64 * 1024

Object = dict[str, Any]

# The kinds that the roles use, and their names in a URL: to be asked for these the API server need
# not be asked first what it serves. All are namespaced.
_KNOWN = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Endpoints"): "endpoints",
    ("v1", "Event"): "events",
    ("v1", "PersistentVolumeClaim"): "persistentvolumeclaims",
    ("v1", "Pod"): "pods",
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): "services",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("batch/v1", "Job"): "jobs",
    ("events.k8s.io/v1", "Event"): "events",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("rbac.authorization.k8s.io/v1", "Role"): "roles",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
    (GROUP_VERSION, "Database"): "databases",
    (GROUP_VERSION, "Backup"): "backups",
    (GROUP_VERSION, "Restore"): "restores",
}


class ApiError(OperatorError):
    """The API server refused a request or could not be reached.

    Attributes:
        status: the HTTP status, 0 where there was no answer.
        causes: the reasons in the API server's answer, such as NamespaceTerminating.
    """

    def __init__(self, message: str, status: int = 0, causes: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.status = status
        self.causes = causes


def is_on_pod_network() -> bool:
    """Return whether this process reaches pods by their address.

    For a process outside of the cluster set $POSTGRES_OPERATOR_POD_NETWORK=direct.
    """
    return access.in_cluster() or os.environ.get("POSTGRES_OPERATOR_POD_NETWORK") == "direct"


class Cluster:
    """Read and write objects of one cluster.

    Every method raises ApiError; `get` and `delete` take a missing object for a normal answer.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        # Where kinds are served that are not known beforehand.
        self._discovered: dict[tuple[str, str], tuple[str, bool]] = {}

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Object | None:
        """Return the object, or None where there is none of that name."""
        if name in {".", ".."}:
            # Nothing has such a name, and to HTTP they are steps in a path, to something else.
            return None
        with _api_errors(f"read {kind} {namespace}/{name}"):
            path = self._path(api_version, kind, namespace, name)
            try:
                return self._object("GET", path)
            except RefusedError as error:
                if error.status != 404:
                    raise
                # A path that the API server does not serve is answered by plain text.
                if error.document is None:
                    raise _unknown_kind(api_version, kind) from error
                return None

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Object]:
        """Return the objects of a kind that fit the selectors; an empty namespace means all."""
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        query = {key: value for key, value in selectors.items() if value}
        with _api_errors(f"list {kind} in {namespace or 'all namespaces'}"):
            found = self._object("GET", self._path(api_version, kind, namespace), query)
            items: list[Object] = found.get("items") or []
            return items

    def read_log(self, namespace: str, pod: str, container: str, lines: int) -> str:
        """Return the last lines of a container's log, cut off where they are very long."""
        with _api_errors(f"read the log of pod {namespace}/{pod}"):
            path = f"{self._path('v1', 'Pod', namespace, pod)}/log"
            query = {"container": container, "tailLines": str(lines), "limitBytes": str(_LOG_BYTES)}
            return self._transport.send("GET", path, query).decode(errors="replace")

    def apply(self, manifest: Object, dry_run: bool = False) -> Object:
        """Make the fields of the manifest true by a server-side apply, taking over conflicts."""
        name = manifest["metadata"]["name"]
        namespace = manifest["metadata"]["namespace"]
        query = {**_MANAGED, "force": "true", **({"dryRun": "All"} if dry_run else {})}
        with _api_errors(f"apply {manifest['kind']} {namespace}/{name}"):
            path = self._path(manifest["apiVersion"], manifest["kind"], namespace, name)
            # Every JSON is YAML.
            return self._object("PATCH", path, query, manifest, "application/apply-patch+yaml")

    def create(self, manifest: Object) -> Object:
        """Create an object that must not exist yet; ApiError with status 409 where it does."""
        namespace = manifest["metadata"]["namespace"]
        with _api_errors(f"create {manifest['kind']} in {namespace}"):
            path = self._path(manifest["apiVersion"], manifest["kind"], namespace)
            return self._object("POST", path, _MANAGED, manifest)

    def merge(
        self, api_version: str, kind: str, namespace: str, name: str, patch: Object
    ) -> Object:
        """Change the given fields by a JSON merge patch (RFC 7386): null removes a field."""
        with _api_errors(f"change {kind} {namespace}/{name}"):
            path = self._path(api_version, kind, namespace, name)
            return self._object("PATCH", path, _MANAGED, patch, _MERGE_PATCH)

    def replace_status(
        self, api_version: str, kind: str, namespace: str, name: str, uid: str, status: Object
    ) -> None:
        """Write the status of the object with that UID; ApiError with status 422 where it differs.

        A merge patch cannot say so: of what goes to a status the API server ignores the metadata.
        """
        patch: Sequence[Object] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            # Also where there is one already (RFC 6902).
            {"op": "add", "path": "/status", "value": status},
        ]
        with _api_errors(f"write the status of {kind} {namespace}/{name}"):
            path = f"{self._path(api_version, kind, namespace, name)}/status"
            self._object("PATCH", path, _MANAGED, patch, _JSON_PATCH)

    def delete(
        self,
        api_version: str,
        kind: str,
        namespace: str,
        name: str,
        uid: str = "",
        propagation: str = "Background",
    ) -> bool:
        """Delete the object (only the one with that UID, where given); False where it is gone.

        With the propagation `Foreground` it is gone only after all that it owns.
        """
        body: Object = {"propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        with _api_errors(f"delete {kind} {namespace}/{name}"):
            path = self._path(api_version, kind, namespace, name)
            try:
                self._transport.send("DELETE", path, body=body)
            except RefusedError as error:
                if error.status != 404:
                    raise
                return False
            return True

    def _object(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | Sequence[Object] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        answer: Object = json.loads(self._transport.send(method, path, query, body, content_type))
        return answer

    def _path(self, api_version: str, kind: str, namespace: str, name: str = "") -> str:
        known = _KNOWN.get((api_version, kind))
        resource, namespaced = (known, True) if known else self._discover(api_version, kind)
        parts = ["/apis" if "/" in api_version else "/api", api_version]
        if namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        return "/".join([*parts, resource, *([quote(name, safe="")] if name else [])])

    def _discover(self, api_version: str, kind: str) -> tuple[str, bool]:
        """Ask the API server for a kind's name in a URL, and whether it is in namespaces."""
        if (api_version, kind) not in self._discovered:
            prefix = "/apis" if "/" in api_version else "/api"
            try:
                served = self._object("GET", f"{prefix}/{api_version}")["resources"]
            except RefusedError as error:
                if error.status != 404:
                    raise
                raise _unknown_kind(api_version, kind) from error
            for item in served:
                if "/" not in item["name"]:
                    self._discovered[api_version, item["kind"]] = (item["name"], item["namespaced"])
        try:
            return self._discovered[api_version, kind]
        except KeyError:
            raise _unknown_kind(api_version, kind) from None


@functools.lru_cache(maxsize=1)
def connect() -> Cluster:
    """Return this process's client."""
    return _connect(access.find, "the cluster")


@functools.lru_cache(maxsize=1)
def connect_to_proxy() -> Cluster:
    """Return this process's client of ansible-operator's proxy; that of `connect` without one.

    What it answers may be older than what the API server says.
    """
    path = os.environ.get("KUBECONFIG")
    if not path:
        return connect()
    return _connect(lambda: access.of_kubeconfig(path), "the operator's proxy")


def _connect(find: Callable[[], access.Access], what: str) -> Cluster:
    try:
        return Cluster(Transport(find()))
    except (access.NoAccess, OSError) as error:
        raise ApiError(f"cannot find {what}: {error}") from error


@contextmanager
def _api_errors(doing: str) -> Iterator[None]:
    """Turn what went wrong with a request into ApiError that says what was being done."""
    try:
        yield
    except RefusedError as error:
        message = f"cannot {doing}: {error.message}"
        raise ApiError(message, error.status, error.causes) from error
    except (HTTPError, OSError, ValueError) as error:
        raise ApiError(
            f"cannot {doing}: the API server cannot be reached ({error});"
            " check the kubeconfig and that the cluster is up"
        ) from error


def _unknown_kind(api_version: str, kind: str) -> ApiError:
    return ApiError(
        f"the cluster does not know {kind} of {api_version}: install the CRDs"
        " (make install) or use a cluster that serves it",
        404,
    )
