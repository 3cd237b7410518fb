#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From an unsigned system to a machine whose firmware enforces, and no key is pressed: the units for provisioning make the keys, sign,
enroll and reboot. The power goes at each of their stages, and what was begun is finished at the next start. Then nothing more is done.
"""
import json
import os

import tap
from archive import Entry
from images import Images
from nixos_machine import NixosMachine, installed

UNITS = ("lanzad-generate-keys", "lanzad-sign-images", "lanzad-enroll-keys")
SYSTEM = "/etc/systemd/system"

# Stops a unit where it stands until the power goes, once.
HOLD = """#!/bin/bash
[ -e "/hold/$1" ] || exit 0
rm "/hold/$1"
sync
echo "held: $1" >/dev/console
exec sleep infinity
"""

# Before which line of which unit, each once.
HOLDS = {
    **({"before-the-keys": ("lanzad-generate-keys", "create-keys")} if os.environ.get("LANZA_LONG") else {}),
    "after-the-keys": ("lanzad-sign-images", "sync"),
    "after-signing": ("lanzad-sign-images", "/usr/bin/rm"),
    "after-enrolling": ("lanzad-enroll-keys", "/usr/bin/touch"),
}


def holding_unit(name):
    """The unit as it is installed, and a hold before each line that HOLDS names."""
    lines = []
    for line in installed()[f"/usr/lib/systemd/system/{name}.service"].content.decode().splitlines():
        for hold, (unit, word) in HOLDS.items():
            if unit == name and line.startswith("ExecStart=") and word in line:
                lines.append(f"ExecStart=/usr/lib/tests/hold {hold}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def enabled():
    """The units, enabled as `systemctl enable` would in this system's target, with the reboot."""
    entries = {"/usr/lib/tests/hold": Entry(HOLD.encode(), 0o755)}
    for name in UNITS:
        entries[f"{SYSTEM}/{name}.service"] = Entry(holding_unit(name).encode())
        entries[f"{SYSTEM}/machine.target.wants/{name}.service"] = Entry(f"../{name}.service")
    entries[f"{SYSTEM}/lanzad-enroll-keys.service.d/reboot.conf"] = Entry(
        installed()["/usr/share/doc/lanzad/reboot-after-enrollment.conf"].content)
    for hold in HOLDS:
        entries[f"/hold/{hold}"] = Entry(b"")
    return entries


def cut_at(machine, hold):
    """Switches on, and the power goes where HOLD is."""
    machine.start()
    machine.wait_console(f"held: {hold}")
    machine.kill()


def unit_states(machine):
    """Name -> (state, whether it was run in this boot)."""
    found = {}
    for name in UNITS:
        shown = machine.run(f"systemctl show --property=ActiveState,ConditionResult,ExecMainStartTimestampMonotonic {name}").text
        values = dict(line.split("=", 1) for line in shown.split())
        found[name] = (values["ActiveState"], values["ExecMainStartTimestampMonotonic"] != "0")
    return found


def wait_for_units(machine):
    machine.run("systemctl is-system-running --wait", check=False, seconds=300)


def is_signed(machine):
    """Whether each image that the default and the boot loader are is signed; the machine runs."""
    listed = machine.lanzad("list")
    return all(image["signed"] for image in listed["images"] if image["default"])


def scenario(plan):
    with NixosMachine("provisioning", Images()) as machine:
        machine.add_generation(1, "25.05.1", "one")
        machine.add_generation(2, "25.05.2", "two")
        with plan.step("a-machine-in-setup-mode-boots-from-unsigned-images"):
            machine.install()
            machine.run(f"lanzactl sync --hook {machine.generations[2]}")
            assert machine.secure_boot() == (1, 0) and not is_signed(machine)
            machine.put(enabled())
            machine.run("sync")
            machine.shut_down()
        with plan.step("the-power-goes-when-there-are-keys-and-nothing-is-signed"):
            if "before-the-keys" in HOLDS:
                cut_at(machine, "before-the-keys")
            cut_at(machine, "after-the-keys")
        with plan.step("the-power-goes-when-images-are-signed-and-that-is-not-noted"):
            cut_at(machine, "after-signing")
        with plan.step("the-power-goes-when-keys-are-enrolled-and-that-is-not-noted"):
            cut_at(machine, "after-enrolling")
        with plan.step("the-power-goes-before-pk-is-written"):
            # What stands in the firmware then: db and KEK, and Setup Mode.
            machine.images.tool("virt-fw-vars", "--inplace", machine.variables, "--delete", "PK")
            machine.start()
            machine.wait_off(300)
        with plan.step("no-key-was-pressed-and-the-firmware-enforces"):
            machine.boot()
            assert machine.secure_boot() == (0, 1)
            assert machine.booted() == machine.generations[2]
            status = json.loads(machine.run("lanzactl status --check --json=short").text)
            assert status["keys-enrolled"] and status["problems"] == [], status
        with plan.step("nothing-happens-twice"):
            wait_for_units(machine)
            assert unit_states(machine) == {name: ("inactive", False) for name in UNITS}, unit_states(machine)
            left = machine.run("ls -A /var/lib/lanzad /hold").text.split()
            assert "enrolled" in left and "provisioning" not in left, left
            assert sorted(set(HOLDS) & set(left)) == []
        with plan.step("firmware-that-was-put-back-into-setup-mode-is-left-alone"):
            machine.shut_down()
            for name in ("PK", "KEK", "db"):
                machine.images.tool("virt-fw-vars", "--inplace", machine.variables, "--delete", name)
            machine.boot()
            wait_for_units(machine)
            assert machine.secure_boot() == (1, 0)
            assert unit_states(machine)["lanzad-enroll-keys"] == ("inactive", False)
        with plan.step("keys-are-left-to-the-boot-loader-where-that-is-wanted"):
            machine.run("rm /var/lib/lanzad/enrolled; echo secure-boot-enroll force >>/etc/lanza/loader.conf")
            # As it was before there were keys.
            machine.run("cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi /boot/EFI/BOOT/BOOTX64.EFI")
            machine.run("cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi /boot/EFI/systemd/systemd-bootx64.efi")
            machine.run("systemctl start lanzad-leave-keys")
            assert machine.run("ls /boot/loader/keys/auto").text.split() == ["KEK.auth", "PK.auth", "db.auth"]
            assert machine.secure_boot() == (1, 0)
        with plan.step("systemd-boot-enrolls-them-and-starts-anew"):
            machine.shut_down()
            machine.start()
            machine.wait_off(300)
            machine.boot()
            assert machine.secure_boot() == (0, 1)
            assert json.loads(machine.run("lanzactl status --check --json=short").text)["keys-enrolled"]
        machine.kill()


tap.run("vm/provisioning", scenario)
