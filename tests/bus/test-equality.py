#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A verb's result is the same whoever is asked: the service by a plain call, the service by lanzactl, or lanzad --oneshot. Each
is asked on the same machine in the same state."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from bus_machine import LANZACTL, Machine
from private_bus import NAME, OBJECT, PrivateBus, memory, plain
from program_tests import STUB, run_tests
from wire import ERROR


# verb -> the members that serve it: (interface, member, the part of the result that a list is). setup is made of other verbs,
# and what monitor shows is no result.
MEMBERS = {
    "create-keys": [("Keys", "Create", None)],
    "enroll-keys": [("Firmware", "Enroll", None)],
    "list-enrolled-keys": [("Firmware", "ListSignatures", "keys")],
    "sync": [("Esp", "Sync", None)],
    "gc": [("Esp", "CollectGarbage", None)],
    "status": [("Manager", "GetStatus", None)],
    "sign": [("Esp", "SignImage", None)],
    "list": [("Esp", "ListGenerations", "generations"), ("Esp", "ListImages", "images"), ("Esp", "ListPartitions", "partitions")],
    "security": [("Security", "GetHostSecurityAttrs", "attributes")],
}
OTHERS = ["monitor", "setup"]


class Resettable(Machine):
    def save(self):
        """Function that puts things back as they are now."""
        copy, lines = self.top / "copy", self.variables()
        subprocess.run(["cp", "-a", self.root, copy], check=True)

        def restore():
            shutil.rmtree(self.root)
            subprocess.run(["cp", "-a", copy, self.root], check=True)
            self.set_variables(lines)

        return restore

    def files(self):
        found = {}
        for path in sorted((self.root / "boot").rglob("*")):
            found[str(path.relative_to(self.root))] = path.read_bytes() if path.is_file() else None
        return found


def by_oneshot(machine, verb, options):
    return machine.oneshot(verb, *options)


def by_lanzactl(machine, verb, options):
    with PrivateBus(machine.root, machine.firmware()) as bus:
        status, output = machine.lanzactl(bus, verb, "--json=short", *options)
        return status, json.loads(output)


