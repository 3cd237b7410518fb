#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""SignImage: sealed memory in, sealed memory out; and lanzactl, which makes files of it."""
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from bus_machine import LANZACTL, Machine
from private_bus import ALL_SEALS, DENIED, INVALID, NAME, NOBODY, OBJECT, PrivateBus, as_nobody, ended_well, error, memory, state
from program_tests import BUILD, STUB, Tree, run_tests
from wire import ERROR

F_GET_SEALS = 1034  # not in Python 3.11
ALLOW = """polkit.addRule(function(action, subject) {
    if (action.id == "org.lanzaboote.lanza1.enroll" && subject.user == "nobody") return polkit.Result.YES;
});"""
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


PROGRAM = """#!/bin/sh\nprintf '{"words": "%s"}' "$*"\n"""  # what root's lanzactl does without the service


class Signing(Machine):
    """Keys, a folder of binaries beside the tree, and lanzactl with the real service."""

    def __init__(self):
        super().__init__()
        self.program.write_text(PROGRAM)
        self.oneshot("create-keys")
        self.folder = self.top / "binaries"
        self.folder.mkdir()
        self.top.chmod(0o755)
        # The folders above the build may be closed to others.
        self.client = self.top / "lanzactl"
        shutil.copy(LANZACTL, self.client)

    def binary(self, name, content=None, mode=0o644):
        path = self.folder / name
        path.write_bytes(STUB.read_bytes() if content is None else content)
        path.chmod(mode)
        return path

    def certificate(self):
        return self.root / "var/lib/lanzad/keys/db/db.pem"

    def state(self):
        return {str(path): (path.lstat().st_ino, path.read_bytes() if path.is_file() else None) for path in self.folder.rglob("*")}

    def sign(self, bus, *arguments, **more):
        """Status, and the result or the error."""
        status, output = self.lanzactl(bus, "sign", "--json=short", *map(str, arguments), program=self.client, **more)
        return status, json.loads(output)

    def refused(self, bus, name, text, *arguments, status=1, **more):
        before = self.state()
        found, result = self.sign(bus, *arguments, **more)
        assert found == status and result["error"]["name"].endswith("." + name) and text in result["error"]["message"], (found, result)
        assert self.state() == before, "something was changed"


def test_files():
    with Signing() as machine, PrivateBus(machine.root) as bus:
        files = [machine.binary(f"binary {i}.efi", mode=0o640 + i) for i in range(3)]
        os.chown(files[1], 12, 34)
        link = machine.folder / "link.efi"
        link.symlink_to("binary 2.efi")
        named = [files[0], files[1], link]
        status, result = machine.sign(bus, *named)
        assert (status, result) == (0, {"dry-run": False, "files": [{"path": str(path), "signed": True} for path in named]}), result
        for i, path in enumerate(files):
            assert is_good(machine, path.read_bytes(), machine.certificate()) and path.stat().st_mode & 0o7777 == 0o640 + i
        assert (files[1].stat().st_uid, files[1].stat().st_gid) == (12, 34) and link.is_symlink()
        assert len(list(machine.folder.iterdir())) == 4, "something is left over"
        before = machine.state()
        assert [file["signed"] for file in machine.sign(bus, *files)[1]["files"]] == [False] * 3
        assert machine.state() == before and bus.text().count("sign for uid 0: done") == 6, bus.text()
        output = machine.lanzactl(bus, "sign", str(machine.binary("new.efi")), str(files[0]), program=machine.client)[1]
        assert output == f"Signed {machine.folder}/new.efi\n{files[0]}: was signed already\n", output


def test_exchanged():
    """What a path leads to can change after it was opened; what was not read is not replaced."""
    with Signing() as machine, PrivateBus(machine.root) as bus:
        path, other = machine.binary("binary.efi"), machine.binary("binary.efi (deleted)", b"something else")
        with open(path, "rb") as file:
            path.unlink()
            name = f"/proc/self/fd/{file.fileno()}"  # what it shows is the name of the other
            machine.refused(bus, "Failed", "exchanged", name, pass_fds=[file.fileno()])
        assert other.read_bytes() == b"something else"


