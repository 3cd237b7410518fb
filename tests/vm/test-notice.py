#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service, in its sandbox, notices what others do to the kernel's efivarfs, vfat and mounts."""
import json
import time

import tap
from images import Images
from nixos_machine import ENROLL_ANYWAY, NixosMachine

NOTICE_SECONDS = 60
ONE_SHOT = "/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


class Monitor:
    """What `lanzactl monitor` hears inside."""

    def __init__(self, machine):
        self.machine, self.taken = machine, 0
        machine.run("systemd-run --quiet --unit=monitor --property=StandardOutput=file:/run/told lanzactl monitor --json=short")
        machine.run("until busctl --json=short list | grep -q lanzactl; do sleep 0.1; done")

    def expect(self, word, **properties):
        """Waits until WORD and these PROPERTIES have been told since the last time. Keeps the service from leaving."""
        self.machine.run("busctl get-property org.lanzaboote.Lanza1 /org/lanzaboote/Lanza1 org.lanzaboote.Lanza1.Manager Version")
        deadline = time.monotonic() + NOTICE_SECONDS
        while time.monotonic() < deadline:
            told = [json.loads(line) for line in self.machine.run("cat /run/told").text.splitlines()]
            new = told[self.taken:]
            words = {what for signal in new for what in signal.get("what", [])}
            changed = {name: value for signal in new for name, value in signal.get("properties", {}).items()}
            if word in words and properties.items() <= changed.items():
                self.taken = len(told)
                return
        raise AssertionError(f"not told: {word} {properties}, but {new}")


def scenario(plan):
    with NixosMachine("notice", Images()) as machine:
        machine.add_generation(1, "25.05.1", "one")
        machine.install()
        monitor = Monitor(machine)
        machine.run("lanzactl status")
        with plan.step("keys-and-images-made-by-another-program"):
            machine.lanzad("create-keys")
            monitor.expect("keys", Present=True)
            machine.lanzad("sync")
            monitor.expect("esp")
        with plan.step("variables-that-another-program-writes"):
            machine.run(f"printf '\\x07\\0\\0\\0x\\0\\0\\0' > {ONE_SHOT}")
            monitor.expect("firmware")
            machine.run(f"chattr -i {ONE_SHOT} 2>/dev/null; rm {ONE_SHOT}")
            monitor.expect("firmware")
            machine.lanzad("enroll-keys", ENROLL_ANYWAY)
            monitor.expect("firmware", Mode="user", SetupMode=False)
        with plan.step("a-file-on-vfat-changed-within-its-clock's-tick"):
            machine.run("printf y | dd of=/boot/loader/loader.conf conv=notrunc status=none")
            monitor.expect("esp")
        with plan.step("the-esp-unmounted-and-mounted"):
            device = machine.run("findmnt --noheadings --output=SOURCE /boot").text.strip()
            machine.run("umount /boot")
            monitor.expect("esp")
            machine.run(f"mount -o umask=0077 {device} /boot")
            monitor.expect("esp")
            machine.run("echo x >/boot/EFI/Linux/other.efi")
            monitor.expect("esp")
        with plan.step("a-new-generation"):
            machine.add_generation(2, "25.05.2", "two")
            machine.put_generations()
            monitor.expect("generations")


tap.run("vm/notice", scenario)
