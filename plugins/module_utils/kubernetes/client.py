"""One client for the Kubernetes API, shared by all modules of a process.

Objects go in and come out as plain dicts in the API's own shape. Reads go to the API server itself
and not to the operator's caching proxy: what a decision about data rests on must not be stale.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from kubernetes import config, dynamic
from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import DynamicApiError, NotFoundError, ResourceNotFoundError
from kubernetes.dynamic.resource import Resource

from ..errors import OperatorError

FIELD_MANAGER = "postgres-operator"
GROUP_VERSION = "database.example.com/v1"
# Connect and read, in seconds: a silent API server must end a reconcile, not hang it.
REQUEST_TIMEOUT = (5, 30)
# The library's own objects would be made of every answer, only to become plain again.
_OPTIONS = {"_request_timeout": REQUEST_TIMEOUT, "serialize": False}
_LOG_BYTES = 64 * 1024
_SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

Object = dict[str, Any]

# The kinds that the roles use, and their names in a URL: to be asked for these the API server need
# not be asked first what it serves. All are namespaced but the last.
_KNOWN = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Endpoints"): "endpoints",
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
    ("v1", "Namespace"): "namespaces",
}
_CLUSTER_SCOPED = frozenset({"Namespace"})


class ApiError(OperatorError):
    """The API server refused a request or could not be reached.

    Attributes:
        status: the HTTP status, 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def _configuration() -> Configuration:
    """Find the API server.

    $POSTGRES_OPERATOR_KUBECONFIG comes first: ansible-operator points $KUBECONFIG at its proxy.
    """
    configuration = Configuration()
    own = os.environ.get("POSTGRES_OPERATOR_KUBECONFIG")
    if own:
        config.load_kube_config(config_file=own, client_configuration=configuration)
    elif in_cluster():
        config.load_incluster_config(client_configuration=configuration)
    else:
        config.load_kube_config(client_configuration=configuration)
    return configuration


def in_cluster() -> bool:
    """Tell whether this process runs in a pod."""
    return _SERVICE_ACCOUNT_TOKEN.exists() and "KUBERNETES_SERVICE_HOST" in os.environ


def is_on_pod_network() -> bool:
    """Tell whether this process reaches pods by their address.

    A process outside of the cluster is told so by $POSTGRES_OPERATOR_POD_NETWORK=direct.
    """
    return in_cluster() or os.environ.get("POSTGRES_OPERATOR_POD_NETWORK") == "direct"


class _Discoverer:
    """Tells the client library where kinds are served; only unknown ones are asked for."""

    def __init__(self, client: Any, cache_file: Any) -> None:
        self._client = client
        self._cache_file = cache_file
        self._discovered: Any = None

    def get(self, api_version: str, kind: str) -> Any:
        """Return the client library's resource of a kind."""
        name = _KNOWN.get((api_version, kind))
        if not name:
            self._discovered = self._discovered or dynamic.LazyDiscoverer(
                self._client, self._cache_file
            )
            return self._discovered.get(api_version=api_version, kind=kind)
        group, _, version = api_version.rpartition("/")
        return Resource(
            prefix="apis" if group else "api",
            group=group,
            api_version=version,
            kind=kind,
            namespaced=kind not in _CLUSTER_SCOPED,
            name=name,
            client=self._client,
            subresources={"status": {"name": f"{name}/status", "kind": kind, "namespaced": True}},
        )


