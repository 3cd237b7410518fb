# SPDX-License-Identifier: LGPL-2.1-or-later
"""What no program can do without: signatures at OpenSSL's own rate, and the disk's answer to the same barriers."""
import ctypes
import os
import subprocess

_libc = ctypes.CDLL(None, use_errno=True)


def signature_milliseconds():
    """Of one RSA-2048 signature, on one processor."""
    run = subprocess.run(["openssl", "speed", "-mr", "-seconds", "1", "rsa2048"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         text=True, check=True)
    # +F2:INDEX:BITS:SIGNATURES:VERIFICATIONS, a second
    line = next(line for line in run.stdout.splitlines() if line.startswith("+F2:"))
    return 1000 / float(line.split(":")[3])


def _syncfs(fd):
    if _libc.syncfs(fd) < 0:
        raise OSError(ctypes.get_errno(), "syncfs")


def _barrier(fd):
    _syncfs(fd)
    os.fsync(fd)


def write_with_barriers(store, folder, files):
    """What apply does: FILES (a name and bytes each) into FOLDER, with the file system of STORE durable before."""
    fd, store_fd = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (folder, store))
    _syncfs(store_fd)
    _barrier(fd)
    for name, content in files:
        (folder / f"{name}.new").write_bytes(content)
    _barrier(fd)
    for name, _ in files:
        os.rename(folder / f"{name}.new", folder / name)
    _barrier(fd)
    os.close(fd)
    os.close(store_fd)
