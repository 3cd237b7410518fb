#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls: whose turn it is, how often they tell how far they are, and what of them stands in the journal."""
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from private_bus import NAME, OBJECT, PRIVATE_MOUNTS, PrivateBus, as_nobody, ended_well, error
from program_tests import Tree, run_tests
from wire import ERROR_NAME, MEMBER, REPLY_SERIAL, RETURN

CALLS_OF_USER_MAX = 16


def many_generations(tree, count):
    for number in range(3, count + 1):
        tree.add_generation(number)


def test_turns():
    """Sixteen slow calls of nobody, and then one of root, one of another user: these are next."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        many_generations(tree, 60)
        bus.call("Esp", "Sync", "a{sv}", "0")
        many_reading, many_writing = os.pipe()
        one_reading, one_writing = os.pipe()

        def ask(wire, count):
            return [wire.send_call(NAME, OBJECT, f"{NAME}.Manager", "GetStatus", "a{sv}", [{"check": ("b", 1)}]) for _ in range(count)]

        def answers(wire, asked):
            replies = [wire.wait(lambda m, serial=serial: m.fields.get(REPLY_SERIAL) == serial) for serial in asked]
            assert all(reply.type == RETURN for reply in replies), [reply.fields for reply in replies]
            return [reply.serial for reply in replies]  # counted by the service: the order in which it answered

        def flood():
            wire = bus.wire()
            asked = ask(wire, CALLS_OF_USER_MAX)
            os.write(many_writing, b".")
            os.write(many_writing, "".join(f"{serial} " for serial in answers(wire, asked)).encode())

        def other():
            wire = bus.wire()
            os.write(one_writing, f"{answers(wire, ask(wire, 1))[0]}".encode())

        root = bus.wire()
        many = as_nobody(flood)
        assert os.read(many_reading, 1) == b"."
        one = as_nobody(other, uid=1)
        mine = answers(root, ask(root, 1))[0]
        assert ended_well(one)
        single = int(os.read(one_reading, 100))
        assert ended_well(many)
        theirs = [int(serial) for serial in os.read(many_reading, 1000).split()]
        before_root, before_single = (sum(serial < limit for serial in theirs) for limit in (mine, single))
        print(f"# answered to the one with {len(theirs)} calls: {before_root} before root, {before_single} before another user")
        assert len(theirs) == CALLS_OF_USER_MAX and theirs == sorted(theirs)
        # What runs is finished, and until a call is read a few may be.
        assert before_root <= 5 and before_single <= 6


def test_progress():
    """Ten a second, at most, of an operation that has more to say."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        many_generations(tree, 250)
        wire = bus.wire()
        begin = time.monotonic()
        serial = wire.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}])
        assert wire.wait(lambda m: m.fields.get(REPLY_SERIAL) == serial).type == RETURN
        duration = time.monotonic() - begin
        told = [m.values() for m in wire.kept if m.fields.get(MEMBER) == "Progress"]
        print(f"# {len(told)} in {duration:.2f} s: {[values[2:] for values in told]}")
        assert 3 <= len(told) <= 10 * duration + 1, (len(told), duration)
        assert {values[0] for values in told} == {told[0][0]} and {values[1] for values in told} == {"sync"}
        assert all(0 < done <= total for _, _, _, done, total in told)
        assert "queued" not in [values[2] for values in told]  # nothing was before it


class Journal:
    """In place of systemd-journald, for who is started by the wrapper."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lanza-journal-"))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.folder / "socket"))
        self.socket.settimeout(60)
        script = f"""
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
mount --bind {self.folder} /run/systemd/journal
exec "$@" """
        self.wrapper = [*PRIVATE_MOUNTS, "env", "JOURNAL_STREAM=1:1", "sh", "-ec", script, "sh"]

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.socket.close()
        (self.folder / "socket").unlink()
        self.folder.rmdir()

    def entry(self):
        """The fields of the next one, in the journal's own form: NAME=value, or NAME, a length, and a value with lines."""
        data, fields = self.socket.recv(1 << 20), {}
        while data:
            line, _, data = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                size = int.from_bytes(data[:8], "little")
                value, data = data[8 : 8 + size], data[8 + size + 1 :]
            assert name.decode() not in fields, name
            fields[name.decode()] = value.decode()
        return fields


def test_journal():
    with Tree() as tree, Journal() as journal, PrivateBus(tree.root, wrapper=journal.wrapper) as bus:
        def expect(result, operation, uid=0, priority="4", text=""):
            entry = journal.entry()
            identifier = entry.pop("LANZA_ID")
            assert entry.pop("MESSAGE").startswith(f"{operation} for uid {uid}: {result}{text}"), entry
            assert entry == {
                "PRIORITY": priority, "LANZA_OPERATION": operation, "LANZA_CALLER_UID": str(uid), "LANZA_RESULT": result,
                "SYSLOG_IDENTIFIER": "lanzad",
            }, entry  # fmt: skip
            return int(identifier)

        wire = bus.wire()
        bus.call("Keys", "Create", "a{sv}", "0")
        assert expect("done", "create-keys", priority="6") > 0
        error(wire, "Keys", "Create")
        assert expect("KeysExist", "create-keys", text=": ") > 0
        bus.call("Manager", "GetStatus", "a{sv}", "0")  # who reads is nobody's business
        assert ended_well(as_nobody(lambda: error(bus.wire(), "Esp", "Sync")))
        assert expect("AccessDenied", "sync", uid=65534, text=": ") == 0
        tree.write("nix/store/system-2/boot.json", "{}")
        error(wire, "Esp", "Sync")
        assert expect("BadBootspec", "sync") > 0
        reply = wire.call(NAME, OBJECT, f"{NAME}.Esp", "CollectGarbage", "a{sv}", [{"dry-run": ("b", 1)}])
        assert ERROR_NAME in reply.fields or expect("done", "gc", priority="6") > 0


TESTS = {
    "nobody-waits-behind-one-who-asks-much": test_turns,
    "progress-comes-at-most-ten-times-a-second": test_progress,
    "the-journal-says-who-did-what": test_journal,
}

run_tests("/bus/calls", {title: test for title, test in TESTS.items() if not sys.argv[1:] or title in sys.argv[1:]})
