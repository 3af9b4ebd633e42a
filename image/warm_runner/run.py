"""The process of one run, just forked: takes a request over and is ansible-runner from then on."""

from __future__ import annotations

import array
import importlib
import os
import socket
import sys
from typing import NoReturn

from . import arguments, early_end, event_post, log, playbook, protocol, renew
from .preload import Warm
from .program import die_with_parent, end_as_program
from .request import Request, decode

REFUSED = 70


def serve(connection: socket.socket, warm: Warm, folder: str) -> NoReturn:
    """Do the run that the client asks for; only the exit status comes back."""
    parent = os.getppid()
    die_with_parent()
    try:
        request = _receive(connection)
        refusal = warm.refusal(request.environment)
        if refusal:
            raise protocol.OddRequestError(refusal)
        os.chdir(request.folder)
        os.umask(request.umask)
        connection.sendall(protocol.STARTED + protocol.encode_number(os.getpid()))
        # Without it, the client went another way.
        go = connection.recv(1) == protocol.GO
        connection.close()
    except (OSError, ValueError, protocol.OddRequestError) as error:
        log.write(folder, f"a run was refused: {type(error).__name__}: {error}")
        os._exit(REFUSED)
    if not go or os.getppid() != parent:
        os._exit(REFUSED)
    renew.process(request.environment)
    sys.argv = [request.environment.get("_", "ansible-runner"), *request.arguments]
    end_as_program(lambda: _ansible_runner(warm, folder, request.arguments))


def _receive(connection: socket.socket) -> Request:
    """Take the descriptors to be 0, 1 and 2, and return the request."""
    descriptors = array.array("i")
    space = socket.CMSG_SPACE(protocol.DESCRIPTORS * descriptors.itemsize)
    data, ancillary, _flags, _address = connection.recvmsg(protocol.NUMBER_BYTES, space)
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(rights)
    if len(descriptors) != protocol.DESCRIPTORS or len(data) != protocol.NUMBER_BYTES:
        raise protocol.OddRequestError("it came without its descriptors")
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    length = protocol.decode_number(data)
    content = bytearray()
    while len(content) < length:
        more = connection.recv(length - len(content))
        if not more:
            raise protocol.OddRequestError("it was cut off")
        content += more
    return decode(bytes(content))


def _ansible_runner(warm: Warm, folder: str, words: list[str]) -> object:
    if early_end.end_early(warm, folder, words):
        return 0
    playbook.start_playbooks_here(warm, folder)
    if not renew.main(warm.read_by_main) and warm.runner_parser is not None:
        arguments.hand_out_for_runner(warm.runner_parser)
    event_post.keep_the_connection()
    main = importlib.import_module("ansible_runner.__main__")
    return main.main(words)
