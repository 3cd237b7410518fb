#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every error has its name on the bus, its exit status, and a message that says what failed and what to do. Each is raised
here, by lanzad --oneshot and by lanzactl through the service."""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from bus_machine import LANZACTL, Machine
from private_bus import NAME, OBJECT, PRIVATE_MOUNTS, SOURCE, Lock, PrivateBus, memory, wait_until
from program_tests import LANZAD, run_tests
from wire import MEMBER, RETURN

FAILED, REFUSED = 1, 3
MICROSOFT = ("enroll-keys", "--microsoft")

CALLS_OF_USER_MAX = 16

# What no operation raises so far: firmware does not tell it from a wrong key, and both are FirmwareRefused.
NOT_YET = ["TimestampNotNewer"]
# I/O, memory, a defect: there is no one way out.
ANYTHING_ELSE = ["Failed"]


class Broken(Machine):
    """A machine where something is about to fail."""

    def __init__(self):
        super().__init__()
        self.lanzad = LANZAD

    def ready(self):
        self.prepare(["create-keys"], ["sync"])

    def enrolled(self):
        self.ready()
        self.prepare(MICROSOFT)
        self.restart()

    def new_keys(self):
        shutil.rmtree(self.root / "var")
        self.prepare(["create-keys"])

    def firmware_says(self, line):
        """A line of the firmware's file, behind the first."""
        self.prepare(["sync"])
        lines = self.variables() or ["lanzad-variables 1"]
        self.set_variables([lines[0], line, *[other for other in lines[1:] if other.split()[0] != line.split()[0]]])

    def mount_esp(self, options):
        """lanzad finds a file system on /boot, which nobody else sees."""
        self.lanzad = self.top / "lanzad-with-esp"
        script = (
            f"mount -t tmpfs -o mode=0700,{options} tmpfs {self.root}/boot; "
            f'exec {LANZAD.resolve()} "$@"'
        )
        self.lanzad.write_text(f"#!/bin/sh\nexec {' '.join(PRIVATE_MOUNTS)} sh -ec '{script}' sh \"$@\"\n")
        self.lanzad.chmod(0o755)


def with_secrets(machine):
    machine.set_bootspec(2, initrdSecrets="/nix/store/secrets")


def no_keys(machine):
    return MICROSOFT


def keys_exist(machine):
    machine.prepare(["create-keys"])
    return ("create-keys",)


def bad_keys(machine):
    machine.prepare(["create-keys"])
    machine.write("var/lib/lanzad/keys/db/db.pem", "no certificate")
    return ("sync",)


def not_in_setup_mode(machine):
    machine.enrolled()
    machine.new_keys()
    return MICROSOFT


def firmware_refused(machine):
    machine.ready()
    machine.firmware_says("fail-write 3 13")
    return MICROSOFT


def variables_read_only(machine):
    machine.ready()
    machine.firmware_says("read-only")
    return MICROSOFT


def variable_store_full(machine):
    machine.ready()
    machine.firmware_says("capacity 2000")
    return MICROSOFT


def not_supported(machine):
    machine.ready()
    machine.options = lambda: [machine.option()]
    return MICROSOFT


def option_rom_risk(machine):
    machine.ready()
    return ("enroll-keys",)


def would_not_boot(machine):
    machine.enrolled()
    machine.new_keys()
    return ("sync",)


def esp_not_found(machine):
    machine.prepare(["create-keys"])
    machine.write("etc/lanza/lanzad.conf", "[Esp]\nPath=/efi\n")
    return ("sync",)


def esp_full(machine):
    machine.prepare(["create-keys"])
    machine.mount_esp("size=100k")
    return ("sync",)


def esp_read_only(machine):
    machine.prepare(["create-keys"])
    machine.mount_esp("ro")
    return ("sync",)


def esp_not_private(machine):
    """Which has secrets on it."""
    machine.prepare(["create-keys"])
    with_secrets(machine)
    with PrivateBus(machine.root, machine.firmware()) as bus:
        options = {"initrd-secrets": ("a(sh)", [("/nix/store/system-2", 0)])}
        reply = bus.wire().call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [options], fds=[memory(b"secret")])
        assert reply.type == RETURN, reply.values()
    (machine.root / "boot").chmod(0o755)
    machine.write("etc/lanza/lanzad.conf", "[Esp]\nStrictPermissions=yes\n")
    return ("sync",)


