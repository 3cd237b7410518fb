#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine itself: what the firmware tests stand on, and above all that it cannot hang them."""
import os
import threading
import time

import tap
from images import Images
from machine import Machine, MachineError
from nixos import boot_installer


def boot_second(images, results):
    """Boots another machine, in a thread of its own; RESULTS gets its host name file, or what went wrong."""
    try:
        with Machine("second", images) as machine:
            boot_installer(machine, images, "second")
            machine.run("echo second >/etc/who")
            results.append(machine.run("cat /etc/who").text)
    except Exception as error:
        results.append(repr(error))


def scenario(plan):
    images = Images()
    results = []
    second = threading.Thread(target=boot_second, args=(images, results))
    second.start()
    with Machine("first", images) as machine:
        with plan.step("an-empty-machine-boots-the-generation-it-is-given"):
            toplevel = boot_installer(machine, images, "installer")
            assert "stage 1: initrd installer" in machine.console.text
            assert machine.run("readlink /run/booted-system").text.strip() == toplevel
            assert machine.run("stat -c '%u %Y' " + toplevel + "/boot.json").text.split() == ["0", "1"]
        with plan.step("it-starts-in-setup-mode-without-secure-boot"):
            state = machine.run("cd /sys/firmware/efi/efivars; cat SetupMode-* SecureBoot-* | od -An -tu1").text.split()
            assert [state[4], state[9]] == ["1", "0"], state
        with plan.step("the-esp-is-mounted-and-known-to-bootctl"):
            assert machine.run("bootctl --print-esp-path").text.strip() == "/boot"
            assert "vfat rw,noatime" in machine.run("cat /proc/mounts").text
        with plan.step("a-step-gives-status-output-and-error-apart"):
            result = machine.run("cat; echo no >&2; exit 7", input=b"in\0put\n", check=False)
            assert (result.status, result.output, result.error) == (7, b"in\0put\n", b"no\n")
        with plan.step("a-step-that-hangs-ends-at-its-limit-and-the-next-one-works"):
            start = time.monotonic()
            assert machine.run("sleep 1000", seconds=2, check=False).status == 124
            assert time.monotonic() - start < 30
            assert machine.run("echo still here").text == "still here\n"
        with plan.step("two-machines-run-at-once-and-share-nothing"):
            machine.run("test ! -e /etc/who")
            second.join(300)
            assert results == ["second\n"], results
        with plan.step("what-was-written-is-there-for-the-host-once-the-machine-is-off"):
            machine.run("echo text >/boot/file; echo kept >/etc/kept")
            machine.shut_down()
            assert machine.esp_read("/file") == b"text\n"
        with plan.step("a-machine-that-cannot-boot-is-given-up-in-time-and-says-what-it-showed"):
            machine.esp_write("/startup.nsh", b"echo nothing here\n")
            start = time.monotonic()
            machine.start()
            machine.wait_console("BdsDxe: ")
            try:
                machine.wait_up(2)
                raise AssertionError("a machine without a boot loader came up")
            except MachineError as error:
                assert "no answer from inside in time" in str(error)
            assert time.monotonic() - start < 300
            assert any("Boot" in line for line in machine.last_lines(40)), machine.last_lines(40)
            pid = machine.process.pid
            machine.kill()
            assert not os.path.exists(f"/proc/{pid}")


tap.run("vm/machine", scenario)
