#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the service notices of others' changes, and what it tells of its own: once, and only what is different."""
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(__import__("pathlib").Path(__file__).resolve().parents[1] / "lib"))

from private_bus import NAME, OBJECT, PrivateBus, as_nobody, ended_well, error
from program_tests import LANZAD, Tree, run_tests
from wire import MEMBER, RETURN



def is_told(message):
    """Whether that is a signal that is tested here."""
    member = message.fields.get(MEMBER)
    own = [f"{NAME}.{interface}" for interface in ("Keys", "Firmware", "Esp")]
    return member == "StateChanged" or member == "PropertiesChanged" and message.values()[0] in own


class Listener:
    """Hears what the service tells everybody."""

    def __init__(self, bus):
        self.bus, self.wire = bus, bus.wire()
        rule = f"type='signal',sender='{NAME}'"
        self.wire.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "AddMatch", "s", [rule])

    def state(self):
        """The words of the next StateChanged."""
        return self.wire.wait(lambda m: m.fields.get(MEMBER) == "StateChanged").values()[0]

    def properties(self, interface):
        """The next changed properties of an interface."""
        wanted = f"{NAME}.{interface}"
        found = self.wire.wait(lambda m: m.fields.get(MEMBER) == "PropertiesChanged" and m.values()[0] == wanted)
        return found.values()[1]

    def keys_made(self):
        """All that changes while another program makes keys, which takes its time."""
        changed = {}
        while "Present" not in changed:
            assert self.state() == ["keys"]
            changed.update(self.properties("Keys"))
        return changed

    def rest(self):
        """Everything else that was told until the service has looked once more, but for what runs."""
        assert self.wire.call(NAME, OBJECT, f"{NAME}.Manager", "Reload").type == RETURN
        told = [message.values() for message in self.wire.kept if is_told(message)]
        self.wire.kept.clear()
        return told


@contextmanager
def served(*options, keys=False, synced=False):
    with Tree() as tree:
        for wanted, verb in ((keys or synced, "create-keys"), (synced, "sync")):
            if wanted:
                oneshot(verb, tree)
        with PrivateBus(tree.root, *[option(tree) for option in options]) as bus:
            yield tree, bus, Listener(bus)


def oneshot(verb, tree, *options):
    subprocess.run([str(LANZAD), "--oneshot", verb, tree.option(), *options], stdout=subprocess.PIPE, check=True)


def test_keys():
    with served() as (tree, bus, listener):
        oneshot("create-keys", tree)
        changed = listener.keys_made()
        assert changed["Present"] == 1 and len(changed["Certificates"]) == 3 and len(changed["OwnerGuid"]) == 36, changed
        assert listener.rest() == []

        pem = tree.root / "var/lib/lanzad/keys/db/db.pem"
        pem.rename(pem.with_suffix(".old"))
        assert listener.state() == ["keys"]
        changed = listener.properties("Keys")
        assert set(changed) == {"Present", "Certificates"} and len(changed["Certificates"]) == 2, changed
        pem.with_suffix(".old").rename(pem)
        assert listener.state() == ["keys"] and listener.properties("Keys")["Present"] == 1

        shutil.rmtree(tree.root / "var/lib/lanzad")
        assert listener.state() == ["keys"] and listener.properties("Keys")["Present"] == 0
        oneshot("create-keys", tree)  # a folder of the same name, and yet another one
        assert listener.keys_made()["Present"] == 1
        assert listener.rest() == []


def test_firmware():
    with served(Tree.firmware, synced=True) as (tree, bus, listener):
        assert bus.get("Firmware", "Mode") == "setup"
        oneshot("enroll-keys", tree, tree.firmware(), "--microsoft")
        assert listener.state() == ["firmware"]
        assert listener.properties("Firmware") == {"SetupMode": 0, "Mode": "user"}
        listener.rest()  # it writes three variables, and may be slow
        tree.restart()
        assert listener.state() == ["firmware"] and listener.properties("Firmware") == {"SecureBoot": 1}
        assert listener.rest() == []