def bad_bootspec(machine):
    machine.prepare(["create-keys"])
    machine.write("nix/store/system-2/boot.json", "{}")
    return ("sync",)


def bad_image(machine):
    machine.prepare(["create-keys"])
    machine.write("usr/lib/lanzad/lanzastubx64.efi", "no program")
    return ("sync",)


def bad_configuration(machine):
    machine.write("etc/lanza/lanzad.conf", "[Boot]\nLimit=many\n")
    return ("gc",)


def nothing_bootable(machine):
    machine.prepare(["create-keys"])
    shutil.rmtree(machine.root / "nix/var/nix/profiles")
    (machine.root / "nix/var/nix/profiles").mkdir()
    return ("sync",)


def foreign_toplevel(machine):
    machine.prepare(["create-keys"])
    return ("sync", "/nix/store/other")


def secrets_failed(machine):
    """Of the service, which runs no program; lanzad --oneshot does, on a machine that runs: tests/ops, tests/vm."""
    machine.prepare(["create-keys"])
    with_secrets(machine)
    return ("sync",)


# name -> exit status, how it is raised, what its message names, who raises it
BOTH, SERVICE = ("oneshot", "service"), ("service",)
ERRORS = {
    "NoKeys": (REFUSED, no_keys, "has no key for PK", BOTH),
    "KeysExist": (REFUSED, keys_exist, "/var/lib/lanzad", BOTH),
    "BadKeys": (REFUSED, bad_keys, "/var/lib/lanzad/keys/db/db.pem holds no certificate", BOTH),
    "NotInSetupMode": (REFUSED, not_in_setup_mode, "the firmware is in User Mode", BOTH),
    "FirmwareRefused": (REFUSED, firmware_refused, "The firmware refused to change PK", BOTH),
    "VariablesReadOnly": (REFUSED, variables_read_only, "is read-only", BOTH),
    "VariableStoreFull": (REFUSED, variable_store_full, "bytes", BOTH),
    "NotSupported": (REFUSED, not_supported, "There are no EFI variables", BOTH),
    "OptionRomRisk": (REFUSED, option_rom_risk, "Microsoft's certificates for devices", BOTH),
    "WouldNotBoot": (REFUSED, would_not_boot, "nixos-generation-2-", BOTH),
    "EspNotFound": (REFUSED, esp_not_found, "/efi does not exist", BOTH),
    "EspFull": (REFUSED, esp_full, "bytes are needed", BOTH),
    "EspReadOnly": (REFUSED, esp_read_only, "/boot is mounted read-only", BOTH),
    "EspNotPrivate": (REFUSED, esp_not_private, "/boot can be read by others", BOTH),
    "BadBootspec": (REFUSED, bad_bootspec, "/nix/store/system-2/boot.json", BOTH),
    "BadImage": (REFUSED, bad_image, "/usr/lib/lanzad/lanzastubx64.efi is no PE image", BOTH),
    "BadConfiguration": (REFUSED, bad_configuration, "/etc/lanza/lanzad.conf:2: Limit=many", BOTH),
    "SecretsFailed": (REFUSED, secrets_failed, "generation 2 needs initrd secrets", SERVICE),
    "NothingBootable": (REFUSED, nothing_bootable, "no well-formed generation", BOTH),
    "ForeignToplevel": (REFUSED, foreign_toplevel, "/nix/store/other", BOTH),
    "Busy": (FAILED, None, "the key store", BOTH),
    "Canceled": (FAILED, None, "gc was canceled", SERVICE),
    "LimitsExceeded": (FAILED, None, f"{CALLS_OF_USER_MAX} calls of user 0", SERVICE),
}


def judge(name, status, result):
    """Returns message and hint."""
    wanted, _, part, _ = ERRORS[name]
    error = result.get("error", {})
    assert error.get("name") == f"{NAME}.Error.{name}" and status == wanted, (name, status, result)
    assert part in error["message"], (name, error)
    assert len(error.get("hint", "")) > 20, (name, error)
    return error["message"], error["hint"]


