"""How a forked process starts and ends as a program that was executed would."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import NoReturn

PR_SET_PDEATHSIG = 1
_library = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Have the kernel kill this process as soon as the one that forked it is dead."""
    _library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def end_as_program(program: Callable[[], object]) -> NoReturn:
    """Call a program's main function and end this process as the interpreter would."""
    code = 1
    try:
        code = _exit_code(program)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _exit_code(program: Callable[[], object]) -> int:
    try:
        result = program()
    except SystemExit as error:
        result = error.code
    except KeyboardInterrupt:
        traceback.print_exc()
        sys.stderr.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    if result is None:
        return 0
    if isinstance(result, int):
        return result & 0xFF
    print(result, file=sys.stderr)
    return 1
