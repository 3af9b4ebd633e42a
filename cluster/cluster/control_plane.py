"""The control plane: etcd and the three Kubernetes components that go with it."""

from __future__ import annotations

from cluster.builds import KUBERNETES, binary
from cluster.machine import Machine
from cluster.pki import Pki
from cluster.shell import Argument
from cluster.state import SERVICE_SUBNET

ETCD_URL = "http://127.0.0.1:2379"
"""Reachable only inside the control plane's own network namespace."""


DAEMONS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def start_api(machine: Machine, pki: Pki) -> None:
    """Start etcd and the API server, which waits for etcd by itself."""
    _start(machine, "etcd", _etcd(machine))
    _start(machine, "kube-apiserver", _api_server(machine, pki))


def start_controllers(machine: Machine, pki: Pki) -> None:
    """Start the API server's clients; they end at once where it has not made their roles yet."""
    _start(machine, "kube-controller-manager", _controller_manager(pki))
    _start(machine, "kube-scheduler", _scheduler(pki))


def _start(machine: Machine, name: str, options: list[Argument]) -> None:
    machine.start_daemon(name, [binary(KUBERNETES, name), *options])


def _etcd(machine: Machine) -> list[Argument]:
    peer = "http://127.0.0.1:2380"
    return [
        "--name=etcd",
        f"--data-dir={machine.folder / 'etcd'}",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=etcd={peer}",
        # A cluster for tests may lose its data with the machine's power, and starts faster so.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _api_server(machine: Machine, pki: Pki) -> list[Argument]:
    return [
        f"--advertise-address={machine.address}",
        "--secure-port=6443",
        f"--etcd-servers={ETCD_URL}",
        f"--service-cluster-ip-range={SERVICE_SUBNET}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        # No kube-proxy here: webhooks and aggregated APIs are reached at their pods.
        "--enable-aggregator-routing",
        f"--client-ca-file={pki.certificate('ca')}",
        f"--tls-cert-file={pki.certificate('kube-apiserver')}",
        f"--tls-private-key-file={pki.key('kube-apiserver')}",
        f"--kubelet-certificate-authority={pki.certificate('ca')}",
        f"--kubelet-client-certificate={pki.certificate('kubelet-client')}",
        f"--kubelet-client-key={pki.key('kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-signing-key-file={pki.key('service-accounts')}",
        f"--service-account-key-file={pki.folder / 'service-accounts.pub'}",
        f"--requestheader-client-ca-file={pki.certificate('front-proxy-ca')}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki.certificate('front-proxy')}",
        f"--proxy-client-key-file={pki.key('front-proxy')}",
    ]


def _controller_manager(pki: Pki) -> list[Argument]:
    return [
        *_client(pki, "kube-controller-manager"),
        "--use-service-account-credentials",
        f"--root-ca-file={pki.certificate('ca')}",
        f"--service-account-private-key-file={pki.key('service-accounts')}",
        f"--cluster-signing-cert-file={pki.certificate('ca')}",
        f"--cluster-signing-key-file={pki.key('ca')}",
    ]


def _scheduler(pki: Pki) -> list[Argument]:
    return _client(pki, "kube-scheduler")


def _client(pki: Pki, name: str) -> list[Argument]:
    """Arguments of a program that there is once, and that asks the API server."""
    kubeconfig = pki.kubeconfig(name)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]
