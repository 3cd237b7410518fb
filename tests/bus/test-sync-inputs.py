#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What root alone may give to Sync, and everything that is no sealed memory."""
import os
import socket
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from private_bus import ALL_SEALS, SEAL_GROW, SEAL_SEAL, SEAL_SHRINK, SEAL_WRITE
from private_bus import DENIED, INVALID, NAME, OBJECT, PrivateBus, as_nobody, ended_well, error, memory, state, wait_until
from program_tests import Tree, run_tests
from wire import RETURN

MEGABYTE = 1024 * 1024


def sync(wire, options, fds=()):
    """The result of a Sync that must succeed."""
    reply = wire.call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [options], fds=fds)
    assert reply.type == RETURN, reply.values()
    return reply.values()[0]


def resident(process):
    """Megabytes."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // MEGABYTE


def test_configuration():
    """It replaces the files, for this one operation."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()
        bus.call("Keys", "Create", "a{sv}", "0")
        tree.write("etc/lanza/lanzad.conf", "[Boot]\nLimit=many\n")
        text = b"[Boot]\nLimit=1\nSortKey=other\n"
        result = sync(wire, {"configuration": ("h", 0), "dry-run": ("b", 1)}, [memory(text)])
        assert len(result["partitions"][0]["images-written"]) == 1, result
        result = sync(wire, {"configuration": ("h", 0), "dry-run": ("b", 1)}, [memory()])
        assert len(result["partitions"][0]["images-written"]) == 2, result
        name, lines = error(wire, "Esp", "Sync", values=[{"configuration": ("h", 0)}], fds=[memory(b"[Boot]\nLimit=few\n")])
        assert name == f"{NAME}.Error.BadConfiguration" and "configuration:2" in lines[0], lines
        assert error(wire, "Esp", "Sync")[0] == f"{NAME}.Error.BadConfiguration"


def bad_memories(folder):
    """(descriptor, words of the refusal)"""
    (folder / "file").write_bytes(b"text")
    os.mkfifo(folder / "fifo")
    pipe = os.pipe()
    pair = socket.socketpair()
    yield os.open(folder / "fifo", os.O_RDWR), "is no memory file"
    yield pipe[0], "is no memory file"
    yield pipe[1], "is no memory file"
    yield pair[0].detach(), "is no memory file"
    yield pair[1].detach(), "is no memory file"
    yield os.open(folder / "file", os.O_RDONLY), "is no"
    yield os.open(folder, os.O_RDONLY), "is no"
    yield os.open("/dev/zero", os.O_RDONLY), "is no memory file"
    for missing in (SEAL_SEAL, SEAL_SHRINK, SEAL_GROW, SEAL_WRITE, ALL_SEALS):
        yield memory(b"", seals=ALL_SEALS & ~missing), "is not sealed"
    yield memory(size=4096 * MEGABYTE, seals=0), "is not sealed"
    yield memory(size=4096 * MEGABYTE), "is too large"


def test_no_memory():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()
        bus.call("Keys", "Create", "a{sv}", "0")
        before, memory_before = state(tree), resident(bus.service)
        for fd, words in bad_memories(tree.top):
            name, lines = error(wire, "Esp", "Sync", values=[{"configuration": ("h", 0)}], fds=[fd])
            assert name == INVALID and words in lines[0] and "'configuration'" in lines[0], lines
            assert "memfd_create" in lines[1], lines
            os.close(fd)
        for fd in (memory(size=MEGABYTE + 1), memory(size=64 * MEGABYTE)):
            name, lines = error(wire, "Esp", "Sync", values=[{"configuration": ("h", 0)}], fds=[fd])
            assert name == INVALID and "at most 1048576 bytes" in lines[0], lines
        name, lines = error(wire, "Esp", "Sync", values=[{"configuration": ("s", "text")}])
        assert name == INVALID and "is of type 'h', not 's'" in lines[0], lines
        assert error(wire, "Esp", "Sync", values=[{"configuration": ("h", 7)}], fds=[memory()])[0] != DENIED
        assert error(wire, "Esp", "Sync", values=[{"configuration": ("h", 0)}])[0] != DENIED
        assert resident(bus.service) <= memory_before + 16, (memory_before, resident(bus.service))
        assert state(tree) == before
        assert sync(wire, {"dry-run": ("b", 1)})["dry-run"]  # it is still well


def add_secrets(tree, number):
    """A generation with a program for initrd secrets, which leaves a trace if it is run."""
    program = tree.top / "program"
    program.write_text(f"#!/bin/sh\ntouch {tree.top}/was-run\n")
    program.chmod(0o755)
    tree.set_bootspec(number, initrdSecrets=str(program))


