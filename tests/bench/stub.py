# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stub in a machine that enforces Secure Boot: from systemd-boot starting the entry to the kernel's entry, against
systemd-stub with the same kernel and initrd embedded; and how much memory the stub takes.

A driver (../stubs/meter.c) says on the console when systemd-boot has an entry loaded and started, a kernel of ours
(../stubs/kernel.c), made as large as Linux is, when it is entered. The host takes the times. Each start has a boot of its
own: what firmware has in its caches is the same for all."""
import hashlib
import os
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "vm")]

from bootimage import append_sections, sign
from images import Images, read
from machine import Machine
from table import ROUNDS, Row
from tree import BUILD, MIB, STUB

KERNEL_SIZE, INITRD_SIZE = 12 * MIB, 60 * MIB
OWNER = "6c616e7a-616d-4574-9165-722d62656e63"
LOAD, START, KERNEL, INITRD, PEAK = MARKS = ("meter: load", "meter: start", "meter: kernel", "meter: initrd of bytes ",
                                             "meter: peak of pages ")  # fmt: skip
SECONDS = 120


class Meter(Machine):
    """Boots one entry after the other and notes when each mark came."""

    esp_megabytes = 320

    def __init__(self, images):
        super().__init__("meter", images, watch=self.note, memory=1024)
        keys = [BUILD / f"pki/{name}.pem" for name in ("PK", "KEK", "db")]
        images.tool("virt-fw-vars", "--inplace", self.variables, "--set-pk", OWNER, str(keys[0]), "--add-kek", OWNER, str(keys[1]),
                    "--add-db", OWNER, str(keys[2]), "--secure-boot")
        for folder in ("/EFI", "/EFI/BOOT", "/EFI/Linux", "/EFI/systemd", "/EFI/systemd/drivers", "/loader"):
            self.mtools("mmd", "::" + folder)
        loader = read(images.tree + "/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
        self.esp_write("/EFI/BOOT/BOOTX64.EFI", self.signed(loader))
        self.esp_write("/EFI/systemd/drivers/meterx64.efi", self.signed(read(BUILD / "vm/meterx64.efi")))
        self.times = {}

    @staticmethod
    def signed(image):
        return sign(image, str(BUILD / "pki/db.key"), str(BUILD / "pki/db.pem"))

    def note(self, text):
        """Firmware loads the boot loader before the driver is there: the first load is the entry's."""
        now = time.monotonic()
        for mark in MARKS:
            if mark in text:
                self.times.setdefault(mark, now)

    def boot_entry(self, name):
        """Milliseconds from the entry's load to the kernel's entry and to its initrd, and from the stub's start to the kernel's
        entry; and the peak in bytes."""
        self.esp_write("/loader/loader.conf", f"timeout 0\ndefault {name}\n".encode())
        self.times = {}
        self.start()
        if not self.console.wait(lambda text: "\n" in text.partition(PEAK)[2], SECONDS):
            raise AssertionError(self.describe(f"{name} was not measured:\n{self.console.text}"))
        peak = int(self.console.text.partition(PEAK)[2].split()[0]) * 4096
        size = int(self.console.text.partition(INITRD)[2].split()[0])
        assert size >= INITRD_SIZE, size
        self.kill()
        times = self.times
        return [(end - start) * 1000 for start, end in ((times[LOAD], times[KERNEL]), (times[LOAD], times[INITRD]),
                                                        (times[START], times[KERNEL]))], peak


def add_entries(machine, stub, systemd_stub):
    """The same kernel and initrd: as files, embedded with our stub, embedded with systemd's."""
    kernel = read(BUILD / "vm/kernel.efi")
    kernel = append_sections(kernel, [(".pad", os.urandom(KERNEL_SIZE - len(kernel)))])
    initrd = os.urandom(INITRD_SIZE)
    head = [(".osrel", b"ID=bench\nVERSION_ID=1\nPRETTY_NAME=Bench\n"), (".cmdline", b"measure")]
    paths = [(".linux", b"\\kernel.efi"), (".linuxh", hashlib.sha256(kernel).digest()),
             (".initrd", b"\\initrd"), (".initrdh", hashlib.sha256(initrd).digest())]  # fmt: skip
    inside = [(".linux", kernel), (".initrd", initrd)]
    machine.esp_write("/kernel.efi", kernel)
    machine.esp_write("/initrd", initrd)
    for name, program, sections in (("files", stub, paths), ("embedded", stub, inside), ("systemd", systemd_stub, inside)):
        machine.esp_write(f"/EFI/Linux/{name}.efi", machine.signed(append_sections(program, head + sections)))
    return len(kernel), len(initrd)


def boots(_folder):
    images = Images()
    systemd_stub = read(images.tree + "/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
    with Meter(images) as machine:
        kernel, initrd = add_entries(machine, read(STUB), systemd_stub)
        found = {"files": [], "embedded": [], "systemd": []}
        for turn in range(ROUNDS):
            for number in range(len(found)):
                name = list(found)[(turn + number) % len(found)]  # no one always comes after the same one
                found[name].append(machine.boot_entry(f"{name}.efi"))
    entered, ready, own = range(3)
    times = {name: [statistics.median(column) for column in zip(*(times for times, _ in results))] for name, results in found.items()}
    peaks = {name: max(peak for _, peak in results) / MIB for name, results in found.items()}
    files, embedded, systemd = times["files"], times["embedded"], times["systemd"]
    yield Row("stub: from the entry to the kernel, files", files[entered], "systemd-stub, all of it embedded", systemd[entered], goal=1)
    yield Row("stub: from the entry to the initrd, files", files[ready], "systemd-stub, all of it embedded", systemd[ready])
    yield Row("stub: from the entry to the kernel, embedded", embedded[entered], "systemd-stub, all of it embedded", systemd[entered])
    yield Row("stub: from its own start on, embedded", embedded[own], "systemd-stub, all of it embedded", systemd[own])
    room = (kernel + initrd) / MIB + 2
    yield Row("stub: memory at most, files", peaks["files"], "kernel + initrd + 2 MiB", room, goal=1, unit="MiB")
    yield Row("stub: memory at most, embedded", peaks["embedded"], "systemd-stub, all of it embedded", peaks["systemd"], unit="MiB")


BENCHES = (boots,)
