#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lanzad on a bus, seen from outside: interface, results, errors, queue, end."""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from private_bus import DENIED, INVALID, NAME, OBJECT, SOURCE, WITH_PASSWORD, Lock, PrivateBus, as_nobody, ended_well, error, memory, state, wait_until
from program_tests import LANZAD, Tree, run_tests
from wire import CALL, DESTINATION, ERROR, ERROR_NAME, MEMBER, REPLY_SERIAL, RETURN, SENDER, ALLOW_INTERACTIVE

MUTATING = [("Keys", "Create"), ("Firmware", "Enroll"), ("Esp", "Sync"), ("Esp", "CollectGarbage")]


def documented():
    """interface name → its element, of dbus/*.xml"""
    files = sorted((SOURCE / "dbus").glob("*.xml"))
    assert len(files) == 6, files
    return {ElementTree.parse(path).find("interface").get("name"): ElementTree.parse(path).find("interface") for path in files}


def shape(interface):
    """What a caller can rely on, in a form that can be compared."""
    members = []
    for element in interface:
        arguments = [(a.get("name"), a.get("type"), a.get("direction") or "out") for a in element.findall("arg")]
        notes = {note.get("name"): note.get("value") for note in element.findall("annotation")}
        if element.tag == "property":
            notes.setdefault("org.freedesktop.DBus.Property.EmitsChangedSignal", "true")
        members.append((element.tag, element.get("name"), element.get("type"), element.get("access"), arguments, notes))
    return sorted(members, key=str)


