#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What fwupd finds where it looks for its EFI helper, under a real service manager. fwupd itself does not run in a container: in
its place is a program, in fwupd's own sandbox, that notes down what is there."""
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree

from container import Container, wait_until
from program_tests import BUILD

import tap

UNIT, FWUPD = "lanzad-sign-fwupd.service", "fwupd.service"
HELPERS = "/usr/libexec/fwupd/efi"
STUB = BUILD / "stubs/lanzastubx64.efi"
FOREIGN = BUILD / "pki/foreign-db"

# The sandbox as far as it is about files, from fwupd 2.0.
SERVICE = """[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
NotifyAccess=all
ExecStart=/bin/sh -c 'rm -rf /var/lib/fwupd/seen && cp -R {helpers} /var/lib/fwupd/seen; systemd-notify --ready; exec sleep infinity'
PrivateTmp=true
ProtectHome=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=full
RestrictNamespaces=yes
RestrictSUIDSGID=yes
StateDirectory=fwupd
"""


def show(container, unit, name):
    return container.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()


def is_good(path, certificate):
    return subprocess.run(["sbverify", "--cert", certificate, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


class Machine(Container):
    def __init__(self):
        super().__init__("fwupd")
        shutil.rmtree(self.path(HELPERS), ignore_errors=True)
        self.path(HELPERS).mkdir(parents=True)
        self.put(f"/etc/systemd/system/{FWUPD}", SERVICE.format(helpers=HELPERS))

    def helper(self, name="fwupdx64.efi"):
        return self.path(f"{HELPERS}/{name}")

    def certificate(self):
        return self.path("/var/lib/lanzad/keys/db/db.pem")

    def mounted(self):
        """What becomes fwupd's folder. It is mounted in the container, and seen there only."""
        return Path(f"/proc/{self.leader}/root/run/lanzad-fwupd/efi")

    def journal(self, unit=UNIT):
        return self.run("journalctl", "--no-pager", "--output=cat", "--unit", unit).stdout

    def seen(self, action="restart"):
        """What fwupd finds when it starts: content by name."""
        self.run("systemctl", action, FWUPD)
        return {path.name: path for path in self.path("/var/lib/fwupd/seen").iterdir()}

    def check_own(self):
        """It finds its own folder."""
        own = {path.name: path.read_bytes() for path in self.path(HELPERS).iterdir()}
        assert {name: path.read_bytes() for name, path in self.seen().items()} == own
        assert not self.mounted().exists() and show(self, FWUPD, "ActiveState") == "active"

    def check_signed(self, action="restart"):
        seen = self.seen(action)
        assert set(seen) == {path.name for path in self.path(HELPERS).iterdir()} | {"fwupdx64.efi.signed"}, seen
        assert seen["fwupdx64.efi"].read_bytes() == self.helper().read_bytes()
        assert is_good(seen["fwupdx64.efi.signed"], self.certificate()), self.journal()
        return seen["fwupdx64.efi.signed"]


def check(plan, machine):
    with plan.step("unit-and-drop-in-are-well-formed", independent=True):
        for name in (UNIT, FWUPD):
            verified = machine.run("systemd-analyze", "verify", "--man=no", name, check=False)
            assert verified.returncode == 0 and not verified.stderr, verified
        assert machine.run("systemctl", "start", UNIT, check=False).returncode != 0
    with plan.step("without-keys-or-a-helper-fwupd-starts-as-before"):
        shutil.copy(STUB, machine.helper())
        machine.check_own()
        assert "has no key for db" in machine.journal(), machine.journal()
        machine.run("lanzactl", "create-keys")
        machine.helper().unlink()
        machine.check_own()
        assert f"Cannot open {HELPERS}/fwupdx64.efi: No such file" in machine.journal(), machine.journal()
        assert machine.run("systemctl", "is-failed", UNIT, check=False).stdout.strip() == "inactive"
    with plan.step("with-both-the-helper-is-signed"):
        shutil.copy(STUB, machine.helper())
        machine.check_signed()
        assert sorted(path.name for path in machine.path(HELPERS).iterdir()) == ["fwupdx64.efi"], "the folder itself was changed"
        assert show(machine, UNIT, "ActiveState") == "active"
    with plan.step("a-fwupd-that-runs-keeps-it"):
        before = machine.mounted().stat().st_ino
        machine.run("systemctl", "start", FWUPD)
        assert machine.run("systemctl", "stop", UNIT, check=False).returncode != 0
        assert machine.mounted().stat().st_ino == before
    with plan.step("the-folder-ends-with-fwupd"):
        machine.run("systemctl", "stop", FWUPD)
        wait_until(lambda: not machine.mounted().exists(), "the folder is gone")
        machine.check_signed("start")
        # By itself, as fwupd does when nobody asks for it.
        machine.run("systemctl", "kill", FWUPD)
        wait_until(lambda: not machine.mounted().exists(), "the folder is gone")
    with plan.step("a-new-helper-and-a-new-key-count-from-the-next-start"):
        machine.check_signed("start")
        content = bytearray(STUB.read_bytes())
        content[-1] ^= 1
        machine.helper().write_bytes(content)
        first = machine.check_signed().read_bytes()
        for name in ("db.key", "db.pem"):
            machine.certificate().with_name(name).unlink()
        machine.run("lanzactl", "create-keys")
        assert machine.check_signed().read_bytes() != first
    with plan.step("a-helper-that-others-signed-keeps-their-signature"):
        signed = machine.helper("fwupdx64.efi.signed")
        subprocess.run(["sbsign", "--key", f"{FOREIGN}.key", "--cert", f"{FOREIGN}.pem", "--output", signed, machine.helper()],
                       stderr=subprocess.DEVNULL, check=True)
        machine.helper("shimx64.efi").write_bytes(b"another program")
        assert is_good(machine.check_signed(), f"{FOREIGN}.pem")
    with plan.step("what-cannot-be-signed-does-not-keep-fwupd-from-starting"):
        signed.write_bytes(b"no program")
        machine.check_own()
        assert "fwupdx64.efi.signed cannot be signed" in machine.journal(), machine.journal()
        signed.unlink()
        machine.helper().write_bytes(b"no program")
        machine.check_own()
        shutil.rmtree(machine.path(HELPERS))
        assert machine.run("systemctl", "restart", FWUPD).returncode == 0
        assert not machine.path(HELPERS).exists()


def scenario(plan):
    with Machine() as machine:
        with plan.step("it-boots"):
            machine.boot()
        check(plan, machine)


tap.run("system/fwupd", scenario)