class Cluster:
    """Read and write objects of one cluster.

    Every method raises ApiError; `get` and `delete` take a missing object for a normal answer.
    """

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self._dynamic = dynamic.DynamicClient(api, discoverer=_Discoverer)

    def _resource(self, api_version: str, kind: str) -> Any:
        try:
            return self._dynamic.resources.get(api_version=api_version, kind=kind)
        except ResourceNotFoundError as error:
            raise _unknown_kind(api_version, kind) from error

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Object | None:
        """Return the object, or None where there is none of that name."""
        with _api_errors(f"read {kind} {namespace}/{name}"):
            resource = self._resource(api_version, kind)
            try:
                found = resource.get(name=name, namespace=namespace, **_OPTIONS)
            except NotFoundError as error:
                if not _tells_of_an_object(error):
                    raise _unknown_kind(api_version, kind) from error
                return None
            return _plain(found)

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Object]:
        """Return the objects of a kind that fit the selectors; an empty namespace means all."""
        with _api_errors(f"list {kind} in {namespace or 'all namespaces'}"):
            found = self._resource(api_version, kind).get(
                namespace=namespace or None,
                label_selector=label_selector,
                field_selector=field_selector,
                **_OPTIONS,
            )
            items: list[Object] = _plain(found).get("items", [])
            return items

    def read_log(self, namespace: str, pod: str, container: str, lines: int) -> str:
        """Return the last lines of a container's log, cut off where they are very long."""
        with _api_errors(f"read the log of pod {namespace}/{pod}"):
            text: str = CoreV1Api(self.api).read_namespaced_pod_log(
                pod,
                namespace,
                container=container,
                tail_lines=lines,
                limit_bytes=_LOG_BYTES,
                _request_timeout=REQUEST_TIMEOUT,
            )
            return text

    def apply(self, manifest: Object, dry_run: bool = False) -> Object:
        """Make the fields of the manifest true by a server-side apply, taking over conflicts."""
        name = manifest["metadata"]["name"]
        namespace = manifest["metadata"]["namespace"]
        with _api_errors(f"apply {manifest['kind']} {namespace}/{name}"):
            resource = self._resource(manifest["apiVersion"], manifest["kind"])
            return _plain(
                resource.server_side_apply(
                    body=manifest,
                    name=name,
                    namespace=namespace,
                    field_manager=FIELD_MANAGER,
                    force_conflicts=True,
                    **_OPTIONS,
                    **({"dry_run": "All"} if dry_run else {}),
                )
            )

    def create(self, manifest: Object) -> Object:
        """Create an object that must not exist yet; ApiError with status 409 where it does."""
        with _api_errors(f"create {manifest['kind']} in {manifest['metadata']['namespace']}"):
            resource = self._resource(manifest["apiVersion"], manifest["kind"])
            return _plain(
                resource.create(
                    body=manifest,
                    namespace=manifest["metadata"]["namespace"],
                    field_manager=FIELD_MANAGER,
                    **_OPTIONS,
                )
            )

    def merge(
        self, api_version: str, kind: str, namespace: str, name: str, patch: Object
    ) -> Object:
        """Change the given fields by a JSON merge patch (RFC 7386): null removes a field."""
        with _api_errors(f"change {kind} {namespace}/{name}"):
            return self._merge(self._resource(api_version, kind), namespace, name, patch)

    def merge_status(
        self, api_version: str, kind: str, namespace: str, name: str, status: Object
    ) -> Object:
        """Change the given fields of the status by a JSON merge patch: null removes a field."""
        with _api_errors(f"write the status of {kind} {namespace}/{name}"):
            resource = self._resource(api_version, kind).status
            return self._merge(resource, namespace, name, {"status": status})

    @staticmethod
    def _merge(resource: Any, namespace: str, name: str, patch: Object) -> Object:
        return _plain(
            resource.patch(
                body=patch,
                name=name,
                namespace=namespace,
                content_type="application/merge-patch+json",
                field_manager=FIELD_MANAGER,
                **_OPTIONS,
            )
        )

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
            try:
                self._resource(api_version, kind).delete(
                    name=name, namespace=namespace, body=body, **_OPTIONS
                )
            except NotFoundError:
                return False
            return True


@functools.lru_cache(maxsize=1)
def connect() -> Cluster:
    """Return this process's client."""
    with _api_errors("find the cluster"):
        return Cluster(ApiClient(_configuration()))


@contextmanager
def _api_errors(doing: str) -> Iterator[None]:
    """Turn the client library's errors into ApiError that says what was being done."""
    try:
        yield
    except (DynamicApiError, ApiException) as error:
        detail = " ".join(str(_server_message(error)).split())
        raise ApiError(f"cannot {doing}: {detail}", error.status or 0) from error
    except (HTTPError, OSError, config.ConfigException) as error:
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


def _tells_of_an_object(error: Any) -> bool:
    """Tell a missing object from a path that the API server does not serve: that is plain text."""
    try:
        return bool(json.loads(error.body)["kind"] == "Status")
    except (TypeError, ValueError, KeyError):
        return False


def _server_message(error: Any) -> str:
    """Return what the API server's Status object says, else the HTTP reason."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


def _plain(found: Any) -> Object:
    """Return the object that an answer of the API server holds."""
    result: Object = json.loads(found.data)
    return result
