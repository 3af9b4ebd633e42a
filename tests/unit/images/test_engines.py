"""What the command decides about the machine before it builds."""

import resource
from pathlib import Path

import pytest
from images import engines
from images.steps import StepFailed


def test_a_bare_chroot_has_no_root_mount() -> None:
    proc = "36 35 98:0 / /proc rw,noatime - proc proc rw\n"
    assert not engines.root_is_mounted(proc)
    assert engines.root_is_mounted("25 1 254:0 / / rw - ext4 /dev/vda rw\n" + proc)


def test_build_arguments_are_one_word_each() -> None:
    assert engines.build_arguments({"A": "x y", "B": ""}) == ["--build-arg=A=x y", "--build-arg=B="]


def test_an_unknown_tool_is_refused_by_name() -> None:
    with pytest.raises(StepFailed, match="kaniko is not a known tool: use docker, podman or"):
        engines.choose("kaniko")


def test_a_tool_without_an_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "succeeds", lambda command: False)
    with pytest.raises(StepFailed, match="docker has no working engine"):
        engines.choose("docker")


@pytest.mark.parametrize("working", ["docker", "podman"])
def test_the_first_working_engine_is_taken(monkeypatch: pytest.MonkeyPatch, working: str) -> None:
    monkeypatch.setattr(engines, "succeeds", lambda command: command[0] == working)
    assert engines.choose(None).name == working


@pytest.mark.parametrize(
    ("limits", "option"),
    [
        ((96365, 96365), "--ulimit=nproc=32768:32768"),
        ((1024, 4096), "--ulimit=nproc=1024:4096"),
        ((1024, resource.RLIM_INFINITY), "--ulimit=nproc=1024:32768"),
    ],
)
def test_buildah_is_never_asked_to_raise_a_limit_that_it_lowered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limits: tuple[int, int], option: str
) -> None:
    pid_max = tmp_path / "pid_max"
    pid_max.write_text("32768\n", encoding="ascii")
    monkeypatch.setattr(resource, "getrlimit", lambda number: limits)
    nofile, nproc = engines.own_limits(pid_max)
    assert nofile == f"--ulimit=nofile={limits[0]}:{limits[1]}"
    assert nproc == option
