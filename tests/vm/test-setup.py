#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An administrator sets Secure Boot up: logs in at the machine, types `lanzactl setup`, answers its question and polkit's,
and reboots. Nothing is played: the service runs in the sandbox of its unit, polkitd decides, the agent asks on the
terminal, and the kernel's efivarfs and vfat are written. Everybody else is refused, and told what to do.
"""
import json

import tap
from images import PASSWORD, Images
from nixos_machine import NixosMachine
from terminal import Terminal

NOT_AUTHORISED = 4

# A session without a seat, as one over the network is: systemd makes it, and logind and polkit know it.
SESSION = "systemd-run --quiet --pipe --wait --property=PAMName=login --property=User={name} "
ON_TERMINAL = "python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "


def elsewhere(machine, name, command):
    """Runs COMMAND as NAME, who does not sit at the machine."""
    return machine.run(SESSION.format(name=name) + command, check=False)


def state_of(machine):
    """What setup may change: keys, firmware, ESP."""
    return (machine.run("ls -R /var/lib/lanzad 2>/dev/null | sha256sum").text, machine.secure_boot(),
            machine.boot_files())


def refusals(plan, machine, terminal):
    with plan.step("status-is-for-everybody"):
        status = json.loads(elsewhere(machine, "berta", "lanzactl status --json=short").text)
        assert status["setup-mode"] and not status["keys-present"], status
    before = state_of(machine)
    with plan.step("who-is-no-administrator-is-refused-and-told-of-sudo"):
        result = elsewhere(machine, "berta", "lanzactl create-keys")
        assert result.status == NOT_AUTHORISED, (result.status, result.text)
        assert "making or changing Secure Boot keys" in result.error_text and "with sudo" in result.error_text, result.error_text
    with plan.step("from-a-remote-session-nobody-enrolls-and-no-password-is-asked-for"):
        result = elsewhere(machine, "ada", ON_TERMINAL + "lanzactl enroll-keys --microsoft")
        assert result.status == NOT_AUTHORISED, (result.status, result.text)
        assert "Password" not in result.text, result.text
        assert "at this machine itself" in result.text and "with sudo" in result.text, result.text
    with plan.step("somebody-at-the-keyboard-has-an-active-session-at-the-machine's-own-seat"):
        terminal.log_in("ada")
        session = machine.run("loginctl show-session --property=Seat --property=Active --property=Name "
                              "$(loginctl show-seat seat0 --property=ActiveSession --value)").text.split()
        assert sorted(session) == ["Active=yes", "Name=ada", "Seat=seat0"], session
    with plan.step("a-wrong-password-changes-nothing"):
        terminal.begin("lanzactl setup")
        terminal.answer("[microsoft/own/no]", text="microsoft")
        terminal.answer("Password:", text="wrong horse")
        text = terminal.end()
        assert "AUTHENTICATION FAILED" in text and "Not authorised" in text and "with sudo" in text, text
        assert state_of(machine) == before
    with plan.step("a-no-changes-nothing"):
        terminal.begin("lanzactl setup")
        terminal.answer("[microsoft/own/no]", text="no")
        assert "Nothing was changed" in terminal.end()
        assert state_of(machine) == before


def set_up(plan, machine, terminal):
    with plan.step("setup-says-what-it-will-do-and-asks-once"):
        terminal.begin("lanzactl setup")
        text = terminal.answer("[microsoft/own/no]", text="microsoft")
        for line in ("make the keys that are missing", "signed images of 2 generations", "to /boot", "enroll the keys",
                     "an administrator's password"):
            assert line in text, text
    with plan.step("polkit-asks-for-a-password-for-each-step-that-writes"):
        for action in ("manage-keys", "sync", "enroll"):
            terminal.answer(f"AUTHENTICATING FOR org.lanzaboote.lanza1.{action} ", "Password:", text=PASSWORD)
    with plan.step("the-one-thing-left-is-a-reboot"):
        text = terminal.end()
        assert text.rstrip().endswith("One thing is left: reboot, for example with 'systemctl reboot'."), text
        assert terminal.command("echo status $?").strip().endswith("status 0")
    with plan.step("the-service-ran-in-its-sandbox"):
        shown = machine.run("systemctl show lanzad --property=CapabilityBoundingSet,NoNewPrivileges,ProtectSystem").text
        assert sorted(shown.split()) == ["CapabilityBoundingSet=cap_linux_immutable", "NoNewPrivileges=yes",
                                         "ProtectSystem=strict"], shown
    with plan.step("and-put-an-entry-for-the-boot-loader-into-the-firmware's-boot-order"):
        found = machine.run("cd /sys/firmware/efi/efivars; for name in Boot00*; do cat $name | tr -d '\\0'; done").text
        assert found.count("\\EFI\\systemd\\systemd-bootx64.efi") == 1, found
    with plan.step("efivarfs-protects-the-variables-again"):
        flags = machine.run("lsattr /sys/firmware/efi/efivars/{PK,KEK,db}-*").text.splitlines()
        assert len(flags) == 3 and all("i" in line.split()[0] for line in flags), flags
    with plan.step("before-the-reboot-status-says-that-one-is-needed"):
        text = terminal.command("lanzactl status")
        assert "off, but these keys are enrolled" in text and "systemctl reboot" in text, text


def after_reboot(plan, machine):
    with plan.step("the-firmware-enforces-and-the-default-generation-runs"):
        machine.reboot()
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[2]
    with Terminal(machine) as terminal:
        with plan.step("status-says-in-text-that-these-keys-are-enforced-and-finds-no-problem"):
            terminal.log_in("ada")
            text = terminal.command("lanzactl status --no-color")
            assert "Secure Boot: enforced, by these keys" in text and "Problems: none" in text, text
        with plan.step("setup-finds-nothing-left-to-do"):
            terminal.begin("lanzactl setup")
            text = terminal.answer("[yes/no]", text="yes")
            assert "leave the firmware alone" in text, text
            terminal.answer("Password:", text=PASSWORD)
            assert "nothing is left to do" in terminal.end()
    with plan.step("status-says-so-in-json-too"):
        status = json.loads(elsewhere(machine, "berta", "lanzactl status --check --json=short").text)
        assert status["secure-boot"] and status["keys-enrolled"] and not status["setup-mode"], status
        assert status["problems"] == [] and status["booted-entry"] == machine.entry(2), status


def scenario(plan):
    with NixosMachine("setup", Images()) as machine:
        machine.add_generation(1, "25.05.1", "one")
        machine.add_generation(2, "25.05.2", "two")
        machine.install()
        with Terminal(machine) as terminal:
            refusals(plan, machine, terminal)
            set_up(plan, machine, terminal)
        after_reboot(plan, machine)


tap.run("vm/setup", scenario)
