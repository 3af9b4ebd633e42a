"""The images that a cluster itself needs, and any image that `load` names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cluster import archive, builds, state
from cluster.archive import Image
from cluster.errors import ClusterError
from cluster.paths import cache_root
from cluster.progress import Progress
from cluster.shell import output_of, run, succeeds

PAUSE_IMAGE = "cluster.local/pause:1"
HELPER_IMAGE = "cluster.local/busybox:1"
COREDNS_IMAGE = f"cluster.local/coredns:{builds.version(builds.COREDNS)}"
PROVISIONER_IMAGE = f"cluster.local/local-path-provisioner:{builds.version(builds.PROVISIONER)}"

S3_IMAGE = "cluster.local/versitygw:1"
"""An S3 server; no part of a cluster, but `load` knows it."""


def system_archive(progress: Progress) -> Path:
    """Make the archive of the images that a node needs to become ready."""
    programs = {
        program: builds.build(program, progress)
        for program in (builds.PAUSE, builds.COREDNS, builds.PROVISIONER)
    }
    key = builds.fingerprint([Path(archive.__file__), Path(__file__)])
    versions = "-".join(path.parent.name.rsplit("-", 1)[-1][:8] for path in programs.values())
    path = image_folder() / f"system-{versions}-{key}.tar"
    with state.lock("image-system"):
        if path.exists():
            return path
        with progress.step("make the system images"), scratch() as folder:
            layer = folder / "layer.tar"
            files = {f"/{program.name}": binary for program, binary in programs.items()}
            busybox = _busybox(folder)
            links = {f"/bin/{name}": "busybox" for name in run([busybox, "--list"]).split()}
            del links["/bin/busybox"]
            archive.pack_layer(layer, {**files, "/bin/busybox": busybox}, links)
            archive.write(
                path,
                layer,
                [
                    Image([PAUSE_IMAGE], {"Entrypoint": ["/pause"], "User": "65535:65535"}),
                    Image([COREDNS_IMAGE], {"Entrypoint": ["/coredns"]}),
                    Image([PROVISIONER_IMAGE], {"Entrypoint": ["/local-path-provisioner"]}),
                    Image([HELPER_IMAGE], {"Entrypoint": ["/bin/busybox"], "Env": ["PATH=/bin"]}),
                ],
            )
    return path


def write_s3_archive(target: Path, progress: Progress) -> None:
    """Write the image of the S3 server: its program and nothing else."""
    program = builds.build(builds.VERSITYGW, progress)
    with scratch() as folder:
        layer = folder / "layer.tar"
        archive.pack_layer(layer, {"/versitygw": program}, {})
        image = Image([S3_IMAGE], {"Entrypoint": ["/versitygw"], "User": "65535:65535"})
        archive.write(target, layer, [image])


@contextmanager
def exported(image: str, progress: Progress) -> Iterator[IO[bytes]]:
    """Lend the archive of an image: a file's, or as buildah or Docker writes it."""
    if Path(image).is_file():
        with Path(image).open("rb") as content:
            yield content
    elif image == S3_IMAGE:
        with scratch() as folder:
            write_s3_archive(folder / "image.tar", progress)
            with (folder / "image.tar").open("rb") as content:
                yield content
    else:
        with output_of(_export_command(image)) as content:
            yield content


def _export_command(name: str) -> list[str]:
    """Give the command that prints an image's archive, with the image's name in full."""
    full = archive.normalised(name)
    # buildah files what it builds under a short name as localhost/NAME.
    for known in (name, f"localhost/{name}"):
        if succeeds(["buildah", "inspect", "--type", "image", known]):
            return ["buildah", "push", "--quiet", known, f"docker-archive:/dev/stdout:{full}"]
    if not succeeds(["docker", "image", "inspect", name]):
        raise ClusterError(
            f"image {name}: neither buildah nor Docker has it, and it is no file; build it first"
        )
    return ["docker", "save", name]


def _busybox(folder: Path) -> Path:
    """Fetch the static busybox out of its Debian package, without installing it."""
    run(["apt-get", "download", "-qq", "busybox-static"], cwd=folder)
    package = next(folder.glob("busybox-static_*.deb"))
    run(["dpkg-deb", "-x", package, folder / "busybox"])
    return next(
        path
        for path in (folder / "busybox/bin/busybox", folder / "busybox/usr/bin/busybox")
        if path.exists()
    )


def image_folder() -> Path:
    """Where the cache keeps images, as docker-archive files."""
    return cache_root() / "images"


@contextmanager
def scratch() -> Iterator[Path]:
    """Lend a folder on the cache's own disk: a root file system is too much for /tmp."""
    cache_root().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_root(), prefix="work-") as folder:
        yield Path(folder)
