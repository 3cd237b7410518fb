#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""SignImage: sealed memory in, sealed memory out."""
import fcntl
import os
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from private_bus import ALL_SEALS, DENIED, INVALID, NAME, OBJECT, PrivateBus, as_nobody, ended_well, error, memory, state
from program_tests import BUILD, STUB, Tree, run_tests
from wire import ERROR

F_GET_SEALS = 1034  # not in Python 3.11
FOREIGN = BUILD / "pki/foreign-db"


def sign(wire, content):
    """The signed binary, and that it cannot change."""
    del wire.fds[:]
    reply = wire.call(NAME, OBJECT, f"{NAME}.Esp", "SignImage", "h", [0], fds=[memory(content)])
    assert reply.type != ERROR, reply.values()
    (fd,) = wire.fds
    assert fcntl.fcntl(fd, F_GET_SEALS) & ALL_SEALS == ALL_SEALS
    signed = os.pread(fd, 1 << 26, 0)
    os.close(fd)
    return signed


def is_good(tree, content, certificate):
    path = tree.top / "judged.efi"
    path.write_bytes(content)
    return subprocess.run(["sbverify", "--cert", certificate, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def test_signed():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()
        bus.call("Keys", "Create", "a{sv}", "0")
        own = tree.root / "var/lib/lanzad/keys/db/db.pem"
        before = state(tree)
        signed = sign(wire, STUB.read_bytes())
        assert is_good(tree, signed, own)
        assert sign(wire, signed) == signed, "what is signed already comes back as it is"
        foreign = tree.top / "foreign.efi"
        subprocess.run(["sbsign", "--key", f"{FOREIGN}.key", "--cert", f"{FOREIGN}.pem", "--output", foreign, STUB],
                       stderr=subprocess.DEVNULL, check=True)
        both = sign(wire, foreign.read_bytes())
        assert is_good(tree, both, own) and is_good(tree, both, f"{FOREIGN}.pem")
        assert state(tree) == before
        assert bus.text().count("sign for uid 0: done") == 3, bus.text()


def test_refused():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()

        def refused(*fds, signature="h", values=(0,)):
            return error(wire, "Esp", "SignImage", signature, list(values), fds=fds)[0]

        stub = STUB.read_bytes()
        assert refused(memory(stub)) == f"{NAME}.Error.NoKeys"
        bus.call("Keys", "Create", "a{sv}", "0")
        before = state(tree)
        for content in (b"", b"no binary", stub[:1000], stub[:-1]):
            assert refused(memory(content)) == f"{NAME}.Error.BadImage", len(content)
        assert refused(memory(stub, seals=0)) == INVALID
        assert refused(os.open(STUB, os.O_RDONLY)) == INVALID
        assert refused(memory(size=(64 << 20) + 1)) == INVALID
        assert refused(memory(size=64 << 20)) == f"{NAME}.Error.BadImage"
        assert refused(signature="", values=()) == INVALID
        assert refused(signature="a{sv}", values=({},)) == INVALID
        assert state(tree) == before
        assert sign(wire, stub)


def test_nobody():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")

        def ask():
            assert error(bus.wire(), "Esp", "SignImage", "h", [0], fds=[memory(STUB.read_bytes())])[0] == DENIED

        assert ended_well(as_nobody(ask))
        assert "sign for uid 65534: AccessDenied" in bus.text()


run_tests("/bus/sign", {
    "an-image-comes-back-signed-and-sealed": test_signed,
    "what-is-no-image-or-no-sealed-memory-is-refused": test_refused,
    "who-may-not-enroll-gets-nothing-signed": test_nobody,
})  # fmt: skip
