"""The operator image: build it, save it, list what is in it, build it twice and compare.

`python3 hack/images build|save|sbom|reproduce`
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from images import archives, bases, engines
from images.steps import StepFailed, cache_folder, step

REPOSITORY = Path(__file__).resolve().parents[2]


def build(options: argparse.Namespace) -> None:
    """Build the image from the checkout (or another context)."""
    engine = engines.choose(options.tool)
    arguments = bases.provide(engine)
    with step(f"build {options.tag} with {engine.name}"):
        engine.build(options.context.resolve(), options.tag, arguments)


def save(options: argparse.Namespace) -> None:
    """Write a built image to a file that containerd, docker and podman load."""
    engine = engines.choose(options.tool)
    if not engine.has(options.tag):
        raise StepFailed(f"{options.tag} has not been built with {engine.name}: build it first")
    with step(f"save {options.tag} to {options.output}"):
        engine.save(options.tag, options.output.resolve())


def sbom(options: argparse.Namespace) -> None:
    """Write the lists of what is in a built image, which its build has made."""
    engine = engines.choose(options.tool)
    if not engine.has(options.tag):
        raise StepFailed(f"{options.tag} has not been built with {engine.name}: build it first")
    options.output.mkdir(parents=True, exist_ok=True)
    engine.copy_out(options.tag, "/usr/share/sbom", options.output.resolve())
    for path in sorted(options.output.glob("*.cdx.json")):
        print(path)


def reproduce(options: argparse.Namespace) -> None:
    """Build the image twice without layers of an earlier build; both must be the same."""
    engine = engines.choose(options.tool)
    arguments = bases.provide(engine)
    # In the cache folder: an image is larger than some machines' /tmp.
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        saved = [Path(folder) / f"{number}.tar" for number in (1, 2)]
        for archive in saved:
            with step(f"build {options.tag} with {engine.name}, without earlier layers"):
                engine.build(options.context.resolve(), options.tag, arguments, anew=True)
            engine.save(options.tag, archive)
        first, second = (archives.image_id(archive) for archive in saved)
        if first != second:
            found = archives.differences(*saved) or ["the configuration only"]
            shown = "\n".join(found[: archives.NAMES_SHOWN])
            raise StepFailed(
                f"two builds differ, {first} and {second}, in {len(found)} places:\n{shown}"
            )
    print(f"two builds are the same: sha256:{first}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="images", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--tag", default="postgres-operator:latest", help="the image's name")
    common.add_argument(
        "--tool",
        default=os.environ.get("CONTAINER_TOOL") or None,
        help="docker, podman or buildah (default: $CONTAINER_TOOL, else the first that works)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    building = argparse.ArgumentParser(add_help=False, parents=[common])
    building.add_argument(
        "--context", type=Path, default=REPOSITORY, help="the folder to build (the checkout)"
    )
    command = commands.add_parser("build", parents=[building], help="build the image")
    command.set_defaults(run=build)
    command = commands.add_parser("save", parents=[common], help="write the image to a file")
    command.add_argument("--output", type=Path, required=True, help="the docker-archive to write")
    command.set_defaults(run=save)
    command = commands.add_parser(
        "sbom", parents=[common], help="write the lists of its components"
    )
    command.add_argument("--output", type=Path, required=True, help="the folder to write them to")
    command.set_defaults(run=sbom)
    command = commands.add_parser(
        "reproduce", parents=[building], help="build twice without earlier layers and compare"
    )
    command.set_defaults(run=reproduce)
    return parser.parse_args(arguments)


def main() -> int:
    """Run one command; returns the exit code."""
    options = parse(sys.argv[1:])
    try:
        options.run(options)
    except StepFailed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
