"""Escapes texts of users in messages: in conditions, Events, results and logs."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Write line ends, terminal escapes and whatever else cannot be seen as Python escapes it.

    So a name that a user has chosen makes no second line of a log and moves no cursor. All else
    stays as it is.

    >>> print(printable('schema "{{ a }}\r\n\x1b[2Jü"'))
    schema "{{ a }}\r\n\x1b[2Jü"
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