def test_output():
    with Signing() as machine, PrivateBus(machine.root) as bus:
        path, target = machine.binary("binary.efi", mode=0o600), machine.folder / "signed.efi"
        assert machine.sign(bus, path, f"--output={target}")[0] == 0
        assert path.read_bytes() == STUB.read_bytes() and is_good(machine, target.read_bytes(), machine.certificate())
        assert target.stat().st_mode & 0o7777 == 0o600
        copy = machine.binary("copy.efi", b"something else")
        assert machine.sign(bus, target, f"--output={copy}")[1]["files"] == [{"path": str(target), "signed": False}]
        assert copy.read_bytes() == target.read_bytes()
        os.mkfifo(machine.folder / "fifo")
        (machine.folder / "stdout").symlink_to("/proc/self/fd/1")
        (machine.folder / "link").symlink_to("signed.efi")
        for name in ("fifo", "stdout", "link"):
            machine.refused(bus, "Failed", "it is no regular file", path, f"--output={machine.folder / name}")
        machine.refused(bus, "Failed", "Is a directory", path, f"--output={machine.folder}")
        machine.refused(bus, "Failed", "Is a directory", path, f"--output={machine.folder}/")
        machine.refused(bus, "Failed", "nowhere", path, f"--output={machine.folder}/nowhere/x.efi")


def test_all_or_none():
    with Signing() as machine, PrivateBus(machine.root) as bus:
        good, bad = machine.binary("good.efi"), machine.binary("bad.efi", b"no binary")
        for files in ((good, bad), (bad, good), ("--dry-run", good, bad)):
            machine.refused(bus, "BadImage", f"{bad}: The image cannot be signed", *files, status=3)
        machine.refused(bus, "Failed", "missing.efi: No such file", good, machine.folder / "missing.efi")
        os.mkfifo(machine.folder / "fifo")
        machine.refused(bus, "Failed", "fifo: it is no regular file", good, machine.folder / "fifo")
        machine.refused(bus, "Failed", "/dev/null: it is no regular file", good, "/dev/null")
        machine.refused(bus, "Failed", "Is a directory", good, machine.folder)
        before = machine.state()
        assert machine.sign(bus, "--dry-run", good) == (0, {"dry-run": True, "files": [{"path": str(good), "signed": True}]})
        assert machine.state() == before
        shutil.rmtree(machine.root / "var/lib/lanzad/keys")
        machine.refused(bus, "NoKeys", "no key", good, status=3)


def test_program():
    """What a call cannot do, root's own program does."""
    with Signing() as machine, PrivateBus(machine.root) as bus:
        path, large = machine.binary("binary.efi"), machine.folder / "large.efi"
        large.touch()
        os.truncate(large, (64 << 20) + 1)
        assert machine.sign(bus, "--timeout=5", path) == (0, {"words": f"--oneshot sign --timeout=5 -- {path}"})
        assert machine.sign(bus, path, large)[1]["words"] == f"--oneshot sign -- {path} {large}"
        assert machine.sign(bus, "--root=/r", path)[1]["words"] == f"--oneshot sign --root=/r -- {path}"
        assert "sign for" not in bus.text()


def test_others():
    """Their files, with their rights: the service only signs."""
    with Signing() as machine, PrivateBus(machine.root) as bus:
        path, foreign, large = machine.binary("binary.efi"), machine.binary("foreign.efi"), machine.folder / "large.efi"
        closed = machine.top / "closed.efi"
        closed.write_bytes(STUB.read_bytes())
        large.touch()
        os.truncate(large, (64 << 20) + 1)
        os.chown(machine.folder, 65534, 65534)
        os.chown(path, 65534, 65534)
        machine.refused(bus, "AccessDenied", "", path, status=4, prefix=NOBODY)
        asked = bus.text().count("sign for uid 65534")
        assert asked == 1
        bus.start_polkit(ALLOW)
        machine.refused(bus, "Failed", f"Cannot replace {closed}: Permission denied", closed, prefix=NOBODY)
        machine.refused(bus, "LimitsExceeded", "larger than 64 MiB", large, prefix=NOBODY)
        assert bus.text().count("sign for uid 65534") == asked, "a password was asked for, for nothing"
        machine.refused(bus, "Failed", "Cannot write", foreign, prefix=NOBODY)  # it would be nobody's
        assert machine.sign(bus, path, f"--output={machine.folder}/out.efi", prefix=NOBODY)[0] == 0
        assert machine.sign(bus, path, prefix=NOBODY)[0] == 0
        assert is_good(machine, path.read_bytes(), machine.certificate()) and path.stat().st_uid == 65534


run_tests("/bus/sign", {
    "an-image-comes-back-signed-and-sealed": test_signed,
    "what-is-no-image-or-no-sealed-memory-is-refused": test_refused,
    "who-may-not-enroll-gets-nothing-signed": test_nobody,
    "lanzactl-gives-files-new-contents": test_files,
    "lanzactl-replaces-only-what-it-has-read": test_exchanged,
    "lanzactl-writes-one-file-to-another-place": test_output,
    "lanzactl-signs-all-or-none": test_all_or_none,
    "lanzactl-leaves-to-a-program-what-the-service-cannot-do": test_program,
    "lanzactl-of-others-writes-with-their-rights": test_others,
})  # fmt: skip
