#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stub on real firmware, without Secure Boot: what a kernel finds when it is started, and what is left when one does
not start, so that the next entry of the same boot loader menu boots. Some kernels here are a program of ours (../stubs/kernel.c).
"""
import hashlib
import os
import re

import tap
from bootimage import append_sections
from images import Images, read
from machine import BOOT_SECONDS, Machine

BUILD = os.environ.get("LANZA_BUILD", "build")
MENU = "Reboot Into Firmware Interface"
MIB = 1024 * 1024
EXTRA = "070701"  # the archive behind the initrds, with what the image tells them
FAILED = "did not start and came back (out of resources)"


class StubMachine(Machine):
    """ENTRIES of the menu, from its top: (name, kernel, initrds, command line, whether the kernel has a hash)."""

    def __init__(self, name, images):
        super().__init__(name, images)
        self.stub = read(os.path.join(BUILD, "stubs/lanzastubx64.efi"))
        self.seen = 0
        for folder in ("/EFI", "/EFI/BOOT", "/EFI/Linux", "/EFI/nixos", "/EFI/systemd", "/EFI/systemd/drivers", "/loader"):
            self.mtools("mmd", "::" + folder)
        self.esp_write("/EFI/systemd/drivers/meterx64.efi", read(os.path.join(BUILD, "vm/meterx64.efi")))
        self.esp_write("/EFI/BOOT/BOOTX64.EFI", read(images.tree + "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"))
        self.esp_write("/loader/loader.conf", b"timeout 0\n")

    def add_entry(self, number, kernel, initrds, command_line, hashed=True, initrds_hashed=True, more=()):
        """Puts entry NUMBER (1 is the topmost, and the default) on the ESP, with MORE sections."""
        names = [f"\\EFI\\nixos\\initrd-{number}-{index}.efi" for index in range(len(initrds))]
        sections = [(".osrel", f'ID=test\nVERSION_ID={100 - number}\nPRETTY_NAME="entry {number}"\n'.encode()),
                    (".cmdline", command_line.encode()), (".linux", f"\\EFI\\nixos\\kernel-{number}.efi".encode())]
        if hashed:
            sections.append((".linuxh", hashlib.sha256(kernel).digest()))
        if initrds:
            sections.append((".initrd", "\n".join(names).encode()))
        if initrds and initrds_hashed:
            sections.append((".initrdh", b"".join(hashlib.sha256(initrd).digest() for initrd in initrds)))
        self.esp_write(f"/EFI/nixos/kernel-{number}.efi", kernel)
        for name, initrd in zip(names, initrds):
            self.esp_write(name.replace("\\", "/"), initrd)
        self.esp_write(f"/EFI/Linux/{number}.efi", append_sections(self.stub, [*sections, *more]))

    def wait_next(self, text, seconds=BOOT_SECONDS):
        """Waits until TEXT comes after what was waited for before, and returns what was in between."""
        if not self.console.wait(lambda shown: text in shown[self.seen:], seconds):
            raise AssertionError(self.describe(f"no '{text}' after:\n{self.console.text[self.seen:]}"))
        end = self.console.text.index(text, self.seen) + len(text)
        between = self.console.text[self.seen:end]
        self.seen = end
        return between

    def boot_entry(self, number):
        """Chooses entry NUMBER in the menu that is shown."""
        self.press(str(number).encode())
        self.press(b"\r")

    def back_to_menu(self):
        """What was said until the stub gave up; then m brings the boot loader's menu."""
        said = self.wait_next("or at a key press.")
        self.press(b"m")
        self.wait_next(MENU)
        return said


def unwrapped(text):
    """TEXT without the line breaks that fit it to a console's width."""
    return re.sub(r"\s+", " ", text)


def scenario(plan):
    images = Images()
    program = read(os.path.join(BUILD, "vm/kernel.efi"))
    with StubMachine("stub", images) as machine:
        machine.add_entry(1, program, [b"first", b"second.."], "exit one")
        machine.add_entry(2, program, [b"only"], "return")
        machine.add_entry(3, program, [b"other"], "exit", hashed=False)
        machine.add_entry(4, read(images.kernel), [images.initrd("four")], "console=ttyS0 quiet panic=-1 test.halt")
        machine.add_entry(5, program, [b"a", b"four"], "exit", initrds_hashed=False, more=[(".ucode", b"micro")])
        large = append_sections(program, [(".pad", os.urandom(12 * MIB - len(program)))])
        machine.add_entry(6, large, [os.urandom(20 * MIB)], "measure")
        machine.start()
        with plan.step("a-kernel-finds-its-command-line-its-memory-and-all-initrds-as-one"):
            said = machine.back_to_menu()
            assert "test kernel: command line [exit one]" in said, said
            assert f"test kernel: initrd [first000second..{EXTRA}" in said, said
            assert said.count(": good") == 6 and "BAD" not in said, said
        with plan.step("what-it-says-when-a-boot-fails-fits-80-columns"):
            told = said[said.index("lanzastub: "):].split("\n")
            assert len(told) >= 4 and max(map(len, told)) < 80, told
        with plan.step("a-kernel-that-exits-leaves-nothing-behind"):
            assert FAILED in unwrapped(said) and "\\EFI\\nixos\\kernel-1.efi" in said, said
            machine.boot_entry(2)
            said = machine.back_to_menu()
            assert f"test kernel: initrd [only{EXTRA}" in said and "BAD" not in said, said
        with plan.step("a-kernel-that-returns-leaves-nothing-behind"):
            assert FAILED in unwrapped(said) and "\\EFI\\nixos\\kernel-2.efi" in said, said
            machine.boot_entry(3)
            said = machine.back_to_menu()
            assert f"test kernel: initrd [other000{EXTRA}" in said and "BAD" not in said, said
        with plan.step("a-kernel-that-firmware-started-leaves-nothing-behind"):
            assert FAILED in unwrapped(said) and "\\EFI\\nixos\\kernel-3.efi" in said, said
            machine.boot_entry(5)
            said = machine.back_to_menu()
        with plan.step("microcode-goes-in-front-of-initrds-which-need-no-hashes-here"):
            assert f"test kernel: initrd [micro000a000four{EXTRA}" in said and "BAD" not in said, said
            machine.boot_entry(6)
            said = machine.back_to_menu()
        with plan.step("it-takes-no-more-memory-than-kernel-and-initrd-and-2-mib"):
            peak = int(re.search("meter: peak of pages ([0-9]+)", said).group(1)) * 4096
            plan.say(f"{peak / MIB:.1f} MiB for a kernel of 12 and an initrd of 20")
            assert "meter: initrd of bytes " in said and 32 * MIB <= peak <= 34 * MIB, said
            machine.boot_entry(4)
            machine.wait_next("stage 1: initrd four")
            machine.wait_off()


tap.run("vm/stub", scenario)
