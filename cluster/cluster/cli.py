"""Reading the command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from cluster import builds, kind, lifecycle, paths, state
from cluster.errors import ClusterError
from cluster.progress import Progress


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default=paths.DEFAULT_NAME, help="the cluster (default: demo)")
    common.add_argument(
        "--provider",
        choices=("embedded", "kind"),
        default="embedded",
        help="run the cluster on this machine itself, or with kind in Docker",
    )
    root = argparse.ArgumentParser(prog="python3 cluster", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[common], help="make, heal or resume a cluster")
    up.add_argument("--nodes", type=int, help="nodes that run pods (default: 1, or as it is)")
    commands.add_parser("packages", parents=[common], help="install what all this needs")
    commands.add_parser("down", parents=[common], help="end a cluster, leaving nothing of it")
    commands.add_parser("status", parents=[common], help="show what runs and how to reach it")
    commands.add_parser("list", help="name the embedded clusters of this machine")
    load = commands.add_parser("load", parents=[common], help="give the nodes an image")
    load.add_argument("image", help="an image of buildah or Docker, or a docker-archive file")
    commands.add_parser("kubeconfig", parents=[common], help="print the kubeconfig's path")
    kubectl = commands.add_parser("kubectl", parents=[common], help="run kubectl on a cluster")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER)
    build = commands.add_parser("build", help="build a Go program; print where it is")
    build.add_argument("program", choices=[builds.VERSITYGW.name], help="the S3 server of tests")
    node = commands.add_parser("node", parents=[common], help="break and mend one machine")
    node.add_argument(
        "action",
        choices=("stop", "start", "cut", "join"),
        help="power off, power on, unplug the network, plug it in",
    )
    node.add_argument("machine", help="node-1, node-2, ... or control-plane")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = parser().parse_args(arguments)
    progress = Progress()
    try:
        return run(options, progress)
    except ClusterError as error:
        progress.failure(error)
        return 1
    except KeyboardInterrupt:
        progress.say("interrupted; `up` resumes, `down` cleans up")
        return 130


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Do what was asked."""
    provider = kind if getattr(options, "provider", "") == "kind" else lifecycle
    match options.command:
        case "up":
            provider.up(options.name, options.nodes, progress)
        case "packages":
            provider.install_packages(progress)
        case "down":
            provider.down(options.name, progress)
        case "status":
            text = provider.status(options.name)
            print(text)
            return 1 if lifecycle.unwell(text) else 0
        case "load":
            provider.load(options.name, options.image, progress)
        case "build":
            print(builds.build(builds.VERSITYGW, progress))
        case "node":
            break_or_mend(options.name, options.action, options.machine)
        case _:
            show_status(options)
    return 0


def show_status(options: argparse.Namespace) -> None:
    """Do what changes nothing."""
    match options.command:
        case "list":
            print("\n".join(cluster.name for cluster in state.all_clusters()))
        case "kubeconfig":
            print(paths.kubeconfig_path(options.name))
        case "kubectl":
            kubectl, kubeconfig = paths.kubectl_link(), paths.kubeconfig_path(options.name)
            words = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
            os.execv(kubectl, [str(kubectl), f"--kubeconfig={kubeconfig}", *words])


def break_or_mend(name: str, action: str, machine_name: str) -> None:
    """Do something to one machine."""
    if action == "start":
        lifecycle.start_machine(name, machine_name)
        return
    machine = lifecycle.machine_named(name, machine_name)
    {"stop": machine.stop, "cut": machine.cut, "join": machine.join}[action]()
