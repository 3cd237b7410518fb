# SPDX-License-Identifier: LGPL-2.1-or-later
"""A system in a folder, as large as a measurement asks for, and the installed program run on it."""
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

SOURCE = Path(os.environ.get("LANZA_SOURCE", Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get("LANZA_BUILD", SOURCE / "build"))
LANZAD, LANZACTL = BUILD / "lanzad", BUILD / "lanzactl"
STUB = BUILD / "stubs/lanzastubx64.efi"
SCRIPTS = Path(__file__).resolve().parent
MIB = 1024 * 1024


class Tree:
    """Generations share one kernel and one initrd, unless they bring their own."""

    def __init__(self, folder, initrd_size):
        self.root = folder
        for path in ("boot", "nix/store", "nix/var/nix/profiles", "etc/lanza", "var", "usr/lib/lanzad", "usr/lib/systemd/boot/efi"):
            (folder / path).mkdir(parents=True)
        shutil.copy(STUB, folder / "usr/lib/lanzad/lanzastubx64.efi")
        self.make_loader(folder / "usr/lib/systemd/boot/efi/systemd-bootx64.efi")
        self.kernel = self.store_file("linux-6.12.1/bzImage", 8 * MIB)
        self.initrd = self.store_file("initrd-linux-6.12.1/initrd", initrd_size)
        self.lanzad("create-keys")

    @staticmethod
    def make_loader(path):
        # A boot loader is known by its version mark, wherever that stands: the stub with a section that has it will do.
        with tempfile.NamedTemporaryFile() as mark:
            mark.write(b"#### LoaderInfo: systemd-boot 257.1 ####")
            mark.flush()
            subprocess.run(["objcopy", "--add-section", f".sdmagic={mark.name}", "--change-section-vma", ".sdmagic=0x180040000",
                            str(STUB), str(path)], check=True, stderr=subprocess.DEVNULL)

    def store_file(self, name, size, unlike="a"):
        path = self.root / "nix/store" / (unlike * 32 + "-" + name)
        path.parent.mkdir()
        with open(path, "wb") as file:
            for offset in range(0, size, MIB):
                file.write(os.urandom(min(MIB, size - offset)))
        return "/" + str(path.relative_to(self.root))

    def add_generation(self, number, initrd=None):
        toplevel = f"/nix/store/{'b' * 32}-nixos-system-bench-{number}"
        folder = self.root / toplevel[1:]
        folder.mkdir()
        spec = {"init": toplevel + "/init", "kernel": self.kernel, "initrd": initrd or self.initrd, "kernelParams": ["quiet"],
                "label": f"NixOS bench {number}", "system": "x86_64-linux", "toplevel": toplevel}
        (folder / "boot.json").write_text(json.dumps({"org.nixos.bootspec.v1": spec, "org.nixos.specialisation.v1": {}}))
        profiles = self.root / "nix/var/nix/profiles"
        (profiles / f"system-{number}-link").symlink_to(toplevel)
        (profiles / "system").unlink(missing_ok=True)
        (profiles / "system").symlink_to(f"system-{number}-link")

    def add_generations(self, numbers):
        for number in numbers:
            self.add_generation(number)

    def lanzad(self, *arguments):
        run = subprocess.run([LANZAD, "--oneshot", *arguments, f"--root={self.root}"], stdout=subprocess.PIPE, check=True)
        return json.loads(run.stdout)

    def sync(self):
        """What was done on the first volume."""
        return self.lanzad("sync")["partitions"][0]

    def contents(self):
        return [self.root / path[1:] for path in (self.kernel, self.initrd)]

    def wait_until_remembered(self):
        """Hashes of files that have only just come are not kept: until they are, a sync reads the contents again."""
        kept = self.root / "var/cache/lanzad/hashes"
        while not kept.exists():
            time.sleep(0.2)
            self.sync()

    def remove_contents(self):
        shutil.rmtree(self.root / "boot/EFI/nixos", ignore_errors=True)
        shutil.rmtree(self.root / "var/cache", ignore_errors=True)

    def remove_images(self):
        shutil.rmtree(self.root / "boot/EFI/Linux", ignore_errors=True)


def script(name, *arguments):
    """Runs tests/bench/NAME, which does by hand what lanzad does."""
    subprocess.run([SCRIPTS / name, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def quietly(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