def oneshot(verb, tree, *options):
    done = subprocess.run([str(LANZAD), "--oneshot", verb, tree.option(), *options], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_introspection():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()
        text = wire.call(NAME, OBJECT, "org.freedesktop.DBus.Introspectable", "Introspect").values()[0]
        served = {element.get("name"): element for element in ElementTree.fromstring(text).findall("interface")}
        wanted = documented()
        assert set(wanted) == {name for name in served if not name.startswith("org.freedesktop.DBus.")}, served
        for name, interface in wanted.items():
            assert shape(interface) == shape(served[name]), (shape(interface), shape(served[name]))


def test_documents():
    """Every result key and option of an operation is named in the interface's description."""
    texts = "".join(path.read_text() for path in (SOURCE / "dbus").glob("*.xml"))
    with Tree() as tree:
        results = [oneshot("create-keys", tree), oneshot("sync", tree), oneshot("status", tree), oneshot("list", tree)]
    names = {name for result in results for name in result}
    names |= {name for r in results for items in r.values() if isinstance(items, list) for i in items if isinstance(i, dict) for name in i}
    assert len(names) > 30 and not [name for name in names if f"{name} " not in texts], names


def methods():
    """(interface, method, signature, whether it asks polkit) of all that is described"""
    for path in sorted((SOURCE / "dbus").glob("*.xml")):
        text = path.read_text()
        interface = ElementTree.fromstring(text).find("interface")
        for method in interface.findall("method"):
            signature = "".join(a.get("type") for a in method.findall("arg") if a.get("direction") == "in")
            comment = text[: text.index(f'<method name="{method.get("name")}"')].rpartition("<!--")[2]
            yield interface.get("name"), method.get("name"), signature, "polkit: org.lanzaboote.lanza1." in comment


def test_access_table():
    """What is missing in the access table is denied to root, too; without polkit others get what is for everybody."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        def answer(wire, interface, member, signature, options):
            values = [{"a{sv}": options, "s": "no-such-variable", "t": 4711, "h": 0}[signature]] if signature else []
            fds = [memory(b"no binary")] if signature == "h" else []
            return wire.call(NAME, OBJECT, interface, member, signature, values, fds=fds).fields.get(ERROR_NAME)

        def as_somebody():
            wire = bus.wire()
            for interface, member, signature, restricted in methods():
                name = answer(wire, interface, member, signature, {"dry-run": ("b", 1)} if restricted else {})
                assert (name == DENIED) == restricted, (member, name)

        wire = bus.wire()
        before = state(tree)
        for interface, member, signature, _ in methods():
            name = answer(wire, interface, member, signature, {"no-such-option": ("b", 1)})
            assert name != DENIED and (name or not signature), (member, name)
        assert ended_well(as_nobody(as_somebody))
        assert state(tree) == before
        restricted = {(interface, member) for interface, member, _, asks in methods() if asks}
        assert restricted == {(f"{NAME}.{interface}", member) for interface, member in [*MUTATING, ("Esp", "SignImage")]}


def test_results():
    """What the bus says is what --oneshot says, and does."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        planned = oneshot("create-keys", tree, "--dry-run")
        assert bus.call("Keys", "Create", "a{sv}", "1", "dry-run", "b", "true") == planned
        assert not bus.get("Keys", "Present") and bus.get("Keys", "Certificates") == []
        created = bus.call("Keys", "Create", "a{sv}", "1", "bits", "t", "2048")
        status = oneshot("status", tree)
        assert created == {"dry-run": False, "created": ["PK", "KEK", "db"], "certificates": status["certificates"], "warnings": []}
        shown = [[c["role"], c["subject"], c["fingerprint"], "file", c["not-after"]] for c in status["certificates"]]
        assert bus.get("Keys", "Present") and bus.get("Keys", "Certificates") == shown
        assert len(bus.get("Keys", "OwnerGuid")) == 36

        with Tree() as twin:
            subprocess.run(["cp", "-a", f"{tree.root}/.", str(twin.root)], check=True)
            assert bus.call("Esp", "Sync", "a{sv}", "0") == oneshot("sync", twin)
            assert bus.call("Esp", "Sync", "a{sv}", "1", "toplevel", "s", "/nix/store/system-1") == oneshot("sync", twin, "/nix/store/system-1")
            for root in (tree.root, twin.root):
                (root / "nix/var/nix/profiles/system-2-link").unlink()
                (root / "nix/var/nix/profiles/system").unlink()
                (root / "nix/var/nix/profiles/system").symlink_to("system-1-link")
            listed = oneshot("list", tree)
            assert bus.call("Esp", "ListGenerations") == listed["generations"] and listed["generations"][0]["images"]
            assert bus.call("Esp", "ListImages") == listed["images"] and len(listed["images"]) == 2
            for partition in (partitions := bus.call("Esp", "ListPartitions")) + listed["partitions"]:
                del partition["bytes-free"]  # of the machine that runs this
            assert partitions == listed["partitions"] and len(partitions) == 1
            assert bus.call("Esp", "CollectGarbage", "a{sv}", "0") == oneshot("gc", twin)
            assert [i[0][len(str(tree.root)) :] for i in tree.snapshot("boot")] == [i[0][len(str(twin.root)) :] for i in twin.snapshot("boot")]
            assert [i[3] for i in tree.snapshot("boot")] == [i[3] for i in twin.snapshot("boot")]
        ours, theirs = bus.call("Manager", "GetStatus", "a{sv}", "0"), oneshot("status", tree)
        for partition in ours["partitions"] + theirs["partitions"]:
            del partition["bytes-free"]  # of the machine that runs this
        assert ours == theirs


def test_in_part():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        tree.write("nix/store/system-1/boot.json", "{}")
        result = bus.call("Esp", "Sync", "a{sv}", "0")
        assert result["exit-status"] == 5 and result["warnings"], result
        assert "exit-status" not in bus.call("Manager", "GetStatus", "a{sv}", "0")
        assert bus.call("Manager", "GetStatus", "a{sv}", "1", "check", "b", "true").get("exit-status") in (None, 6)


def test_bad_arguments():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()
        before = state(tree)
        for interface, member in MUTATING + [("Manager", "GetStatus")]:
            assert error(wire, interface, member, values=[{"no-such-option": ("b", 1)}])[0] == INVALID
            assert error(wire, interface, member, values=[{"x" * 100000: ("b", 1)}])[0] == INVALID
            assert error(wire, interface, member, "s", ["x"])[0] == INVALID
            assert error(wire, interface, member, "", [])[0] == INVALID
            assert error(wire, interface, member, "a{sv}s", [{}, "x"])[0] == INVALID
        for options in ({"bits": ("s", "2048")}, {"bits": ("u", 2048)}, {"dry-run": ("t", 1)}, {"dry-run": ("v", ("b", 1))}):
            name, lines = error(wire, "Keys", "Create", values=[options])
            assert name == INVALID and f"'{list(options)[0]}'" in lines[0], lines
        assert error(wire, "Keys", "Create", "a{sv}", [[("dry-run", ("b", 1)), ("dry-run", ("b", 1))]])[0] == INVALID
        for name in ("export", "output"):
            assert error(wire, "Firmware", "Enroll", values=[{name: ("s", "/tmp")}])[0] == INVALID, name
        assert error(wire, "Esp", "Sync", values=[{"toplevel": ("s", "/nix/" + "x" * 5000)}])[0] == INVALID
        assert error(wire, "Manager", "Cancel", "t", [0])[0] == INVALID
        assert state(tree) == before


def test_failures():
    """An operation's failure has its name, what failed in the first line, and the way out in the second."""
    prefix = f"{NAME}.Error."
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()
        bus.call("Keys", "Create", "a{sv}", "0")
        name, lines = error(wire, "Keys", "Create")
        assert name == prefix + "KeysExist" and len(lines) == 2, lines
        assert error(wire, "Esp", "Sync", values=[{"toplevel": ("s", "/nix/store/other")}])[0] == prefix + "ForeignToplevel"
        assert error(wire, "Firmware", "Enroll")[0] == prefix + "NotSupported"
        assert error(wire, "Firmware", "ListSignatures", "s", [""])[0] == prefix + "NotSupported"
        (tree.root / "boot").rename(tree.root / "elsewhere")
        assert error(wire, "Esp", "Sync")[0] == prefix + "EspNotFound"
        (tree.root / "etc/lanza").mkdir(parents=True)
        tree.write("etc/lanza/lanzad.conf", "[Boot]\nLimit=many\n")
        assert error(wire, "Esp", "Sync")[0] == prefix + "BadConfiguration"
        tree.write("etc/lanza/lanzad.conf", "")
        log = bus.text()
    assert "sync for uid 0: EspNotFound" in log and "create-keys for uid 0: done" in log, log


def test_without_interface():
    """A bus policy cannot bar these; nothing answers to them."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        wire = bus.wire()
        before = state(tree)

        def refused(connection):
            for _, member in MUTATING:
                assert error(connection, None, member)[0].startswith("org.freedesktop.DBus.Error."), member

        refused(wire)
        assert ended_well(as_nobody(lambda: refused(bus.wire())))
        assert error(wire, "Esp", "Create")[0] == "org.freedesktop.DBus.Error.UnknownMethod"
        assert state(tree) == before
        assert bus.get("Manager", "Version")


def test_nobody():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        before = state(tree)
        assert bus.call("Manager", "GetStatus", "a{sv}", "0", nobody=True)["keys-present"]
        assert bus.get("Keys", "Present", nobody=True) and bus.get("Firmware", "Mode", nobody=True) == "unsupported"
        for interface, member in MUTATING:
            done = bus.busctl("call", NAME, OBJECT, f"{NAME}.{interface}", member, "a{sv}", "0", nobody=True)
            assert done.returncode != 0 and "denied" in done.stderr, (member, done)
        done = bus.busctl("set-property", NAME, OBJECT, f"{NAME}.Keys", "Present", "b", "false", nobody=True)
        assert done.returncode != 0, done
        assert state(tree) == before
        assert bus.text().count("for uid 65534: AccessDenied") == len(MUTATING), bus.text()


class Polkit:
    """Plays polkit: takes questions and answers as it is told."""

    def __init__(self, bus):
        self.wire = bus.wire()
        flags = 4  # do not queue
        reply = self.wire.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", "su", ["org.freedesktop.PolicyKit1", flags])
        assert reply.values() == [1], reply.values()

    def question(self):
        """(message, caller, action, flags)"""
        asked = self.wire.wait(lambda message: message.type == CALL and message.fields.get(MEMBER) == "CheckAuthorization")
        subject, action, details, flags, _ = asked.values()
        assert subject[0] == "system-bus-name" and details == {}, subject
        return asked, subject[1]["name"], action, flags

    def answer(self, asked, allowed, challenge=False):
        fields = {REPLY_SERIAL: asked.serial, DESTINATION: asked.fields[SENDER]}
        self.wire.send(RETURN, fields, "(bba{ss})", [(int(allowed), int(challenge), {})])

    def refuse(self, asked):
        fields = {REPLY_SERIAL: asked.serial, DESTINATION: asked.fields[SENDER], ERROR_NAME: "org.freedesktop.PolicyKit1.Error.Failed"}
        self.wire.send(ERROR, fields, "s", ["broken"])


def test_polkit():
    """Each method asks for its action; yes is yes, and everything else is no."""
    actions = {**dict(zip(MUTATING, ["manage-keys", "enroll", "sync", "sync"])), ("Esp", "SignImage"): "enroll"}
    with Tree() as tree, PrivateBus(tree.root) as bus:
        polkit = Polkit(bus)

        def expect(interface, member, flags, wanted):
            wire = bus.wire()
            form = ("h", [0]) if member == "SignImage" else ("a{sv}", [{"dry-run": ("b", 1)}])
            fds = [memory(b"no binary")] if member == "SignImage" else []
            reply = wire.call(NAME, OBJECT, f"{NAME}.{interface}", member, *form, flags=flags, fds=fds)
            assert reply.fields.get(ERROR_NAME) in wanted, (member, reply.fields, wanted)

        for (interface, member), action in actions.items():
            for flags, verdict, wanted in (
                (0, (True, False), [None, f"{NAME}.Error.NotSupported", f"{NAME}.Error.NoKeys"]),
                (ALLOW_INTERACTIVE, (False, False), [DENIED]),
                (0, (False, True), [WITH_PASSWORD]),
                (0, None, [DENIED]),
            ):
                child = as_nobody(lambda: expect(interface, member, flags, wanted))
                asked, _, name, asked_flags = polkit.question()
                assert name == f"org.lanzaboote.lanza1.{action}", (member, name)
                assert asked_flags == (1 if flags else 0), (member, asked_flags)
                if verdict:
                    polkit.answer(asked, *verdict)
                else:
                    polkit.refuse(asked)
                assert ended_well(child), (member, verdict)


def test_polkit_after_leaving():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        polkit = Polkit(bus)
        before = state(tree)
        asked_one, leave = os.pipe()

        def call_and_leave():
            wire = bus.wire()
            wire.send_call(NAME, OBJECT, f"{NAME}.Keys", "Create", "a{sv}", [{}])
            os.close(leave)
            os.read(asked_one, 1)

        child = as_nobody(call_and_leave)
        asked = polkit.question()[0]
        os.close(leave)
        assert ended_well(child)
        os.close(asked_one)
        polkit.answer(asked, True)
        bus.call("Manager", "GetStatus", "a{sv}", "0")
        bus.call("Esp", "Sync", "a{sv}", "1", "dry-run", "b", "true")  # behind it in the queue, were it there
        assert state(tree) == before


def test_polkit_late():
    """polkit that does not answer in time: refused, others are served meanwhile, and its late consent starts nothing."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        polkit = Polkit(bus)
        before = state(tree)
        refused, late = os.pipe(), os.pipe()

        def wait_and_stay():
            os.close(late[1])
            wire = bus.wire()
            assert error(wire, "Keys", "Create")[0] == DENIED
            os.write(refused[1], b".")
            os.read(late[0], 1)
            wire.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId")
            assert not [message for message in wire.kept if REPLY_SERIAL in message.fields]

        child = as_nobody(wait_and_stay)
        os.close(refused[1])
        os.close(late[0])
        asked = polkit.question()[0]
        bus.call("Keys", "Create", "a{sv}", "1", "dry-run", "b", "true")
        assert os.read(refused[0], 1) == b"."
        polkit.answer(asked, True)
        # The bus keeps the order of what one connection sends: once this is answered the consent has arrived.
        polkit.wire.call(NAME, OBJECT, f"{NAME}.Manager", "GetStatus", "a{sv}", [{}])
        bus.call("Keys", "Create", "a{sv}", "1", "dry-run", "b", "true")  # behind it in the queue, were it there
        os.close(late[1])
        os.close(refused[0])
        assert ended_well(child)
        assert state(tree) == before


def progress(wire, phase):
    """The id of the operation of which WIRE is told that it is in PHASE."""
    found = wire.wait(lambda m: m.fields.get(MEMBER) == "Progress" and m.values()[2] == phase)
    return found.values()[0]


def check_canceled(wire, serial):
    reply = wire.wait(lambda m: m.fields.get(REPLY_SERIAL) == serial)
    assert reply.fields[ERROR_NAME] == f"{NAME}.Error.Canceled", reply.fields


def begin_long(tree, wire):
    """A sync of so many generations that what follows comes while it runs: its call's serial, and its id."""
    for number in range(3, 251):
        tree.add_generation(number)
    serial = wire.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}])
    found = wire.wait(lambda m: m.fields.get(MEMBER) == "Progress" and m.values()[4] > 0)
    return serial, found.values()[0]


