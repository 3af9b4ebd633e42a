"""What every cluster runs in pods of its own: name service and storage."""

from __future__ import annotations

from cluster import images
from cluster.builds import KUBERNETES, binary
from cluster.paths import TOOL
from cluster.pki import Pki
from cluster.shell import run
from cluster.state import DNS_ADDRESS

DEPLOYMENTS = (("kube-system", "coredns"), ("local-path-storage", "local-path-provisioner"))

VALUES = {
    "$COREDNS_IMAGE": images.COREDNS_IMAGE,
    "$PROVISIONER_IMAGE": images.PROVISIONER_IMAGE,
    "$HELPER_IMAGE": images.HELPER_IMAGE,
    "$DNS_ADDRESS": str(DNS_ADDRESS),
}


def manifests() -> str:
    """Read the manifests and fill in the images and addresses."""
    files = sorted((TOOL / "manifests").glob("*.yaml"))
    text = "---\n".join(path.read_text() for path in files)
    for word, value in VALUES.items():
        text = text.replace(word, value)
    return text


def apply(pki: Pki) -> None:
    """Bring the add-ons to what the manifests say."""
    kubectl = binary(KUBERNETES, "kubectl")
    run(
        [kubectl, "--kubeconfig", pki.kubeconfig("admin"), "apply",
         "--server-side", "--force-conflicts", "--field-manager=hack-cluster", "-f", "-"],
        stdin=manifests(),
    )  # fmt: skip