def test_esp():
    with served(synced=True) as (tree, bus, listener):
        images = tree.root / "boot/EFI/Linux"
        (images / "other.efi").write_bytes(b"")
        assert listener.state() == ["esp"]
        (images / "other.efi").unlink()
        assert listener.state() == ["esp"]
        for path in ("EFI/nixos/other", "EFI/systemd/other", "EFI/BOOT/other", "loader/loader.conf"):
            (tree.root / "boot" / path).write_text("x")
            assert listener.state() == ["esp"], path
        listener.rest()
        (tree.root / "boot/loader/random-seed").write_text("x")  # nobody is told what changes at each start
        assert listener.rest() == []
        stamp = os.stat(tree.root / "boot/loader/loader.conf")
        with open(tree.root / "boot/loader/loader.conf", "r+b") as file:  # a clock as coarse as FAT's sees no difference
            file.write(b"y")
            file.flush()
            os.utime(file.fileno(), ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert listener.state() == ["esp"]


def test_folders_come_and_go():
    with served(synced=True) as (tree, bus, listener):
        boot, away = tree.root / "boot", tree.top / "away"
        for folder in (boot / "EFI/Linux", boot / "EFI", boot):
            folder.rename(away)
            assert listener.state() == ["esp"], folder
            away.rename(folder)
            assert listener.state() == ["esp"], folder
            (boot / "EFI/Linux/new.efi").write_bytes(b"")
            assert listener.state() == ["esp"], folder
            (boot / "EFI/Linux/new.efi").unlink()
            assert listener.state() == ["esp"], folder
        shutil.copytree(boot, away)
        shutil.rmtree(boot)
        assert listener.state() == ["esp"]
        while bus.call("Esp", "ListPartitions"):
            assert listener.state() == ["esp"]
        listener.rest()
        away.rename(boot)
        assert listener.state() == ["esp"]
        assert len(bus.call("Esp", "ListImages")) == 2


def test_mounts():
    """Where mounting is allowed: it hides what is there without touching it."""
    with served(synced=True) as (tree, bus, listener):
        boot = tree.root / "boot"
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", boot], check=True)
        try:
            assert listener.state() == ["esp"]
            assert bus.call("Esp", "ListImages") == []
            (boot / "EFI/Linux").mkdir(parents=True)
            assert listener.state() == ["esp"]
            listener.rest()
            (boot / "EFI/Linux/new.efi").write_bytes(b"")
            assert listener.state() == ["esp"]
        finally:
            subprocess.run(["umount", boot], check=True)
        assert listener.state() == ["esp"]
        assert len(bus.call("Esp", "ListImages")) == 2
        assert listener.rest() == []


def test_generations():
    with served() as (tree, bus, listener):
        tree.add_generation(3)
        assert listener.state() == ["generations"]
        assert [item["number"] for item in bus.call("Esp", "ListGenerations")] == [3, 2, 1]
        others = tree.root / "nix/var/nix/profiles/system-profiles"
        others.mkdir()
        assert listener.state() == ["generations"]
        listener.rest()
        (others / "test-1-link").symlink_to("/nix/store/system-1")
        assert listener.state() == ["generations"]
        assert listener.rest() == []


def test_burst():
    """Much at once is told once; what does not end is told from time to time."""
    with served(synced=True) as (tree, bus, listener):
        contents = tree.root / "boot/EFI/nixos"
        begin = time.monotonic()
        for number in range(500):
            (contents / f"file-{number}").write_text("x")
        duration = time.monotonic() - begin
        assert listener.state() == ["esp"]
        told = 1 + len(listener.rest())
        assert told <= duration / 2 + 2, (told, duration)
        begin = time.monotonic()
        while time.monotonic() < begin + 5:
            (contents / "file").write_text("x")
            time.sleep(0.01)
        duration = time.monotonic() - begin
        assert listener.state() == ["esp"]
        told = 1 + len(listener.rest())
        print(f"# {told} signals in {duration:.1f} s")
        assert 2 <= told <= duration / 2 + 2, (told, duration)


def test_own():
    """An operation's changes are told once, before its answer, and nothing if it changed nothing."""
    with served(Tree.firmware) as (tree, bus, listener):
        def run(interface, member, options, state, properties):
            reply = listener.wire.call(NAME, OBJECT, f"{NAME}.{interface}", member, "a{sv}", [options])
            assert reply.type == RETURN, reply.values()
            told = [message.values() for message in listener.wire.kept if is_told(message)]
            listener.wire.kept.clear()
            assert [values[0] for values in told if len(values) == 1] == state, told
            assert [sorted(values[1]) for values in told if len(values) == 3] == properties, told
            time.sleep(0.5)  # its own traces would be noticed by then
            assert listener.rest() == []

        run("Keys", "Create", {"dry-run": ("b", 1)}, [], [])
        run("Keys", "Create", {}, [["keys"]], [["Certificates", "OwnerGuid", "Present"]])
        run("Esp", "Sync", {"dry-run": ("b", 1)}, [], [])
        run("Esp", "Sync", {}, [["esp"]], [])
        run("Esp", "Sync", {}, [], [])
        run("Firmware", "Enroll", {"microsoft": ("s", "all")}, [["firmware"]], [["Mode", "SetupMode"]])
        run("Esp", "CollectGarbage", {}, [], [])


def test_both():
    """What others change while an operation of ours runs elsewhere is told all the same."""
    with served(synced=True) as (tree, bus, listener):
        for number in range(3, 20):
            tree.add_generation(number)
        assert listener.state() == ["generations"]
        listener.rest()
        listener.wire.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}])
        (tree.root / "var/lib/lanzad/keys/KEK/KEK.pem").unlink()
        words = sorted([listener.state(), listener.state()])
        assert words == [["esp"], ["keys"]], words


