#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines that somebody else looked after until now: systemd-boot without Secure Boot, lanzaboote, and sbctl on another
distribution. Each boots as it was, is taken over, and boots again; what it had is gone when nothing needs it any more,
and not earlier."""
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from archive import Entry
from documents import MIGRATION, Reader
from images import Images
from nixos_machine import HALT, NixosMachine
from oldstate import (ROLES, SBCTL, SbctlKeys, builder_files, fill_esp, lanzaboote_files, lanzaboote_image, unified_image)
from tpm import PASSPHRASE, LockedDisk, Tpm

FROM_SYSTEMD_BOOT = "Coming from systemd-boot without Secure Boot"
FROM_LANZABOOTE = "Coming from lanzaboote"
FROM_SBCTL = "Coming from sbctl"

# As tests/vm/images.py gives it to every machine.
MACHINE_ID = "0123456789abcdef0123456789abcdef"

# What the NixOS module makes of pkiBundle = "/var/lib/sbctl".
CONFIGURATION = "/etc/lanza/lanzad.conf.d/keys.conf"
KEYS_CONF = f"[Keys]\nDirectory={SBCTL}\n"
DROP_IN = "/etc/systemd/system/lanzad.service.d/pki-bundle.conf"
SANDBOX = f"[Service]\nReadWritePaths=-{SBCTL}\n"

# The last step of the real one: what was built stands in the profile already.
REBUILD = """#!/bin/sh -e
[ "$*" = switch ]
exec lanzactl sync --hook -- "$(readlink -f /nix/var/nix/profiles/system)"
"""


class OldMachine(NixosMachine):
    """Knows what is in its store. A measured one has a TPM, and a disk more."""

    def __init__(self, name, images, measured=False):
        super().__init__(name, images)
        self.store = {}
        self.tpm = Tpm(self.path("tpm")) if measured else None
        if measured:
            with open(self.path("vault.img"), "wb") as file:
                file.truncate(32 << 20)
        self.entries["/usr/local/bin/nixos-rebuild"] = Entry(REBUILD.encode(), 0o755)

    def start(self, *extra, esp_first=True):
        more = [*self.tpm.switch_on(), *self.disk("vault", self.path("vault.img"))] if self.tpm else []
        super().start(*extra, *more, esp_first=esp_first)

    def add_generation(self, *arguments, **options):
        toplevel = super().add_generation(*arguments, **options)
        self.store.update(self.nixos.entries)
        return toplevel

    def content(self, path):
        """Of a file in the store, behind links."""
        found = self.store[path].content
        return self.content(found) if isinstance(found, str) else found

    def follow(self, other):
        """Begins where OTHER, which is off, has come to, but for ESP and firmware."""
        self.copy(other.root, self.root)
        self.nixos.known, self.store, self.generations = set(other.nixos.known), dict(other.store), dict(other.generations)

    def type(self, *commands):
        """Types COMMANDS of the guide; a reboot is waited for. Returns what was printed."""
        printed = ""
        for command in commands:
            if command == "systemctl reboot":
                self.run(f"setsid {command} >/dev/null 2>&1 </dev/null &")
                self.wait_off()
                self.boot()
            else:
                result = self.run(command)
                printed += result.text + result.error_text
        return printed

    def status(self):
        return json.loads(self.run("lanzactl status --json=short").text)

    def problems(self):
        return [problem["message"] for problem in self.status()["problems"]]

    def build(self, number):
        """A new generation, as it stands before its hook runs."""
        self.add_generation(number, f"25.11.{number}", f"number {number}")
        self.put_generations()


def from_systemd_boot(plan, machine, guide):
    switch, = guide.take("GUIDE.md", FROM_SYSTEMD_BOOT, 0).commands
    choose = guide.take_from_sentence("GUIDE.md", "bootctl set-default")
    *set_up, reboot = guide.take("GUIDE.md", FROM_SYSTEMD_BOOT, 1).commands
    with plan.step("a-machine-boots-by-systemd-boot-as-nixpkgs-installs-it"):
        files = builder_files(machine, machine.generations, MACHINE_ID)
        fill_esp(machine, files)
        machine.boot()
        assert machine.secure_boot() == (1, 0)
        assert machine.booted() == machine.generations[2]
        assert machine.status()["booted-entry"] == "nixos-generation-2.conf"
        machine.run(f"{choose} nixos-generation-1.conf")
    old = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()
           if path.startswith(("/EFI/nixos/", "/loader/entries/"))}  # fmt: skip
    with plan.step("the-first-switch-leaves-everything-that-was-there"):
        machine.build(3)
        printed = machine.type(switch)
        assert "There are no keys yet: what is written is not signed" in printed, printed
        assert old.items() <= machine.boot_files().items()
        unsigned = {number: "/EFI/Linux/" + machine.entry(number) for number in (1, 2, 3)}
    with plan.step("status-says-how-to-take-back-what-was-chosen-for-good"):
        machine.mend("LoaderEntryDefault")
    with plan.step("setup-signs-and-enrolls"):
        machine.type(*set_up)
        assert machine.secure_boot()[0] == 0
        files = machine.boot_files()
        assert old.items() <= files.items()
        # The system that runs keeps what may have been booted.
        assert files.keys() & unsigned.values() == {unsigned[2]}
    with plan.step("the-firmware-enforces-and-runs-the-new-generation"):
        machine.type(reboot)
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[3]
    with plan.step("then-what-the-builder-left-goes-and-nothing-else-does"):
        before = machine.boot_files()
        announced = machine.lanzad("gc", "--dry-run")["partitions"][0]
        assert len(announced["entries-removed"]) == 2, announced
        machine.type(switch)
        after = machine.boot_files()
        assert before.keys() - after.keys() == {*old, unsigned[2]}, before.keys() - after.keys()
        assert machine.problems() == []


def check_enrolled(machine, keys):
    enrolled = json.loads(machine.run("lanzactl list-enrolled-keys --json=short").text)["keys"]
    own = {key["variable"]: key["fingerprint"] for key in enrolled if key["origin"] == "own"}
    assert own == {role: keys.fingerprint(role) for role in ROLES}, enrolled


def unbind(plan, machine, files, guide):
    """What measuredBoot did, until this start, is undone; then the TPM unlocks the disk by Secure Boot's keys. Returns the disk."""
    wipe, remove = guide.take("GUIDE.md", FROM_LANZABOOTE, 0).commands
    enroll, = guide.take("GUIDE.md", FROM_LANZABOOTE, 1).commands
    with plan.step("the-tpm-unlocks-a-disk-by-a-policy-as-measured-boot-has-it"):
        image = "/boot" + next(path for path in sorted(files) if "nixos-generation-2-" in path)
        disk = LockedDisk(machine, "vault", wipe.split()[-1], [("630-bootloader", "/boot/EFI/BOOT/BOOTX64.EFI"), ("635-lanzaboote", image)])
        assert disk.as_predicted() == {0, 4, 7}, disk.predicted
        assert disk.slots() == ["password", "tpm2"] and disk.policy_kept() and disk.opens_by_tpm()
    with plan.step("taken-off-the-disk-and-out-of-the-tpm-it-leaves-the-passphrase"):
        assert disk.opens_by_passphrase()
        machine.type(wipe, remove)
        assert disk.slots() == ["password"] and not disk.policy_kept() and not disk.opens_by_tpm()
        assert disk.opens_by_passphrase()
    with plan.step("secure-boot's-keys-unlock-it-instead"):
        machine.type(f"PASSWORD='{PASSPHRASE}' {enroll}")
        assert disk.slots() == ["password", "tpm2"] and disk.opens_by_tpm()
    return disk


