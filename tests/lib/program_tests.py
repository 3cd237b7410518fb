# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of the programs share: a small system in a folder, and TAP."""
import hashlib
import json
import os
import shutil
import tempfile
import traceback
from pathlib import Path

BUILD = Path(os.environ.get("LANZA_BUILD", "build"))
LANZAD = BUILD / os.environ.get("LANZA_VARIANT", "san") / "lanzad"
STUB = BUILD / "stubs/lanzastubx64.efi"


class Tree:
    """A small system in a folder: stub, boot loader, two generations."""

    def __init__(self, name="root"):
        self.top = Path(tempfile.mkdtemp(prefix="lanza-test-"))
        self.root = self.top / name
        self.write("usr/lib/lanzad/lanzastubx64.efi", STUB.read_bytes())
        loader = bytearray(STUB.read_bytes())
        mark = b"#### LoaderInfo: systemd-boot 257.9 ####"
        place = loader.rfind(bytes(2 * len(mark)))
        assert place > 0
        loader[place : place + len(mark)] = mark
        self.write("usr/lib/systemd/boot/efi/systemd-bootx64.efi", loader)
        (self.root / "boot").mkdir()
        for number in (1, 2):
            self.add_generation(number)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        shutil.rmtree(self.top)

    def write(self, path, content):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, (bytes, bytearray)) else content.encode())

    def add_generation(self, number):
        toplevel = f"/nix/store/system-{number}"
        self.write(f"nix/store/kernel-linux-6.1.{number}/bzImage", f"kernel {number}")
        self.write(f"nix/store/initrd-{number}/initrd", f"initrd {number}")
        bootspec = {
            "init": f"{toplevel}/init",
            "initrd": f"/nix/store/initrd-{number}/initrd",
            "kernel": f"/nix/store/kernel-linux-6.1.{number}/bzImage",
            "kernelParams": ["quiet"],
            "label": f"Test {number}",
            "system": "x86_64-linux",
            "toplevel": toplevel,
        }
        self.write(f"nix/store/system-{number}/boot.json", json.dumps({"org.nixos.bootspec.v1": bootspec}))
        profiles = self.root / "nix/var/nix/profiles"
        profiles.mkdir(parents=True, exist_ok=True)
        (profiles / f"system-{number}-link").symlink_to(toplevel)
        (profiles / "system").unlink(missing_ok=True)
        (profiles / "system").symlink_to(f"system-{number}-link")

    def set_bootspec(self, number, **members):
        """Changes what the bootspec of a generation says."""
        path = self.root / f"nix/store/system-{number}/boot.json"
        document = json.loads(path.read_text())
        document["org.nixos.bootspec.v1"].update(members)
        path.write_text(json.dumps(document))

    def option(self):
        return f"--root={self.root}"

    def firmware(self):
        """The option that gives this system a firmware, which is in Setup Mode at first."""
        return f"--variables={self.top}/variables"

    def restart(self):
        """What SecureBoot is, the firmware decides when the machine starts."""
        path = self.top / "variables"
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if " SetupMode " not in line]
        assert len(kept) >= len(lines) - 1  # there is none as long as nothing was written since the last start
        path.write_text("".join(kept))

    def snapshot(self, folder=""):
        lines = []
        for path in sorted((self.root / folder).rglob("*")):
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            lines.append((str(path), path.lstat().st_mode, path.lstat().st_ino, hashlib.sha256(content).hexdigest()))
        return lines


def run_tests(prefix, tests):
    """Runs TESTS, a function for each title, and prints TAP."""
    print(f"1..{len(tests)}")
    for number, (title, test) in enumerate(tests.items(), 1):
        try:
            test()
            print(f"ok {number} {prefix}/{title}", flush=True)
        except Exception:  # pylint: disable=broad-except
            print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
            print(f"not ok {number} {prefix}/{title}", flush=True)