def test_running():
    """What runs is not canceled: it ends by itself."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        wire = bus.wire()
        running, identifier = begin_long(tree, wire)
        assert error(wire, "Manager", "Cancel", "t", [identifier])[0] == f"{NAME}.Error.Busy"
        assert wire.wait(lambda m: m.fields.get(REPLY_SERIAL) == running).type == RETURN


def test_waiting():
    """What waits for another program's lock can be canceled, and goes with its caller."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        before = state(tree)
        with Lock(tree):
            first, second = bus.wire(), bus.wire()
            waiting = first.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}])
            identifier = progress(first, "waiting")
            assert ended_well(as_nobody(lambda: check_cancel_denied(bus, identifier)))
            assert first.call(NAME, OBJECT, f"{NAME}.Manager", "Cancel", "t", [identifier]).type == RETURN
            check_canceled(first, waiting)

            second.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}])
            progress(second, "waiting")
            second.close()
            wait_until(lambda: bus.get("Manager", "Operation") == "", "its operation is given up")
        assert state(tree) == before


def test_queue():
    """Operations take turns; those that wait can be canceled, by their caller and by root, and go with their caller."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        with Lock(tree):
            first, second, third = bus.wire(), bus.wire(), bus.wire()
            running = first.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}])
            progress(first, "waiting")
            assert bus.get("Manager", "Operation") == "sync"

            canceled = second.send_call(NAME, OBJECT, f"{NAME}.Esp", "CollectGarbage", "a{sv}", [{}])
            identifier = progress(second, "queued")
            assert ended_well(as_nobody(lambda: check_cancel_denied(bus, identifier)))
            assert second.call(NAME, OBJECT, f"{NAME}.Manager", "Cancel", "t", [identifier]).type == RETURN
            check_canceled(second, canceled)

            third.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{"toplevel": ("s", "/nix/store/system-1")}])
            identifier = progress(third, "queued")
            third.close()
            wait_until(lambda: error(second, "Manager", "Cancel", "t", [identifier])[0] == INVALID, "its call is dropped")
        assert first.wait(lambda m: m.fields.get(REPLY_SERIAL) == running).type == RETURN
        assert bus.get("Manager", "Operation") == ""
        assert bus.text().count("sync for uid 0: done") == 1, bus.text()


def check_cancel_denied(bus, identifier):
    assert error(bus.wire(), "Manager", "Cancel", "t", [identifier])[0] == DENIED


def test_limits():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        polkit = Polkit(bus)

        def flood():
            wire = bus.wire()
            serials = [wire.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}]) for _ in range(40)]
            replies = [wire.wait(lambda m: m.fields.get(REPLY_SERIAL) in serials) for _ in range(24)]
            assert {reply.fields[ERROR_NAME] for reply in replies} == {f"{NAME}.Error.LimitsExceeded"}

        child = as_nobody(flood)
        polkit.question()
        bus.call("Keys", "Create", "a{sv}", "1", "dry-run", "b", "true")  # root is served all the same
        assert ended_well(child)


def test_busy():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        with Lock(tree):
            for seconds in (0, 1):
                assert error(bus.wire(), "Esp", "Sync", values=[{"timeout": ("t", seconds)}])[0] == f"{NAME}.Error.Busy"
            assert bus.call("Manager", "GetStatus", "a{sv}", "0")["keys-present"]  # reading waits for nobody


def test_signals():
    with Tree() as tree, PrivateBus(tree.root) as bus:
        watcher = bus.wire()
        rule = f"type='signal',sender='{NAME}'"
        watcher.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "AddMatch", "s", [rule])
        bus.call("Keys", "Create", "a{sv}", "0")
        signal = watcher.wait(lambda m: m.fields.get(MEMBER) == "StateChanged")
        assert signal.values() == [["keys"]], signal.values()
        changed = watcher.wait(lambda m: m.fields.get(MEMBER) == "PropertiesChanged" and m.values()[0] == f"{NAME}.Keys").values()
        assert changed[1]["Present"] == 1 and len(changed[1]["Certificates"]) == 3, changed
        bus.call("Esp", "Sync", "a{sv}", "1", "dry-run", "b", "true")
        bus.call("Esp", "Sync", "a{sv}", "0")
        assert watcher.wait(lambda m: m.fields.get(MEMBER) == "StateChanged").values() == [["esp"]]
        kept = [message for message in watcher.kept if message.fields.get(MEMBER) in ("StateChanged", "Progress")]
        assert not kept, [message.values() for message in kept]  # none for the dry run; progress is the caller's


def test_idle():
    with Tree() as tree, PrivateBus(tree.root, "--idle-timeout=1") as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        with Lock(tree):
            wire = bus.wire()
            serial = wire.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{"timeout": ("t", 3)}])
            reply = wire.wait(lambda m: m.fields.get(REPLY_SERIAL) == serial)
            assert reply.fields[ERROR_NAME] == f"{NAME}.Error.Busy"  # longer than idle, and yet answered
        assert bus.service.wait(timeout=60) == 0
        bus.start_service(tree.root)
        assert bus.get("Keys", "Present")


def test_end():
    """Asked to end, it finishes what runs, and cancels what waits."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        wire = bus.wire()
        running, _ = begin_long(tree, wire)
        waiting = wire.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}])
        progress(wire, "queued")
        bus.service.terminate()
        check_canceled(wire, waiting)
        assert wire.wait(lambda m: m.fields.get(REPLY_SERIAL) == running).type == RETURN
        assert bus.service.wait(timeout=60) == 0