def contents(tree):
    return {path.read_bytes() for path in (tree.root / "boot/EFI/nixos").iterdir()}


def test_secrets():
    """The service runs no program: it takes what root hands over, else it keeps what there is."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()
        bus.call("Keys", "Create", "a{sv}", "0")
        (tree.root / "boot").chmod(0o700)
        add_secrets(tree, 2)
        name, lines = error(wire, "Esp", "Sync")
        assert name == f"{NAME}.Error.SecretsFailed" and "as root" in lines[1], lines
        toplevel = "/nix/store/system-2"
        result = sync(wire, {"initrd-secrets": ("a(sh)", [(toplevel, 0), ("/nix/store/other", 1)])}, [memory(b"one"), memory(b"x")])
        assert result["warnings"] == [] and b"one" in contents(tree) and b"x" not in contents(tree), result
        before = state(tree)
        result = sync(wire, {})
        assert len(result["warnings"]) == 1 and "keeps the initrd secrets" in result["warnings"][0], result
        assert state(tree) == before
        bus.call("Esp", "CollectGarbage", "a{sv}", "0")
        assert state(tree) == before
        sync(wire, {"initrd-secrets": ("a(sh)", [(toplevel, 0)])}, [memory(b"two")])
        assert b"two" in contents(tree) and b"one" not in contents(tree), contents(tree)
        sync(wire, {"initrd-secrets": ("a(sh)", [(toplevel, 0)])}, [memory()])
        assert b"two" not in contents(tree), contents(tree)
        assert not (tree.top / "was-run").exists()


def test_bad_secrets():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()
        bus.call("Keys", "Create", "a{sv}", "0")
        before, memory_before = state(tree), resident(bus.service)

        def refused(items, *fds):
            return error(wire, "Esp", "Sync", values=[{"initrd-secrets": ("a(sh)", items)}], fds=fds)

        name, lines = refused([("/a", 0), ("/b", 1)], memory(), memory(b"x", seals=0))
        assert name == INVALID and "for /b is not sealed" in lines[0], lines
        name, lines = refused([("/a", 0), ("/a", 1)], memory(), memory())
        assert name == INVALID and "names /a twice" in lines[0], lines
        name, lines = refused([("/a", 0)], memory(size=64 * MEGABYTE + 1))
        assert name == INVALID and "at most 67108864 bytes" in lines[0], lines
        name, lines = refused([(f"/{number}", 0) for number in range(129)], memory())
        assert name == f"{NAME}.Error.LimitsExceeded" and "more than 128" in lines[0], lines
        assert refused([("/" + "x" * 5000, 0)], memory())[0] == INVALID
        assert state(tree) == before
        large = memory(size=64 * MEGABYTE)
        for _ in range(20):  # looked at, not read
            sync(wire, {"initrd-secrets": ("a(sh)", [(f"/{number}", 0) for number in range(128)]), "dry-run": ("b", 1)}, [large])
        assert resident(bus.service) <= memory_before + 32, (memory_before, resident(bus.service))
        wait_until(lambda: len(os.listdir(f"/proc/{bus.service.pid}/fd")) < 40, "descriptors are given back")


def test_root_only():
    """Refused before polkit is asked: there is none here, and the answer names the option."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        before = state(tree)

        def refused():
            wire = bus.wire()
            for option, value in ROOT_ONLY.items():
                name, lines = error(wire, "Esp", "Sync", values=[{option: value}], fds=[memory()])
                assert name == DENIED and f"'{option}'" in lines[0] and "root" in lines[1], lines
            name, lines = error(wire, "Esp", "Sync")
            assert name == DENIED and "polkit" in lines[0], lines

        assert ended_well(as_nobody(refused))
        assert state(tree) == before


ROOT_ONLY = {"allow-unlisted": ("b", 1), "configuration": ("h", 0), "initrd-secrets": ("a(sh)", [("/nix/store/system-2", 0)])}

TESTS = {
    "configuration-handed-over-replaces-the-files-once": test_configuration,
    "what-is-no-sealed-memory-is-refused-and-not-read": test_no_memory,
    "secrets-are-handed-over-or-kept-and-no-program-is-run": test_secrets,
    "secrets-are-limited-in-number-and-size": test_bad_secrets,
    "options-of-root-are-refused-to-others-by-name": test_root_only,
}

run_tests("/bus/sync-inputs", {title: test for title, test in TESTS.items() if not sys.argv[1:] or title in sys.argv[1:]})