def take_over(plan, machine, keys, guide):
    switch, status, reboot = guide.take("GUIDE.md", FROM_LANZABOOTE, 2).commands
    old = {number: lanzaboote_image(keys, number, machine.generations[number]) for number in (1, 2)}
    with plan.step("a-machine-boots-lanzaboote's-image-and-its-firmware-enforces"):
        plan.say("the stub: " + (os.environ.get("LANZABOOTE_STUB") or "lanzad's, with lanzaboote's sections"))
        before = lanzaboote_files(machine, keys, machine.generations)
        fill_esp(machine, before)
        keys.enroll(machine)
        machine.boot()
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[2]
        assert machine.status()["booted-entry"] == os.path.basename(old[2])
    disk = unbind(plan, machine, before, guide)
    with plan.step("its-keys-are-these-keys-where-they-are"):
        machine.put({CONFIGURATION: Entry(KEYS_CONF.encode())})
        machine.run("systemctl stop lanzad")
        found = machine.status()
        assert found["keys-enrolled"] and found["keys-present"] and found["problems"] == [], found
        check_enrolled(machine, keys)
    with plan.step("the-first-switch-writes-no-kernel-again-and-keeps-what-was-booted"):
        machine.build(3)
        planned = machine.lanzad("sync", "--dry-run")["partitions"][0]
        assert [name.partition("-")[0] for name in planned["contents-written"]] == ["initrd"], planned
        assert planned["loaders-written"] == ["loader/loader.conf"], planned
        printed = machine.type(switch, status)
        assert "Problems: none" in printed and "Warning" not in printed, printed
        files = machine.boot_files()
        assert old[1] not in files and old[2] in files, sorted(files)
        assert {path for path in before if path.startswith("/EFI/nixos/")} <= files.keys()
        for number in (1, 3):
            machine.entry(number)
    with plan.step("the-machine-boots-the-new-generation-by-the-same-keys"):
        machine.type(reboot)
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[3]
        check_enrolled(machine, keys)
    with plan.step("the-tpm-unlocks-the-disk,-which-it-would-not-by-the-old-policy"):
        assert disk.as_predicted() == {0, 7}
        disk.find()
        assert disk.opens_by_tpm()
    with plan.step("the-last-of-its-images-goes-with-the-next-switch"):
        machine.type(switch)
        assert old[2] not in machine.boot_files()
        assert machine.problems() == []


