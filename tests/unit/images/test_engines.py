"""What the command decides about the machine before it builds."""

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
