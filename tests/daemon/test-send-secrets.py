#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lanzad --oneshot initrd-secrets on a running system, which is a folder that it is called in as root folder."""
import array
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from program_tests import LANZAD, Tree, run_tests

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


class System(Tree):
    """A tree that programs can run in."""

    def __init__(self):
        super().__init__()
        for name in ("proc", "run", "dev", "etc", "tmp"):
            (self.root / name).mkdir()
        for name in ("bin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "dev/null").touch()
        shutil.copy(LANZAD, self.root / "lanzad")

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
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False, pass_fds=fds)
        assert done.returncode == status, (done.returncode, arguments, done.stdout, done.stderr)
        return json.loads(done.stdout)

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


def test_sent():
    with System() as system:
        system.set_secrets(1, "echo one >> $1; ls -l /proc/self/fd >> $1")
        system.set_secrets(2, "exit 0")
        system.add_generation(3)
        (system.root / "nix/var/nix/profiles/system-4-link").symlink_to("/nix/store/system-1")
        result, sent = system.collect()
        assert set(sent) == {"/nix/store/system-1", "/nix/store/system-2"}, sent
        assert sent["/nix/store/system-1"].startswith(b"one\n") and sent["/nix/store/system-2"] == b""
        assert b"socket:" not in sent["/nix/store/system-1"], sent  # nobody else writes there
        assert {(item["toplevel"], item["bytes"]) for item in result["secrets"]} == {(name, len(sent[name])) for name in sent}
        assert len(result["secrets"]) == 2 and result["warnings"] == [], result


def test_wanted():
    """The same generations as sync's, under the same configuration."""
    with System() as system:
        system.set_secrets(1, "echo one >> $1")
        system.set_secrets(2, "echo two >> $1")
        system.write("etc/other.conf", "[Boot]\nLimit=1\n")
        assert system.collect("--config=/etc/other.conf")[1] == {"/nix/store/system-2": b"two\n"}
        both = {"/nix/store/system-1": b"one\n", "/nix/store/system-2": b"two\n"}
        assert system.collect("--config=/etc/other.conf", "/nix/store/system-1")[1] == both
        (system.root / "nix/var/nix/profiles/system-1-link").unlink()
        result, sent = system.collect("/nix/store/system-1", status=3)
        assert result["error"]["name"].endswith(".ForeignToplevel") and sent == {}, result
        system.set_secrets(1, "echo unlisted >> $1")
        result, sent = system.collect("--allow-unlisted", "/nix/store/system-1")
        assert sent["/nix/store/system-1"] == b"unlisted\n", sent


def test_failing():
    with System() as system:
        system.set_secrets(1, "exit 7")
        system.set_secrets(2, "echo two >> $1")
        result, sent = system.collect()
        assert sent == {"/nix/store/system-2": b"two\n"}, sent
        assert len(result["warnings"]) == 1 and "generation 1: /nix/store/secrets-1/run failed with exit status 7" in result["warnings"][0]
        result, _ = system.collect("/nix/store/system-1", status=3)
        assert result["error"]["name"].endswith(".SecretsFailed") and "exit status 7" in result["error"]["message"], result


def test_sockets():
    with System() as system:
        system.set_secrets(2, "echo two >> $1")
        stream = socket.socketpair()
        pipe = os.pipe()
        for fd in (stream[0].fileno(), pipe[0], pipe[1]):
            error = system.run(f"--socket={fd}", status=3, fds=(fd,))["error"]
            assert "SOCK_SEQPACKET" in error["message"], error
        for arguments in (["--socket=99"], ["--socket=18446744073709551615"], ["--socket=2"], []):
            assert "--socket=" in system.run(*arguments, status=3)["error"]["message"]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.close()
        error = system.run(f"--socket={theirs.fileno()}", status=1, fds=(theirs.fileno(),))["error"]
        assert "Cannot hand over" in error["message"], error


def test_others():
    with System() as system:
        system.set_secrets(2, "echo two >> $1")
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        system.top.chmod(0o755)
        (system.root / "lanzad").chmod(0o755)
        error = system.run("--socket=5", status=1, prefix=nobody)["error"]
        assert "Only root" in error["message"] and "root" in error["hint"], error
        assert "running system itself" in system.run("--root=/", "--socket=5", status=3)["error"]["message"]


TESTS = {
    "each-result-is-a-message-with-sealed-memory": test_sent,
    "of-the-generations-that-sync-would-take": test_wanted,
    "failing-for-the-default-alone-is-a-failure": test_failing,
    "go-only-to-a-socket-of-their-own": test_sockets,
    "are-roots-business-on-the-running-system": test_others,
}

run_tests("/daemon/send-secrets", TESTS)