def arguments(options):
    """a{sv}, as busctl takes it."""
    words = []
    for option in options:
        name, _, value = option.lstrip("-").partition("=")
        if not option.startswith("--"):
            words += ["toplevel", "s", option]
        elif value.isdigit():
            words += [name, "t", value]
        else:
            words += [name, "s", value] if value else [name, "b", "true"]
    return ["a{sv}", str(len(words) // 3), *words]


def sign_by_call(machine, options):
    """A file is what the caller makes of it: the bytes are what the service has a part in."""
    result = {"dry-run": "--dry-run" in options, "files": []}
    with PrivateBus(machine.root, machine.firmware()) as bus:
        wire = bus.wire()
        for path in (Path(option) for option in options if not option.startswith("--")):
            content = path.read_bytes()
            reply = wire.call(NAME, OBJECT, f"{NAME}.Esp", "SignImage", "h", [0], fds=[memory(content)])
            assert reply.type != ERROR, reply.values()
            made = os.pread(wire.fds.pop(), 1 << 26, 0)
            result["files"].append({"path": str(path), "signed": made != content})
            if not result["dry-run"]:
                path.write_bytes(made)
    return 0, result


def by_call(machine, verb, options):
    if verb == "sign":
        return sign_by_call(machine, options)
    result = {}
    with PrivateBus(machine.root, machine.firmware()) as bus:
        for interface, member, part in MEMBERS[verb]:
            words = arguments(options) if not part else ["s", options[0].partition("=")[2] if options else ""] if part == "keys" else []
            done = bus.busctl("call", NAME, OBJECT, f"{NAME}.{interface}", member, *words)
            if done.returncode != 0:
                return None, done.stderr
            answer = plain(json.loads(done.stdout))[0]
            result.update({part: answer} if part else answer)
        if verb == "security":
            result["host-security-id"] = bus.get("Security", "HostSecurityId")
    if verb == "list":
        result["warnings"] = []
    return result.pop("exit-status", 0), result


def without_chance(value, name=None):
    """New keys are never the same, the disk is others', too, and time goes on."""
    if name in ("fingerprint", "not-after", "bytes-free", "bytes-total", "Created"):
        return "…"
    if isinstance(value, dict):
        return {key: without_chance(item, key) for key, item in value.items()}
    return [without_chance(item) for item in value] if isinstance(value, list) else value


def compare(machine, verb, *options):
    """Returns the result."""
    restore = machine.save()
    seen = []
    for way in (by_oneshot, by_lanzactl, by_call):
        restore()
        status, result = way(machine, verb, options)
        seen.append((status, without_chance(result), machine.files()))
    shutil.rmtree(machine.top / "copy")
    for other in seen[1:]:
        assert other[0] == seen[0][0], (verb, options, other[:2], seen[0][:2])
        assert other[1] == seen[0][1], (verb, options, other[1], seen[0][1])
        assert other[2] == seen[0][2], (verb, options)
    assert seen[0][0] in (0, 5, 6), (verb, options, seen[0][:2])
    return seen[0][1]


def test_every_verb():
    text = subprocess.run([LANZACTL, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    verbs = re.findall(r"^  ([a-z][a-z-]+)  ", text, re.MULTILINE)
    assert sorted(verbs) == sorted([*MEMBERS, *OTHERS]), verbs
    titles = " ".join(TESTS)
    assert all(re.search(rf"\b{verb}\b", titles) for verb in MEMBERS), titles


def test_create_keys():
    with Resettable() as machine:
        compare(machine, "create-keys", "--dry-run")
        assert compare(machine, "create-keys", "--bits=2048")["created"] == ["PK", "KEK", "db"]
        (machine.root / "var/lib/lanzad/keys/db/db.key").unlink()
        (machine.root / "var/lib/lanzad/keys/db/db.pem").unlink()
        assert compare(machine, "create-keys")["created"] == ["db"]


def test_sync():
    with Resettable() as machine:
        machine.prepare(["create-keys"])
        compare(machine, "sync", "--dry-run")
        assert len(compare(machine, "sync", "--timeout=5")["partitions"][0]["images-written"]) == 2
        assert compare(machine, "sync")["partitions"][0]["images-kept"] == 2
        assert compare(machine, "sync", "/nix/store/system-1")["partitions"][0]["loaders-written"] == ["loader/loader.conf"]
        stub = machine.root / "usr/lib/lanzad/lanzastubx64.efi"
        content = bytearray(stub.read_bytes())
        content[len(content) // 2] ^= 1
        stub.write_bytes(content)
        assert compare(machine, "sync")["partitions"][0]["images-kept"] == 2
        assert len(compare(machine, "sync", "--restub")["partitions"][0]["images-written"]) == 2
        machine.write("nix/store/system-1/boot.json", "{}")
        assert compare(machine, "sync")["warnings"]


def test_partitions():
    """Two ESPs, one of them missing at first, and an XBOOTLDR partition."""
    with Resettable() as machine:
        machine.prepare(["create-keys"])
        machine.write("etc/lanza/lanzad.conf.d/partitions.conf", "[Esp]\nExtraPaths=/boot2\nXbootldrPath=/xboot\n")
        (machine.root / "xboot").mkdir(mode=0o700)
        first, xbootldr, second = compare(machine, "sync")["partitions"]
        assert "problem" not in first and len(xbootldr["images-written"]) == 2 and second["error"] == "EspNotFound"
        (machine.root / "boot2").mkdir(mode=0o700)
        assert len(compare(machine, "sync")["partitions"][2]["images-written"]) == 2
        (machine.root / "nix/var/nix/profiles/system-1-link").unlink()
        assert [len(partition["images-removed"]) for partition in compare(machine, "gc")["partitions"]] == [0, 1, 1]
        assert len(compare(machine, "list")["images"]) == 2
        compare(machine, "status")


def test_gc():
    with Resettable() as machine:
        machine.prepare(["create-keys"], ["sync"])
        (machine.root / "nix/var/nix/profiles/system-1-link").unlink()
        compare(machine, "gc", "--dry-run")
        assert len(compare(machine, "gc")["partitions"][0]["images-removed"]) == 1


def test_firmware():
    with Resettable() as machine:
        machine.prepare(["create-keys"], ["sync"])
        compare(machine, "list-enrolled-keys")
        compare(machine, "enroll-keys", "--microsoft=all", "--dry-run")
        assert compare(machine, "enroll-keys", "--microsoft=windows,option-rom", "--timestamp=1800000000")["reboot-needed"]
        assert len(compare(machine, "list-enrolled-keys")["keys"]) == 9
        assert len(compare(machine, "list-enrolled-keys", "--variable=KEK")["keys"]) == 3


def test_sign():
    with Resettable() as machine:
        machine.prepare(["create-keys"])
        for name in ("boot/EFI/tools/a.efi", "boot/EFI/tools/b.efi"):
            machine.write(name, STUB.read_bytes())
        first, second = (str(machine.root / f"boot/EFI/tools/{name}.efi") for name in "ab")
        assert compare(machine, "sign", "--dry-run", first)["files"] == [{"path": first, "signed": True}]
        machine.prepare(["sign", first])
        assert [file["signed"] for file in compare(machine, "sign", first, second)["files"]] == [False, True]


def test_reading():
    with Resettable() as machine:
        for verb in ("status", "list", "security"):
            compare(machine, verb)
        compare(machine, "status", "--check")
        machine.prepare(["create-keys"], ["sync"], ["enroll-keys", "--microsoft"])
        machine.restart()
        for verb in ("status", "list", "security"):
            compare(machine, verb)
        assert compare(machine, "status", "--check")["problems"] == []


TESTS = {
    "no-verb-is-left-out": test_every_verb,
    "create-keys": test_create_keys,
    "sync": test_sync,
    "sync-of-several-partitions": test_partitions,
    "gc": test_gc,
    "enroll-keys-and-list-enrolled-keys": test_firmware,
    "sign": test_sign,
    "status-list-and-security": test_reading,
}

run_tests("/bus/equality", {title: test for title, test in TESTS.items() if not sys.argv[1:] or title in sys.argv[1:]})