def check(name):
    """By all who raise it, with the same words; and nothing on the ESP is changed."""
    prepare, ways = ERRORS[name][1], ERRORS[name][3]
    with Broken() as machine:
        words = prepare(machine)
        before, lines, found = machine.snapshot("boot"), machine.variables(), set()
        if ways == BOTH:
            found.add(judge(name, *machine.oneshot(*words, program=machine.lanzad)))
        machine.set_variables(lines)
        with PrivateBus(machine.root, *machine.options()[1:], program=machine.lanzad) as bus:
            status, output = machine.lanzactl(bus, words[0], "--json=short", *words[1:])
            found.add(judge(name, status, json.loads(output)))
        assert len(found) == 1, found
        assert machine.snapshot("boot") == before, name


def progress(wire, phase):
    """The id of a call of WIRE's that is in this PHASE."""
    return wire.wait(lambda m: m.fields.get(MEMBER) == "Progress" and m.values()[2] == phase).values()[0]


def test_busy():
    with Machine() as machine:
        machine.prepare(["create-keys"])
        with Lock(machine), PrivateBus(machine.root, machine.firmware()) as bus:
            found = judge("Busy", *machine.oneshot("sync", "--timeout=0"))
            status, output = machine.lanzactl(bus, "sync", "--json=short", "--timeout=0")
            assert judge("Busy", status, json.loads(output)) == found


def test_canceled():
    with Machine() as machine:
        machine.prepare(["create-keys"])
        with PrivateBus(machine.root, machine.firmware()) as bus, Lock(machine):
            wire = bus.wire()
            wire.send_call(NAME, OBJECT, f"{NAME}.Esp", "Sync", "a{sv}", [{}])
            running = progress(wire, "waiting")
            command = [LANZACTL, "gc", "--json=short"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=bus.environment) as process:

                def cancel():
                    ids = range(running + 1, running + 9)
                    return any(wire.call(NAME, OBJECT, f"{NAME}.Manager", "Cancel", "t", [number]).type == RETURN for number in ids)

                wait_until(cancel, "lanzactl's call is one of the next ones")
                judge("Canceled", process.wait(timeout=60), json.loads(process.stdout.read()))


def test_limits():
    with Machine() as machine:
        machine.prepare(["create-keys"])
        with PrivateBus(machine.root, machine.firmware()) as bus, Lock(machine):
            wire = bus.wire()
            for _ in range(CALLS_OF_USER_MAX):
                wire.send_call(NAME, OBJECT, f"{NAME}.Esp", "CollectGarbage", "a{sv}", [{}])
            wire.call(NAME, OBJECT, "org.freedesktop.DBus.Properties", "Get", "ss", [f"{NAME}.Manager", "Version"])  # is behind them
            status, output = machine.lanzactl(bus, "gc", "--json=short")
            judge("LimitsExceeded", status, json.loads(output))


def test_no_error_is_left_out():
    """Neither of those that the program knows, nor of those that are documented."""
    source = (SOURCE / "daemon/util/failure.c").read_text()
    known = re.findall(r'\[CONDITION_\w+\] =\s*\{"(\w+)"', source)
    assert len(known) > 20 and sorted(known) == sorted([*ERRORS, *NOT_YET, *ANYTHING_ELSE]), known
    interfaces = "".join(path.read_text() for path in (SOURCE / "dbus").glob("*.xml"))
    page = (SOURCE / "units/lanzad.8").read_text()
    shown = re.findall(r"^\.It Er (\w+)$", page, re.MULTILINE)
    assert sorted(shown) == sorted([*ERRORS, *ANYTHING_ELSE]), shown
    missing = [name for name in shown if not re.search(rf"\b{name}\b", interfaces)]
    assert not missing, missing


TESTS = {
    "Busy": test_busy,
    "Canceled": test_canceled,
    "LimitsExceeded": test_limits,
    "none-is-left-out": test_no_error_is_left_out,
}
TESTS = {**{name: lambda name=name: check(name) for name in ERRORS if name not in TESTS}, **TESTS}

run_tests("/bus/errors", {title: test for title, test in TESTS.items() if not sys.argv[1:] or title in sys.argv[1:]})
