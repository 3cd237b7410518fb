# SPDX-License-Identifier: LGPL-2.1-or-later
"""A running system, which is a folder that lanzad --oneshot is called in as root folder; and its programs for initrd secrets."""
import array
import fcntl
import json
import os
import shutil
import socket
import subprocess

from peak import run as measured
from program_tests import LANZAD, Tree

F_GET_SEALS, ALL_SEALS = 1034, 15
NOTES = str(LANZAD.parent.resolve()) if LANZAD.parent.name == "cov" else ""
ENTER = """set -eu
cd "$1"
mount --bind /usr usr
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
if [ -n "$2" ]; then # where a program for coverage writes down what ran
    mkdir -p ".$2"
    mount --bind "$2" ".$2"
fi
shift 2
exec chroot . "$@" """


class LiveSystem(Tree):
    """A tree that programs can run in."""

    def __init__(self, program=LANZAD):
        super().__init__()
        self.program = program
        for name in ("proc", "run", "dev", "etc", "tmp"):
            (self.root / name).mkdir()
        for name in ("bin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "dev/null").touch()
        shutil.copy(program, self.root / "lanzad")

    def set_secrets(self, number, script):
        path = self.root / f"nix/store/system-{number}/boot.json"
        document = json.loads(path.read_text())
        document["org.nixos.bootspec.v1"]["initrdSecrets"] = f"/nix/store/secrets-{number}/run"
        path.write_text(json.dumps(document))
        self.write(f"nix/store/secrets-{number}/run", f"#!/bin/sh\n{script}\n")
        (self.root / f"nix/store/secrets-{number}/run").chmod(0o555)

    def run(self, *arguments, status=0, fds=(), prefix=()):
        command = ["unshare", "--mount", "--propagation=private", "sh", "-c", ENTER, "sh", str(self.root), NOTES, *prefix]
        command += ["/lanzad", "--oneshot", "initrd-secrets", *arguments]
        if self.program == LANZAD:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=600, check=False, pass_fds=fds)
            done, output, errors = done.returncode, done.stdout, done.stderr
        else:
            done, output, errors, self.peak = measured(command, 600, pass_fds=fds)  # the leak sanitizer suffers no tracer
        assert done == status, (done, arguments, output, errors)
        self.said = errors
        return json.loads(output)

    def collect(self, *arguments, status=0):
        """The result, and what came on the socket: toplevel → bytes."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            result = self.run(f"--socket={theirs.fileno()}", *arguments, status=status, fds=(theirs.fileno(),))
            theirs.close()
            return result, dict(receive(ours))


def receive(ours):
    while True:
        text, control, flags, _ = ours.recvmsg(8192, socket.CMSG_SPACE(64))
        if not text and not control:
            return
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        assert len(control) == 1 and control[0][:2] == (socket.SOL_SOCKET, socket.SCM_RIGHTS), control
        (fd,) = array.array("i", control[0][2])
        assert fcntl.fcntl(fd, F_GET_SEALS) & ALL_SEALS == ALL_SEALS
        yield text.decode(), os.pread(fd, 100000, 0)
        os.close(fd)
