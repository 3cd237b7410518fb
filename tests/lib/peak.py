# SPDX-License-Identifier: LGPL-2.1-or-later
"""The most that a program had resident (VmHWM). The rusage of a child also counts what it was forked from, so the program is
stopped where it ends, and asked then."""
import ctypes
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

PTRACE_TRACEME, PTRACE_CONT, PTRACE_SETOPTIONS = 0, 7, 0x4200
PTRACE_O_TRACEEXIT, PTRACE_O_EXITKILL, PTRACE_EVENT_EXIT = 0x40, 0x100000, 6

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def follow(pid):
    """Wait status, and mebibytes."""
    resident = None
    _, status = os.waitpid(pid, 0)
    ptrace(PTRACE_SETOPTIONS, pid, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL)
    while os.WIFSTOPPED(status):
        event, number = status >> 16, os.WSTOPSIG(status)
        if event == PTRACE_EVENT_EXIT:
            text = Path(f"/proc/{pid}/status").read_text()
            resident = int(text.split("VmHWM:")[1].split()[0]) / 1024
        ptrace(PTRACE_CONT, pid, 0 if number == signal.SIGTRAP else number)
        _, status = os.waitpid(pid, 0)
    return status, resident


def run(command, seconds, **more):
    """Exit status, standard output, standard error and peak in MiB. After SECONDS it is ended."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, preexec_fn=lambda: ptrace(PTRACE_TRACEME, 0), **more
        )
        timer = threading.Timer(seconds, lambda: os.kill(process.pid, signal.SIGKILL))
        timer.start()
        status, resident = follow(process.pid)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        return process.returncode, output.read(), errors.read(), resident
