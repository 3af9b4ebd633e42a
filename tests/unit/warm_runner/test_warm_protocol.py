"""What the client encodes is what the run decodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warm_runner import protocol, request

TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)))
NAME = TEXT.filter(lambda name: name and "=" not in name)


@given(st.lists(TEXT), st.dictionaries(NAME, TEXT), TEXT.filter(bool), st.integers(0, 0o777))
def test_a_request_arrives_as_it_was(
    arguments: list[str], environment: dict[str, str], folder: str, umask: int
) -> None:
    data = protocol.encode_request(arguments, environment, folder, umask)

    length = protocol.decode_number(data[: protocol.NUMBER_BYTES])
    content = data[protocol.NUMBER_BYTES :]
    assert length == len(content)
    assert request.decode(content) == request.Request(arguments, environment, folder, umask)


def test_bytes_that_are_no_text_arrive_too() -> None:
    odd = b"\xff\xfe".decode(errors="surrogateescape")
    data = protocol.encode_request([odd], {"A": odd}, "/", 0)
    decoded = request.decode(data[protocol.NUMBER_BYTES :])
    assert decoded.arguments == [odd]
    assert decoded.environment == {"A": odd}


def test_another_version_is_refused() -> None:
    with pytest.raises(protocol.OddRequestError, match="warm-runner 0"):
        request.decode(b"warm-runner 0\0/\0000\0000")