def roll_back(plan, machine, keys):
    """To a generation whose hook is lanzaboote's: that writes images for all generations, and deletes everything in EFI/nixos, and
    of EFI/Linux/nixos-*, that it does not know."""
    before = machine.boot_files()
    theirs = lanzaboote_files(machine, keys, machine.generations)
    theirs = {path: content for path, content in theirs.items() if "boot" not in os.path.basename(path).lower()}  # signed already
    with plan.step("after-a-rollback-lanzaboote-deletes-every-image-of-lanzad's"):
        machine.put({"/boot" + path: Entry(content) for path, content in theirs.items()})
        gone = [path for path in before if path.startswith(("/EFI/nixos/", "/EFI/Linux/nixos-")) and path not in theirs]
        assert len(gone) == 3, gone  # the images: kernels and initrds have the same names
        machine.run("cd /boot && rm " + " ".join("." + path for path in gone))
    with plan.step("what-it-left-is-this-machine's-and-in-order"):
        images = machine.lanzad("list")["images"]
        assert {image["generation"] for image in images} == {1, 2, 3}, images
        assert all(image["ours"] and image["signed"] and not image.get("problem") for image in images), images
        assert machine.problems() == [], machine.problems()
    with plan.step("the-next-switch-to-a-generation-of-lanzad's-mends-it"):
        printed = machine.type("nixos-rebuild switch")
        assert "Warning" not in printed, printed
        after = machine.boot_files()
        # Bit by bit what the machine booted from.
        assert before.items() <= after.items(), sorted(before.items() - after.items())
        # The default system runs, by an image that is gone: what may be taken for it stays.
        assert after.keys() - before.keys() == {lanzaboote_image(keys, 3, machine.generations[3])}, after.keys() - before.keys()
    with plan.step("lanzaboote's-image-of-a-deleted-generation-goes-with-it"):
        image = lanzaboote_image(keys, 1, machine.generations[1])
        machine.put({"/boot" + image: Entry(theirs[image])})
        machine.run("rm /nix/var/nix/profiles/system-1-link")
        machine.lanzad("gc")
        files = machine.boot_files()
        assert not [path for path in files if "nixos-generation-1-" in path], sorted(files)
        gone = before.keys() - files.keys()
        assert sorted(os.path.basename(path).partition("-")[0] for path in gone) == ["initrd", "nixos"], gone


def from_sbctl(plan, machine, keys, guide):
    # Takes away what is NixOS about the machine. Its boot loader is signed, by sbctl's keys, and these are enrolled.
    machine.run(f"rm -r /nix /boot/EFI/nixos /boot/EFI/Linux/nixos-* {CONFIGURATION} {DROP_IN}")
    with plan.step("its-keys-are-in-order-and-enrolled"):
        machine.type(*guide.take("GUIDE.md", FROM_SBCTL, 0).commands)
        status = machine.status()
        assert status["keys-present"] and status["keys-enrolled"] and status["secure-boot"], status
        check_enrolled(machine, keys)
    with plan.step("there-is-nothing-to-sync-and-nothing-is-touched"):
        problem, = status["problems"]
        assert "lanzactl sign" in problem["hint"], status["problems"]
        before = machine.boot_files()
        result = machine.run("lanzactl sync", check=False)
        assert result.status == 1 and "lanzactl sign" in result.error_text, result.error_text
        assert machine.boot_files() == before
    with plan.step("a-boot-loader-for-bootctl-is-signed"):
        machine.type(*guide.take("GUIDE.md", FROM_SBCTL, 2).commands)
        machine.run("bootctl update --no-variables", check=False)
        assert machine.boot_files() == before
        machine.run("rm /boot/EFI/systemd/systemd-bootx64.efi && bootctl install --no-variables")
        signed = machine.run("sha256sum /usr/lib/systemd/boot/efi/systemd-bootx64.efi.signed").text.split()[0]
        assert machine.boot_files()["/EFI/systemd/systemd-bootx64.efi"] == signed
    with plan.step("a-new-kernel-is-signed-and-the-firmware-runs-it"):
        machine.put({"/boot/EFI/Linux/debian.efi": Entry(unified_image(machine, "debian", HALT))})
        machine.type(*guide.take("GUIDE.md", FROM_SBCTL, 1).commands)
        machine.shut_down()
        machine.esp_write("/loader/loader.conf", b"timeout 0\ndefault debian.efi\n")
        machine.start()
        machine.wait_console("stage 1: initrd debian")
        machine.kill()


def scenario(plan):
    images, guide = Images(), Reader(MIGRATION)
    with OldMachine("migration", images) as first, OldMachine("lanzaboote", images, measured=True) as second:
        with plan.step("a-system-is-installed"):
            keys = SbctlKeys(first.path("keys"))
            first.entries.update({**keys.entries(), DROP_IN: Entry(SANDBOX.encode())})
            for number in (1, 2):
                first.add_generation(number, f"25.05.{number}", f"number {number}")
            first.install()
            first.shut_down()
        second.follow(first)
        from_systemd_boot(plan, first, guide)
        first.kill()
        take_over(plan, second, keys, guide)
        roll_back(plan, second, keys)
        from_sbctl(plan, second, keys, guide)
        with plan.step("every-command-of-these-sections-ran"):
            assert guide.left() == [], guide.left()


tap.run("vm/migration", scenario)
