"""The API server, as the user's kubeconfig leads to it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
import urllib3
from kubernetes import client, config
from kubernetes.dynamic import exceptions
from openshift.dynamic import DynamicClient

GROUP_VERSION = "database.example.com/v1"

Object = dict[str, Any]


class Failure(click.ClickException):
    """What ends a command, with the exit code 1."""


class NotFound(Failure):
    """What a command names does not exist."""

    exit_code = 3


@dataclass(frozen=True)
class Place:
    """Which cluster and namespace the user means; empty for what the kubeconfig says."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""

    def kubectl(self) -> list[str]:
        """Return the command kubectl, with the options that lead to the same place."""
        given = {
            "--kubeconfig": self.kubeconfig,
            "--context": self.context,
            "--namespace": self.namespace,
        }
        return ["kubectl", *(f"{option}={value}" for option, value in given.items() if value)]


class Cluster:
    """A namespace of a cluster."""

    def __init__(self, place: Place) -> None:
        with _explained():
            api = config.new_client_from_config(
                place.kubeconfig or None, context=place.context or None
            )
            self.namespace = place.namespace or _namespace_of(place)
            self._client = DynamicClient(api, cache_file=_cache_file(api.configuration.host))
            self._core = client.CoreV1Api(api)
        # What the user did not name is named from here on: a kubeconfig may change meanwhile.
        self.place = Place(place.kubeconfig, place.context, self.namespace)

    def find(self, kind: str, name: str, version: str = GROUP_VERSION) -> Object | None:
        """Return an object; None where it does not exist.

        Raises:
            Failure: the API server refuses or does not answer.
        """
        with _explained():
            try:
                found = self._resource(kind, version).get(name=name, namespace=self.namespace)
            except exceptions.NotFoundError:
                return None
            return cast(Object, found.to_dict())

    def get(self, kind: str, name: str, version: str = GROUP_VERSION) -> Object:
        """Return an object.

        Raises:
            NotFound: it does not exist; others as `find`.
        """
        found = self.find(kind, name, version)
        if found is None:
            raise NotFound(
                f"{kind} {name} does not exist in namespace {self.namespace};"
                f" see: kubectl get {kind.lower()} --all-namespaces"
            )
        return found

    def list(self, kind: str, version: str = GROUP_VERSION, selector: str = "") -> list[Object]:
        """Return all objects of a kind; raises as `find`."""
        with _explained():
            options = {"label_selector": selector} if selector else {}
            found = self._resource(kind, version).get(namespace=self.namespace, **options)
            return list(found.to_dict()["items"])

    def create(self, manifest: Object) -> Object:
        """Create an object and return it; raises as `find`."""
        with _explained():
            resource = self._resource(manifest["kind"], manifest["apiVersion"])
            made = resource.create(body=manifest, namespace=self.namespace)
            return cast(Object, made.to_dict())

    def patch_spec(self, kind: str, name: str, fields: Mapping[str, Any]) -> Object:
        """Change fields of an object's spec and return it; raises as `get`."""
        with _explained():
            try:
                changed = self._resource(kind, GROUP_VERSION).patch(
                    body={"spec": dict(fields)},
                    name=name,
                    namespace=self.namespace,
                    content_type="application/merge-patch+json",
                )
            except exceptions.NotFoundError:
                self.get(kind, name)
                raise
            return cast(Object, changed.to_dict())

    def log(self, pod: str, container: str, follow: bool, since: int | None) -> Iterator[str]:
        """Yield the lines of a container's log, each with its time.

        Args:
            follow: whether to go on with what comes.
            since: how many seconds back it begins; None for all.

        Raises:
            Failure: as `find`.
        """
        with _explained():
            answer = self._core.read_namespaced_pod_log(
                pod,
                self.namespace,
                container=container,
                follow=follow,
                timestamps=True,
                since_seconds=since,
                _preload_content=False,
            )
            for line in answer:
                yield line.decode(errors="replace").rstrip("\n")

    def _resource(self, kind: str, version: str) -> Any:
        return self._client.resources.get(api_version=version, kind=kind)


def _namespace_of(place: Place) -> str:
    """Return the namespace of the kubeconfig's context."""
    contexts, active = config.list_kube_config_contexts(place.kubeconfig or None)
    chosen = next((one for one in contexts if one["name"] == place.context), active)
    return str(chosen["context"].get("namespace") or "default")


def _cache_file(host: str) -> str:
    """Return where to keep what the API server offers: not in /tmp, where others could write it."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubectl-postgres"
    # Without the folder nothing is kept, and all is asked each time.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return str(folder / f"{hashlib.sha256(host.encode()).hexdigest()[:16]}.json")


@contextmanager
def _explained() -> Iterator[None]:
    """Say what happened in a sentence, and what to do.

    Raises:
        Failure
    """
    try:
        yield
    except exceptions.ResourceNotFoundError as error:
        raise Failure(
            f"the cluster has no {GROUP_VERSION}: install the operator, or choose another --context"
        ) from error
    except exceptions.DynamicApiError as error:
        raise Failure(str(error.summary())) from error
    except client.ApiException as error:
        raise Failure(f"the API server answers {error.status}: {error.reason}") from error
    except config.ConfigException as error:
        raise Failure(f"{error}: set KUBECONFIG, --kubeconfig or --context") from error
    except urllib3.exceptions.HTTPError as error:
        raise Failure(f"the API server cannot be reached: {error}") from error


Connect = Callable[[], Cluster]
"""Connects when a command needs it, so that --help needs no cluster."""
