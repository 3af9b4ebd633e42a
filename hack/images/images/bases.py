"""The base images: the real ones, or where no registry answers, stand-ins made on this machine.

The stand-ins hold what the real ones do as far as the Dockerfile uses them: a minimal Debian, and
one with Go. They take package mirrors, certificates and proxies from this machine's configuration,
so that a build inside them reaches what the machine itself reaches.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from .debian import RELEASE, install_missing, machine_sources
from .engines import Engine
from .steps import StepFailed, cache_folder, output_of, run, step, succeeds

DEBIAN = "docker.io/library/debian:trixie-slim"
GO = "docker.io/library/golang:1.26-trixie"
STAND_IN_DEBIAN = "localhost/postgres-operator/debian:trixie-slim"
STAND_IN_GO = "localhost/postgres-operator/golang:1.26-trixie"

# Files of the machine without which its mirrors and indexes can't be reached.
MACHINE_FILES = (
    "/etc/apt/apt.conf", "/etc/apt/apt.conf.d", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d",
    "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt", "/usr/local/share/ca-certificates",
)  # fmt: skip
GO_SETTINGS = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOFLAGS")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def provide(engine: Engine) -> dict[str, str]:
    """Make sure of the base images; returns the build arguments that name them."""
    debian = _provide(engine, DEBIAN, STAND_IN_DEBIAN, _make_debian)
    go = _provide(engine, GO, STAND_IN_GO, _make_go)
    return {"DEBIAN_IMAGE": debian, "GO_IMAGE": go}


def _provide(engine: Engine, image: str, stand_in: str, make: Callable[[Engine], None]) -> str:
    """The real image if it is here or can be had, else its stand-in."""
    for name in (image, stand_in):
        if engine.has(name):
            return name
    if engine.pull(image):
        return image
    print(f"{image} can't be pulled: making a stand-in", flush=True)
    make(engine)
    return stand_in


def _make_debian(engine: Engine) -> None:
    """A minimal Debian from the machine's mirror."""
    with step(f"make {STAND_IN_DEBIAN}"):
        environment = {"PATH": PATH}
        engine.import_root(debian_root(), STAND_IN_DEBIAN, environment)


def debian_root() -> Path:
    """The folder of a minimal Debian, made once and kept."""
    root = cache_folder() / "bases" / RELEASE
    if root.exists():
        return root
    install_missing({"debootstrap": "debootstrap"})
    sources = machine_sources()
    # Made under another name and renamed when complete, so that a broken one is never used.
    unfinished = root.with_name(f"{RELEASE}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    run(
        ["debootstrap", "--variant=minbase", RELEASE, str(unfinished), sources[0].uri],
        log="debootstrap",
    )
    lines = [f"deb {source.uri} {source.suite} main\n" for source in sources]
    (unfinished / "etc/apt/sources.list").write_text("".join(lines))
    shutil.rmtree(unfinished / "var/cache/apt/archives")
    for name in MACHINE_FILES:
        _copy_into(Path(name), unfinished)
    unfinished.rename(root)
    return root


def _copy_into(path: Path, root: Path) -> None:
    """Copy a file or folder of the machine, where there is one, to the same place below `root`."""
    target = root / path.relative_to("/")
    if path.is_dir():
        shutil.copytree(path, target, dirs_exist_ok=True)
    elif path.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _make_go(engine: Engine) -> None:
    """The minimal Debian with the machine's Go."""
    if not succeeds(["go", "version"]):
        raise StepFailed("Go is needed to make a stand-in for the Go image: install Go 1.26")
    with step(f"make {STAND_IN_GO}"):
        root = cache_folder() / "bases" / "golang"
        shutil.rmtree(root, ignore_errors=True)
        run(["cp", "--archive", str(debian_root()), str(root)], log="copy-debian")
        shutil.copytree(
            output_of(["go", "env", "GOROOT"]),
            root / "usr/local/go",
            symlinks=True,
            ignore=shutil.ignore_patterns("testdata"),
        )
        settings = {name: output_of(["go", "env", name]) for name in GO_SETTINGS}
        environment = {name: value for name, value in settings.items() if value}
        environment |= {"GOPATH": "/go", "GOTOOLCHAIN": "local"}
        environment |= {"PATH": f"/go/bin:/usr/local/go/bin:{PATH}"}
        engine.import_root(root, STAND_IN_GO, environment)
        shutil.rmtree(root)