def test_reload():
    """The answer comes when all is told; for everybody."""
    with served(synced=True) as (tree, bus, listener):
        def reload_():
            return listener.wire.call(NAME, OBJECT, f"{NAME}.Manager", "Reload").type == RETURN

        (tree.root / "boot/EFI/Linux/other.efi").write_bytes(b"")
        shutil.rmtree(tree.root / "var/lib/lanzad/keys")
        assert reload_()
        told = [message.values() for message in listener.wire.kept if is_told(message)]
        assert {word for values in told if len(values) == 1 for word in values[0]} == {"keys", "esp"}, told
        assert [values[1] for values in told if len(values) == 3][-1]["Present"] == 0, told
        listener.wire.kept.clear()
        assert reload_() and listener.rest() == []
        assert ended_well(as_nobody(lambda: bus.wire().call(NAME, OBJECT, f"{NAME}.Manager", "Reload").type == RETURN or 1 / 0))
        tree.write("etc/lanza/lanzad.conf", "[Boot]\nLimit=many\n")
        assert error(listener.wire, "Manager", "Reload", "", [])[0] == f"{NAME}.Error.BadConfiguration"
        tree.write("etc/lanza/lanzad.conf", "[Keys]\nDirectory=/elsewhere\n")
        oneshot("create-keys", tree)
        assert reload_() and listener.keys_made()["Present"] == 1
        shutil.rmtree(tree.root / "elsewhere")  # is watched from now on
        assert listener.state() == ["keys"]


def test_idle():
    """Being told of changes is no reason to stay."""
    with Tree() as tree, PrivateBus(tree.root, "--idle-timeout=1") as bus:
        for number in range(30):
            if bus.service.poll() is not None:
                break
            tree.write(f"boot/EFI/Linux/{number}.efi", "")
            time.sleep(0.2)
        assert bus.service.wait(timeout=60) == 0


TESTS = {
    "others-change-the-key-store": test_keys,
    "others-change-the-firmware": test_firmware,
    "others-change-the-esp": test_esp,
    "folders-come-and-go": test_folders_come_and_go,
    "the-esp-is-mounted-and-unmounted": test_mounts,
    "others-change-the-generations": test_generations,
    "a-burst-is-one-signal": test_burst,
    "own-changes-are-told-once-and-only-what-is-different": test_own,
    "others-changes-are-told-while-it-works": test_both,
    "reload-looks-at-once": test_reload,
    "noticing-keeps-nobody-awake": test_idle,
}

run_tests("/bus/notice", {title: test for title, test in TESTS.items() if not sys.argv[1:] or title in sys.argv[1:]})