def test_end_while_locked():
    """Asked to end, it does not wait for who holds the lock."""
    with Tree() as tree, PrivateBus(tree.root) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        wire = bus.wire()
        with Lock(tree):
            waiting = wire.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}])
            progress(wire, "waiting")
            bus.service.terminate()
            check_canceled(wire, waiting)
            assert bus.service.wait(timeout=60) == 0


TESTS = {
    "introspection-equals-the-description": test_introspection,
    "description-names-every-result": test_documents,
    "every-method-stands-in-the-access-table": test_access_table,
    "results-are-those-of-oneshot": test_results,
    "what-was-done-in-part-says-so": test_in_part,
    "bad-arguments-are-refused-before-anything": test_bad_arguments,
    "failures-keep-name-message-and-hint": test_failures,
    "calls-without-interface-do-nothing": test_without_interface,
    "nobody-reads-and-does-not-write-without-polkit": test_nobody,
    "polkit-decides-and-nothing-but-yes-is-yes": test_polkit,
    "polkit-that-answers-after-the-caller-left-starts-nothing": test_polkit_after_leaving,
    "polkit-that-hangs-denies-and-its-late-consent-starts-nothing": test_polkit_late,
    "operations-take-turns-and-can-be-canceled-while-they-wait": test_queue,
    "what-runs-is-not-canceled": test_running,
    "what-waits-for-a-lock-can-be-canceled-and-goes-with-its-caller": test_waiting,
    "calls-of-one-user-are-limited": test_limits,
    "locked-is-busy-after-the-timeout": test_busy,
    "changes-are-announced-and-dry-runs-not": test_signals,
    "exits-when-idle-and-not-while-it-works": test_idle,
    "asked-to-end-it-finishes-what-runs": test_end,
    "asked-to-end-it-does-not-wait-for-a-lock": test_end_while_locked,
}

run_tests("/bus/service", {title: test for title, test in TESTS.items() if not sys.argv[1:] or title in sys.argv[1:]})
