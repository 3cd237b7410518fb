#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lanzad --oneshot initrd-secrets on a running system."""
import os
import socket
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from live_system import LiveSystem as System
from program_tests import run_tests


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
