"""The document of a termination message: always one, always short enough."""

from __future__ import annotations

import json

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.job import (
    LIMIT_BYTES,
    encode_result,
    write_result,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import StoreUnreachable
from hypothesis import given
from hypothesis import strategies as st


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from([1, 100, 5000]),
)
def test_messages_are_cut_to_fit(text: str, times: int) -> None:
    result = {"ok": False, "reason": "BackupFailed", "message": text * times}
    content = encode_result(result)
    assert len(content) <= LIMIT_BYTES
    decoded = json.loads(content)
    assert decoded["reason"] == "BackupFailed"
    cut = decoded["message"]
    assert cut == result["message"] or result["message"].startswith(cut.removesuffix("…"))


def test_a_long_message_keeps_most_of_its_text() -> None:
    content = encode_result({"message": "x" * 10_000})
    assert len(content) > LIMIT_BYTES - 100


def test_a_warning_is_cut_too() -> None:
    content = encode_result({"ok": True, "sha256": "ab", "warning": "ü" * 5000})
    assert len(content) <= LIMIT_BYTES
    assert json.loads(content)["sha256"] == "ab"


def test_what_cannot_be_cut_is_an_error() -> None:
    with pytest.raises(ValueError, match="4096"):
        encode_result({"location": "x" * 5000})


def test_written_in_place(tmp_path) -> None:
    path = tmp_path / "log"
    path.write_text("something longer that was there before " * 10)
    inode = path.stat().st_ino
    write_result(path, {"ok": True})
    assert path.read_text() == '{"ok":true}'
    assert path.stat().st_ino == inode
    with pytest.raises(StoreUnreachable, match="nowhere"):
        write_result(tmp_path / "nowhere" / "log", {"ok": True})
