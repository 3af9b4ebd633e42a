"""What the cluster command decides without touching the machine."""

from __future__ import annotations

import ipaddress
import json
import struct
import tarfile
from pathlib import Path

import pytest
from cluster.errors import ClusterError

from cluster import (
    addons,
    api,
    archive,
    builds,
    cli,
    dns_probe,
    lifecycle,
    packages,
    paths,
    shell,
    state,
)
from cluster import kind as kind_provider


def test_free_block_avoids_clusters_and_routes() -> None:
    routed = [ipaddress.IPv4Network("10.201.4.0/24"), ipaddress.IPv4Network("10.202.0.0/15")]
    assert state.free_block([200], routed) == 204


def test_free_block_says_what_to_do_when_all_are_taken() -> None:
    with pytest.raises(ClusterError, match="ip route"):
        state.free_block([], [ipaddress.IPv4Network("10.0.0.0/8")])


def test_addresses_of_two_clusters_never_meet() -> None:
    one, two = state.Cluster("one", 9, 200), state.Cluster("two", 9, 201)
    assert not one.network.overlaps(two.network)
    for cluster in (one, two):
        pods = [cluster.pod_subnet(number) for number in range(1, 10)]
        assert all(subnet.subnet_of(cluster.pod_network) for subnet in pods)
        assert not cluster.pod_network.overlaps(cluster.machine_network)
        assert not cluster.network.overlaps(state.SERVICE_SUBNET)
        # The kernel's limit for the name of a network device.
        assert len(f"{cluster.bridge}n9") <= 15


@pytest.mark.parametrize("name", ["demo", "a", "t-1", "x" * 30])
def test_good_names(name: str) -> None:
    assert state.check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "..", "x" * 31])
def test_bad_names(name: str) -> None:
    with pytest.raises(ClusterError, match="cluster name"):
        state.check_name(name)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("postgres:17", "docker.io/library/postgres:17"),
        ("postgres", "docker.io/library/postgres:latest"),
        ("team/app:1", "docker.io/team/app:1"),
        ("localhost/app:1", "localhost/app:1"),
        ("registry:5000/app", "registry:5000/app:latest"),
        ("cluster.local/pause:1", "cluster.local/pause:1"),
        ("app@sha256:00", "docker.io/library/app@sha256:00"),
    ],
)
def test_names_are_spelled_as_the_runtime_does(short: str, full: str) -> None:
    assert archive.normalised(short) == full


def test_two_images_of_one_layer_differ_in_id_only(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    layer, target = tmp_path / "layer.tar", tmp_path / "images.tar"
    archive.pack_layer(layer, {"/bin/program": program}, {"/bin/other": "program"})
    archive.write(
        target,
        layer,
        [archive.Image(["a:1"]), archive.Image(["a:2"], {"Labels": {"variant": "two"}})],
    )
    assert archive.names_in(target) == ["docker.io/library/a:1", "docker.io/library/a:2"]
    with tarfile.open(target) as content:
        read = content.extractfile("manifest.json")
        assert read is not None
        first, second = json.load(read)
    assert first["Layers"] == second["Layers"]
    assert first["Config"] != second["Config"]
    with tarfile.open(layer) as content:
        assert content.getmember("bin/program").mode == 0o755
        assert content.getmember("bin/other").linkname == "program"


def test_a_file_that_is_no_archive_has_no_names(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("not a tar")
    assert archive.names_in(path) == []


def test_versions_come_from_go_mod() -> None:
    assert builds.version(builds.KUBERNETES).startswith("v1.34.")
    assert "gitMinor=34" in builds.linker_flags(builds.KUBERNETES)
    assert builds.version(builds.PAUSE) == "v1"
    with pytest.raises(ClusterError, match="requires no"):
        builds.pinned_version("module x\n", "example.com/y")


def test_fingerprint_follows_content_and_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("a")
    before = builds.fingerprint([one])
    assert before != builds.fingerprint([two])
    one.write_text("b")
    assert before != builds.fingerprint([one])


def test_manifests_have_every_value_filled_in() -> None:
    text = addons.manifests()
    assert not any(word in text for word in addons.VALUES)
    assert str(state.DNS_ADDRESS) in text


def test_missing_packages_are_named_once(tmp_path: Path) -> None:
    programs = {"sh": "dash", "no-such-program": "some", "nor-this-one": "some"}
    files = {tmp_path: "present", tmp_path / "absent": "other"}
    assert packages.missing_packages(programs, files) == ["other", "some"]


def test_dns_answer_is_decoded() -> None:
    asked = dns_probe.question("kubernetes.default")
    assert asked.endswith(b"\x0akubernetes\x07default\0\0\x01\0\x01")
    header = struct.pack("!HHHHHH", dns_probe.QUERY_ID, 0x8180, 1, 1, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + bytes([10, 96, 0, 1])
    assert dns_probe.addresses(asked, header + asked[12:] + record) == ["10.96.0.1"]


def test_a_node_is_ready_only_if_it_said_so_recently() -> None:
    entry = {"type": "Ready", "status": "True", "lastHeartbeatTime": "1970-01-01T00:01:40Z"}
    node = {"status": {"conditions": [entry]}}
    assert api.ready_since(node, 100.9)
    assert not api.ready_since(node, 101)
    assert not api.ready_since({}, 0)


def test_status_reports_good_from_bad() -> None:
    assert not lifecycle.unwell("node-1  kubelet ok, Ready\ncoredns available")
    assert lifecycle.unwell("node-1  kubelet DOWN, Ready")
    assert lifecycle.unwell("node-1  kubelet ok, NOT READY")


def test_kubeconfig_paths() -> None:
    assert paths.kubeconfig_path("demo") == paths.CHECKOUT / ".cluster" / "kubeconfig"
    assert paths.kubeconfig_path("x") == paths.CHECKOUT / ".cluster" / "x" / "kubeconfig"


@pytest.mark.parametrize(("nodes", "total"), [(1, 1), (3, 4)])
def test_kind_has_as_many_nodes_that_run_pods(nodes: int, total: int) -> None:
    assert len(kind_provider.configuration(nodes)["nodes"]) == total


def test_command_line_defaults() -> None:
    options = cli.parser().parse_args(["up"])
    assert (options.name, options.nodes, options.provider) == ("demo", None, "embedded")


def test_the_output_of_a_command_is_passed_on_and_its_failure_reported() -> None:
    with shell.output_of(["sh", "-c", "echo one; head -c 1000000 /dev/zero"]) as content:
        # Whatever follows may be left.
        assert content.readline() == b"one\n"
    with (
        pytest.raises(ClusterError, match=r"(?s)exit code 3 .*no such image"),
        shell.output_of(["sh", "-c", "echo half; echo no such image >&2; exit 3"]) as content,
    ):
        assert content.read() == b"half\n"
    # The reader's failure is reported, and the command does not go on.
    with pytest.raises(KeyError), shell.output_of(["sleep", "600"]):
        raise KeyError
