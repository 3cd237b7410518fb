#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The package builds where nothing stands in its usual place, as in the sandbox of Nix, and what it installs names no such place."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from program_tests import run_tests

SOURCE = Path(os.environ.get("LANZA_SOURCE", "."))
OUT = "/nix/store/0000000000000000000000000000000-lanzad"
SYSTEMD = "/nix/store/1111111111111111111111111111111-systemd"
COREUTILS = "/nix/store/2222222222222222222222222222222-coreutils"

# What package.nix asks for, and what stdenv has. No git, no python, no network.
PROGRAMS = ("ar", "as", "awk", "basename", "bash", "cat", "chmod", "clang", "cmp", "cp", "dirname", "echo", "find", "gcc", "grep", "install",
            "ld", "lld-link", "ln", "make", "mkdir", "mv", "nice", "pkg-config", "rm", "sed", "sort", "touch", "tr", "true", "wc")

# The compiler of nixpkgs puts flags of its own before those it is given.
COMPILER = """#!/bin/sh
exec /usr/bin/gcc -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection "$@"
"""

# What Debian has in places that the sandbox lacks is hidden from the build.
BUILD = """set -eu
cp -r /usr/include/efi "$1/efi"
mount -t tmpfs -o mode=0755 nothing /usr/include/efi
mount --bind /dev/null /usr/bin/bash
cd "$1/source"
shift
exec env -i "$@"
"""

# Search paths for programs: what is not there is passed over.
ALLOWED = ("/run/current-system/sw/bin:/usr/bin:/bin", "PATH=/run/current-system/sw/bin:/usr/bin:/bin:/usr/sbin:/sbin")


class Package:
    """What is installed, by its path below OUT."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / f"installed{OUT}"

    def build(self):
        copy_source(self.folder / "source")
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        for name in PROGRAMS:
            found = shutil.which(name)
            assert found, f"{name} is not there"
            # By its own name, and not the one of a link's target: some programs look at that.
            (bin_folder / name).symlink_to(found)
        (bin_folder / "bash").unlink()
        shutil.copy(shutil.which("bash"), bin_folder / "bash")
        (bin_folder / "cc").write_text(COMPILER)
        (bin_folder / "cc").chmod(0o755)
        command = ["unshare", "--mount", "--net", "sh", "-c", BUILD, "sh", self.folder, f"PATH={bin_folder}", f"TMPDIR={self.folder}",
                   "CC=cc", f"prefix={OUT}", bin_folder / "nice", "make", "-j2", "install", f"EFI_INCLUDE={self.folder}/efi",
                   "CFLAGS=-g0", f"DESTDIR={self.folder}/installed", f"prefix={OUT}", f"sbindir={OUT}/bin", f"sysconfdir={OUT}/etc",
                   f"loaderdir={SYSTEMD}/lib/systemd/boot/efi", f"touch={COREUTILS}/bin/touch", f"rm={COREUTILS}/bin/rm", f"mkdir={COREUTILS}/bin/mkdir",
                   f"cp={COREUTILS}/bin/cp", f"mv={COREUTILS}/bin/mv", "fwupddir=/run/no-fwupd"]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout.decode()

    def read(self, path):
        return (self.root / path).read_text()


def is_source(name):
    """As package.nix has it."""
    if name.startswith("tests/"):
        return name.endswith("/build.mk")
    return name == "Makefile" or name.startswith(("stubs/", "daemon/", "client/", "dbus/", "units/")) and not name.startswith("units/nixos/")


def copy_source(folder):
    """What a checkout has of it, with what is not committed yet."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=SOURCE, stdout=subprocess.PIPE, check=True).stdout
    for name in listed.decode().split("\0"):
        if is_source(name) and (SOURCE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SOURCE / name, folder / name)


def strings(content):
    return [text.decode() for text in re.findall(rb"[\x20-\x7e]{4,}", content)]


def main():
    folder = Path(tempfile.mkdtemp(prefix="lanza-test-"))
    package = Package(folder)

    def test_files():
        package.build()
        for path in ("bin/lanzad", "bin/lanzactl", "lib/lanzad/lanzastubx64.efi", "lib/systemd/system/lanzad.service",
                     "share/dbus-1/system.d/org.lanzaboote.Lanza1.conf", "share/polkit-1/actions/org.lanzaboote.lanza1.policy",
                     "share/man/man8/lanzad.8", "etc/lanza/lanzad.conf"):  # fmt: skip
            assert (package.root / path).is_file(), path
        assert [path.name for path in (folder / "installed").iterdir()] == ["nix"]

    def test_programs():
        for name in ("lanzad", "lanzactl"):
            found = [text for text in strings((package.root / "bin" / name).read_bytes()) if "/usr/" in text and text not in ALLOWED]
            assert not found, (name, found)
            assert subprocess.run([package.root / "bin" / name, "--version"], stdout=subprocess.DEVNULL, check=False).returncode == 0
        program = strings((package.root / "bin/lanzad").read_bytes())
        assert f"{OUT}/lib/lanzad/lanzastubx64.efi" in program and f"{SYSTEMD}/lib/systemd/boot/efi/systemd-bootx64.efi" in program
        assert f"{OUT}/bin/lanzad" in strings((package.root / "bin/lanzactl").read_bytes())

    def test_texts():
        for path in sorted(package.root.rglob("*")):
            if not path.is_file() or path.parent.name in ("bin", "lanzad"):
                continue
            for line in path.read_text().splitlines():
                # Where other systems have their libraries; "-": need not be there.
                assert "/usr/" not in re.sub(r" -/usr/lib(64)?\b", "", line + "/"), f"{path}: {line}"
                assert "/sbin" not in line, f"{path}: {line}"
        unit = package.read("lib/systemd/system/lanzad.service")
        assert re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE) == [f"{OUT}/bin/lanzad"], unit
        for name in ("generate-keys", "sign-images", "enroll-keys", "leave-keys", "sign-fwupd"):
            started = re.findall(r"^Exec\w+=(\S+)", package.read(f"lib/systemd/system/lanzad-{name}.service"), re.MULTILINE)
            assert len(started) >= 2, started
            assert {path.rpartition("/")[0] for path in started} <= {f"{OUT}/bin", f"{COREUTILS}/bin"}, started
        assert f"#Stub={OUT}/lib/lanzad/lanzastubx64.efi" in package.read("etc/lanza/lanzad.conf")

    try:
        run_tests(
            "/nixos/package",
            {
                "builds-without-network-and-usual-places": test_files,
                "programs-name-no-usual-place-and-find-each-other": test_programs,
                "texts-name-no-usual-place": test_texts,
            },
        )
    finally:
        shutil.rmtree(folder)


main()
