#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make demo: shows what lanzad is for, from a machine that trusts everybody to one that runs only what it signed itself.

It is a story for a person who watches. Each step says what is about to happen and why, what is typed inside the machine
and what came of it, and is then held against what it promised: the first that did something else ends the demo with
status 1.
"""
import json
import re
import subprocess
import sys
import textwrap
import time

from images import PASSWORD, Images
from machine import MachineError
from nixos_machine import NixosMachine
from terminal import Terminal

WIDTH = 100
START = time.monotonic()

# Of all that a console shows while a machine starts, what tells the story.
TELLING = [
    (re.compile(r"BdsDxe: starting .*"), "firmware"),
    (re.compile(r"BdsDxe: failed to (start|load).*: .*"), "firmware"),
    (re.compile(r"lanzastub: .*"), "stub"),
    (re.compile(r"Failed to execute .*"), "boot loader"),
    (re.compile(r"stage 1: .*"), "kernel, initrd"),
    (re.compile(r"stage 2: .*"), "NixOS"),
    (re.compile(r"systemd .* running in system mode"), "systemd"),
]


def say(text=""):
    print(textwrap.fill(text, WIDTH), flush=True)


def show(label, text):
    for line in text.splitlines():
        print(f"    {label + ': ' if label else ''}{line}", flush=True)


def headline(number, text):
    seconds = int(time.monotonic() - START)
    print(f"\n── {number}. {text} ── ({seconds // 60}:{seconds % 60:02})", flush=True)


def promise(kept, text):
    if not kept:
        raise MachineError(f"this did not come true: {text}")
    print(f"  ✓ {text}", flush=True)


class Watcher:
    """Passes on the lines of a console that tell the story."""

    def __init__(self):
        self.shown = 0
        self.explains = False

    def __call__(self, text):
        lines = text.split("\n")[:-1]
        self.shown = self.shown if self.shown <= len(lines) else 0
        for line in lines[self.shown:]:
            starts = "lanzastub: " in line
            if self.explains and not starts:
                show("", "[stub] " + line)  # its sentences are broken into lines; this is what ends them
            self.explains = (starts or self.explains) and "at a key press" not in line
            for pattern, who in TELLING:
                found = pattern.search(line)
                if found:
                    show("", f"[{who}] {found.group(0)}")
        self.shown = len(lines)


class Session:
    """Somebody who sits at the machine, and what they see there."""

    def __init__(self, machine):
        self.terminal = Terminal(machine)
        self.lines = 0

    def __enter__(self):
        self.terminal.log_in("ada")
        return self

    def __exit__(self, kind, value, trace):
        self.terminal.__exit__(kind, value, trace)

    def tell(self, screen, answer=""):
        """Passes on what is new on SCREEN; the last line is what ANSWER is given to."""
        lines = screen.splitlines()
        for number, line in enumerate(lines[self.lines:], self.lines + 1):
            show("", f"│ {line} {answer if number == len(lines) else ''}".rstrip())
        self.lines = len(lines)

    def begin(self, command):
        self.lines = 1
        show("", "│ ada@machine:~$ " + command)
        self.terminal.begin(command)

    def answer(self, *question, text, shown=None):
        self.tell(self.terminal.answer(*question, text=text), shown or text)

    def end(self):
        """What the screen shows once the command has ended."""
        screen = self.terminal.end()
        self.tell(screen)
        return screen

    def command(self, command):
        self.begin(command)
        return self.end()


def status_of(machine):
    return json.loads(machine.run("lanzactl status --json=short").text)


def begin(machine):
    headline(1, "A machine that trusts everybody")
    say("A virtual machine is switched on: new disks, and firmware without any Secure Boot keys (\"Setup Mode\"). It has "
        "three NixOS-like generations on its disk, the second one with a specialisation, and nothing on its EFI system "
        "partition. It is started once from outside, as by an installation medium.")
    machine.add_generation(1, "25.05.1", "of generation 1")
    machine.add_generation(2, "25.05.2", "of generation 2", specialisations={"debug": ("of generation 2", ["debug"])})
    machine.add_generation(3, "25.05.3", "of generation 3")
    machine.install()
    promise(machine.secure_boot() == (1, 0), "the firmware is in Setup Mode, and Secure Boot is off")


def set_up(machine):
    headline(2, "One command: lanzactl setup")
    say("Ada, who is in the group wheel, logs in at its keyboard. She is not root: the service lanzad does the work, in its "
        "sandbox, and polkit asks her for her password before each step that changes something.")
    with Session(machine) as session:
        session.command("lanzactl status")
        say("She lets lanzactl do the whole way: make three key pairs (PK, whose holder owns the machine; KEK, which may change "
            "the lists of what is trusted; db, which signs what boots), write signed images, check, enroll. This machine has no "
            "cards whose own firmware Microsoft signed, so she takes her own keys alone.")
        session.begin("lanzactl setup")
        session.answer("[microsoft/own/no]", text="own")
        for action in ("manage-keys", "sync", "enroll"):
            session.answer(f"org.lanzaboote.lanza1.{action} ", "Password:", text=PASSWORD, shown="(her password)")
        promise("One thing is left: reboot" in session.end(), "one thing is left")
    modes = machine.run("stat -c %a /var/lib/lanzad /var/lib/lanzad/keys/*/*.key").text.split()
    promise(modes == ["700", "600", "600", "600"], "there are three key pairs that only root can read")
    promise(machine.secure_boot()[0] == 0, "Setup Mode has ended: the firmware knows these keys and no others")
    say("What stands on the EFI system partition now: a small signed boot image for each generation and specialisation, which "
        "names its kernel and initrd by SHA-256. Kernels and initrds that generations share stand there once.")
    show("", machine.run("cd /boot && find . -type f -printf '%9s  %P\\n' | sort -k 2").text)
    names = machine.run("ls /boot/EFI/Linux /boot/EFI/nixos").text.split()
    promise(sum(name.startswith("nixos-generation-") for name in names) == 4, "three generations and one specialisation "
            "make four boot images")
    promise(sum(name.startswith("kernel-") for name in names) == 1, "the kernel that all of them share stands there once")


def reboot(machine):
    headline(3, "Reboot: firmware, systemd-boot, the stub, Linux")
    say("From here on the firmware checks signatures: it runs systemd-boot, which runs the newest generation's boot image, "
        "whose stub holds kernel and initrd against their SHA-256 and starts Linux.")
    machine.reboot()
    promise(machine.secure_boot() == (0, 1), "Secure Boot is on, and the firmware enforces it")
    promise(machine.booted() == machine.generations[3], "generation 3 runs")
    with Session(machine) as session:
        session.command("lanzactl status")
    status = status_of(machine)
    promise(status["secure-boot"] and status["keys-enrolled"] and not status["problems"], "lanzad agrees, and finds no problem")


def tamper(machine):
    headline(4, "Somebody tampers with it")
    say("Somebody with access to the disk changes one bit of generation 3's initrd. At the next start the stub notices. "
        "Back in the boot loader an older entry is taken, which is whole: generation 1.")
    machine.run(f"bootctl set-default {machine.entry(1)}; bootctl set-oneshot {machine.entry(3)}")
    image = "/boot/EFI/Linux/" + machine.entry(3)
    initrd = machine.run(f"grep -aoE 'initrd-[0-9.]+-[a-z2-7]{{52}}.efi' {image} | head -n 1").text.strip()
    machine.shut_down()
    content = bytearray(machine.esp_read("/EFI/nixos/" + initrd))
    content[len(content) // 2] ^= 1
    machine.esp_write("/EFI/nixos/" + initrd, bytes(content))
    machine.start()
    machine.wait_console("Back to the boot loader")
    promise(initrd in machine.console.text, "the stub refuses it, and names the file")
    machine.press(b"\r")
    machine.wait_up()
    promise(machine.booted() == machine.generations[1], "the older entry boots, and generation 1 runs")


STEPS = [begin, set_up, reboot, tamper]


def main():
    print("lanzad, shown in a virtual machine\n")
    say("Everything here runs inside QEMU, with the firmware (OVMF) that virtual machines use, on disks and firmware "
        "variables in a temporary folder. Nothing on this computer is touched: not its EFI variables, not its boot loader. "
        "QEMU computes every instruction itself, so it is slow: expect two to four minutes.")
    try:
        with NixosMachine("demo", Images(), watch=Watcher()) as machine:
            for step in STEPS:
                step(machine)
    except KeyboardInterrupt:
        sys.exit("\nThe demo was interrupted.")
    except (RuntimeError, OSError, LookupError, StopIteration, subprocess.SubprocessError) as error:
        sys.exit(f"\nThe demo stopped, since a step did not do what it says: {error!r}")
    print(f"\nThat was all: {int(time.monotonic() - START)} seconds. The machine and its disks are gone.")


main()
