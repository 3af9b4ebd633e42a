"""Makes the root folder of a process the root of its mount namespace, then runs a program.

    python3 own_root.py PROGRAM ARGUMENT...

In a chroot the two differ. Who enters the namespace of a container there, as runc does for
`kubectl exec` and for probes, comes to the folder outside of the chroot and not to the container's.
The process needs a mount namespace of its own, and a root folder that is a mount point.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

CLONE_NEWNS = 0x00020000
MNT_DETACH = 2


def main(command: list[str]) -> None:
    """Replace this process by the program."""
    libc = ctypes.CDLL(None, use_errno=True)
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    # Leads to the root of the namespace, although it is the process's own.
    check(libc.setns(namespace, CLONE_NEWNS))
    os.fchdir(root)
    # The old root is put over the new one and then taken away, see pivot_root(2).
    if libc.pivot_root(b".", b".") == 0:
        check(libc.umount2(b".", MNT_DETACH))
    elif ctypes.get_errno() != errno.EBUSY:
        # It is busy where it is the root of the namespace already.
        check(-1)
    os.chdir("/")
    os.execv(command[0], command)


def check(result: int) -> None:
    """Raise the error that a function of the C library has left."""
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
