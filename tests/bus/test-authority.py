#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what, by the real polkitd; and what any D-Bus tool can do, without lanzactl."""
import ast
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from private_bus import DENIED, NAME, OBJECT, WITH_PASSWORD, PrivateBus, as_nobody, ended_well, error, state
from program_tests import Tree, run_tests
from wire import ALLOW_INTERACTIVE, RETURN

# Each method that changes something, in the order of a setup, with its options as busctl and as gdbus take them.
WAY = [
    ("Keys", "Create", ["0"], "{}"),
    ("Esp", "Sync", ["0"], "{}"),
    ("Firmware", "Enroll", ["1", "microsoft", "s", "all"], "{'microsoft': <'all'>}"),
    ("Esp", "CollectGarbage", ["0"], "{}"),
]
ALLOW = "polkit.addRule(function(action, subject) { if (%s && subject.user == 'nobody') return polkit.Result.YES; });"
ALLOW_ALL = ALLOW % "action.id.indexOf('org.lanzaboote.lanza1.') == 0"


def firmware(tree):
    path = tree.top / "variables"
    return path.read_text() if path.exists() else None


def check_done(bus, tree):
    """Keys, images and firmware are as the WAY leaves them."""
    assert bus.get("Keys", "Present") and bus.get("Firmware", "Mode") == "user" and not bus.get("Firmware", "SetupMode")
    images = list((tree.root / "boot/EFI/Linux").iterdir())
    assert len(images) == 2, images
    judged = subprocess.run(
        ["sbverify", "--cert", tree.root / "var/lib/lanzad/keys/db/db.pem", images[0]], stdout=subprocess.PIPE, check=False
    )
    assert judged.returncode == 0
    assert bus.call("Firmware", "ListSignatures", "s", "PK")[0]["origin"] == "own"


def gdbus(bus, method, *arguments):
    command = ["gdbus", "call", "--system", "--dest", NAME, "--object-path", OBJECT, "--method", method, *arguments]
    done = subprocess.run(command, env=bus.environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, (method, done.stderr)
    return done.stdout


def test_busctl():
    with Tree() as tree, PrivateBus(tree.root, tree.firmware()) as bus:
        for interface, member, options, _ in WAY:
            bus.call(interface, member, "a{sv}", *options)
        check_done(bus, tree)


def test_gdbus():
    with Tree() as tree, PrivateBus(tree.root, tree.firmware()) as bus:
        shown = subprocess.run(
            ["gdbus", "introspect", "--system", "--dest", NAME, "--object-path", OBJECT],
            env=bus.environment, capture_output=True, text=True, timeout=90, check=True,
        )  # fmt: skip
        for interface, member, _, options in WAY:
            assert f"{member}(in  a{{sv}} options" in shown.stdout, member
            assert "'warnings': <" in gdbus(bus, f"{NAME}.{interface}.{member}", options)
        check_done(bus, tree)
        mode = gdbus(bus, "org.freedesktop.DBus.Properties.Get", f"{NAME}.Firmware", "Mode")
        assert ast.literal_eval(mode.replace("<", "").replace(">", "")) == ("user",), mode


def test_refused():
    """Without a rule nobody reads, and changes nothing; for enrolling there is not even a password."""
    with Tree() as tree, PrivateBus(tree.root, tree.firmware()) as bus:
        bus.start_polkit()
        bus.call("Keys", "Create", "a{sv}", "0")
        before = state(tree), firmware(tree)

        def refused():
            wire = bus.wire()
            for interface, member, _, _ in WAY:
                for flags in (0, ALLOW_INTERACTIVE):
                    # With the flag polkit looks for an agent that could ask, and there is none.
                    expected = WITH_PASSWORD if flags == 0 and member != "Enroll" else None
                    name, lines = error(wire, interface, member, flags=flags)
                    assert name == expected or expected is None and name in (DENIED, WITH_PASSWORD), (member, flags, name)
                    assert "lanza1." in lines[0] and "sudo" in lines[1], lines

        assert ended_well(as_nobody(refused))
        assert bus.call("Manager", "GetStatus", "a{sv}", "0", nobody=True)["mode"] == "setup"
        assert bus.get("Keys", "Present", nobody=True)
        assert bus.call("Firmware", "ListSignatures", "s", "", nobody=True) == []
        assert (state(tree), firmware(tree)) == before


def test_allowed():
    """A rule is enough, for what it names."""
    with Tree() as tree, PrivateBus(tree.root, tree.firmware()) as bus:
        bus.start_polkit(ALLOW_ALL)
        for interface, member, options, _ in WAY:
            bus.call(interface, member, "a{sv}", *options, nobody=True)
        check_done(bus, tree)
    with Tree() as tree, PrivateBus(tree.root, tree.firmware()) as bus:
        bus.start_polkit(ALLOW % "action.id == 'org.lanzaboote.lanza1.sync'")
        assert ended_well(as_nobody(lambda: only_sync(bus)))
        assert not bus.get("Keys", "Present") and firmware(tree) is None
        assert (tree.root / "boot/loader/loader.conf").is_file()


def only_sync(bus):
    wire = bus.wire()
    assert error(wire, "Keys", "Create")[0] == WITH_PASSWORD
    assert error(wire, "Firmware", "Enroll")[0] == DENIED
    assert wire.call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}]).type == RETURN


TESTS = {
    "busctl-alone-goes-the-whole-way": test_busctl,
    "gdbus-alone-goes-the-whole-way": test_gdbus,
    "nobody-reads-and-is-refused-by-polkit": test_refused,
    "a-rule-of-polkit-allows-what-it-names": test_allowed,
}

run_tests("/bus/authority", TESTS)
