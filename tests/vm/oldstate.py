# SPDX-License-Identifier: LGPL-2.1-or-later
"""What other programs leave for lanzad to take over, made here from what is documented of it, with other people's tools:
keys as sbctl makes them, an ESP as lanzaboote and as nixpkgs' builder for systemd-boot fill it.

lanzaboote's own stub is not to be had as a package: lanzad's, which reads the same sections, stands in for it. Where
LANZABOOTE_STUB names a real one, that one is taken.
"""
import base64
import hashlib
import json
import os
import subprocess

from archive import Entry
from bootimage import Pe, sign
from images import read
from nixos import PARAMETERS

SBCTL = "/var/lib/sbctl"
OWNER = "a8ce5a11-7b9c-4d8a-9d0e-0b4a6b1f2d3c"
ROLES = {"PK": "Platform Key", "KEK": "Key Exchange Key", "db": "Database Key"}
IMAGE_BASE = 0x140000000


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120).stdout


class SbctlKeys:
    """A key for each role, as sbctl makes them: RSA of 4096 bits in PKCS #8, certificates without any extension."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        with open(self.path("openssl.cnf"), "w", encoding="ascii") as file:
            file.write("[req]\ndistinguished_name = name\n[name]\n")
        for role, name in ROLES.items():
            run("openssl", "req", "-x509", "-newkey", "rsa:4096", "-noenc", "-sha256", "-days", "1825", "-subj", "/CN=" + name,
                "-config", self.path("openssl.cnf"), "-keyout", self.path(role + ".key"), "-out", self.path(role + ".pem"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def fingerprint(self, role):
        return hashlib.sha256(run("openssl", "x509", "-in", self.path(role + ".pem"), "-outform", "DER")).hexdigest()

    def sign(self, image):
        return sign(image, self.path("db.key"), self.path("db.pem"))

    def entries(self):
        """The folder as `sbctl create-keys` leaves it: path -> Entry."""
        entries = {SBCTL: Entry(None, 0o755), SBCTL + "/keys": Entry(None, 0o755), SBCTL + "/GUID": Entry(OWNER.encode()),
                   SBCTL + "/files.json": Entry(b"{}"), SBCTL + "/bundles.json": Entry(b"{}")}
        for role in ROLES:
            entries[f"{SBCTL}/keys/{role}"] = Entry(None, 0o755)
            for kind in ("key", "pem"):
                entries[f"{SBCTL}/keys/{role}/{role}.{kind}"] = Entry(read(self.path(f"{role}.{kind}")), 0o400)
        return entries

    def enroll(self, machine):
        """Into the firmware of MACHINE, which is off; Secure Boot is on from then on."""
        machine.images.tool("virt-fw-vars", "--inplace", machine.variables, "--set-pk", OWNER, self.path("PK.pem"),
                            "--add-kek", OWNER, self.path("KEK.pem"), "--add-db", OWNER, self.path("db.pem"), "--sb")


def fill_esp(machine, files):
    """Puts FILES (path -> content) onto the ESP of MACHINE, which is off."""
    tree = machine.path("esp-tree")
    for path, content in files.items():
        os.makedirs(os.path.dirname(tree + path), exist_ok=True)
        with open(tree + path, "wb") as file:
            file.write(content)
    machine.mtools("mcopy", "-s", "-o", *(os.path.join(tree, name) for name in sorted(os.listdir(tree))), "::/")
    run("rm", "-r", tree)


def systemd_boot(machine):
    return read(machine.images.tree + "/usr/lib/systemd/boot/efi/systemd-bootx64.efi")


def document(machine, toplevel):
    """The bootspec of TOPLEVEL, which was added to MACHINE before."""
    return json.loads(machine.content(toplevel + "/boot.json"))["org.nixos.bootspec.v1"]


def hash_text(content):
    return base64.b32encode(hashlib.sha256(content).digest()).decode().lower().rstrip("=")


# --- lanzaboote ----------------------------------------------------------------------------------------------------


def objcopy(machine, sections):
    """A stub with SECTIONS (name, content), each right behind the one before it and aligned to nothing."""
    stub = os.environ.get("LANZABOOTE_STUB") or machine.path("stub.efi")
    if not os.environ.get("LANZABOOTE_STUB"):
        with open(stub, "wb") as file:
            file.write(machine.entries["/usr/lib/lanzad/lanzastubx64.efi"].content)
    data, command = read(stub), ["objcopy"]
    pe = Pe(data)
    last = pe.table + 40 * (pe.section_count - 1)
    address = IMAGE_BASE + sum(int.from_bytes(data[last + at:last + at + 4], "little") for at in (8, 12))
    for name, content in sections:
        with open(machine.path("section" + name), "wb") as file:
            file.write(content)
        command += ["--add-section", f"{name}={machine.path('section' + name)}", "--change-section-vma", f"{name}={address:#x}"]
        address += len(content)
    run(*command, stub, machine.path("image.efi"))
    return read(machine.path("image.efi"))


def lanzaboote_files(machine, keys, toplevels):
    """What lanzaboote 0.4 and newer put onto the ESP for TOPLEVELS (generation -> toplevel): path -> content."""
    loader = keys.sign(systemd_boot(machine))
    files = {"/EFI/systemd/systemd-bootx64.efi": loader, "/EFI/BOOT/BOOTX64.EFI": loader,
             "/loader/loader.conf": b"timeout 0\nconsole-mode keep\ndefault nixos-*\n"}
    for number, toplevel in toplevels.items():
        bootspec = document(machine, toplevel)
        version = os.path.dirname(bootspec["kernel"]).rpartition("-")[2]
        paths, hashes = {}, {}
        for kind in ("kernel", "initrd"):
            content = machine.content(bootspec[kind])
            path = f"/EFI/nixos/{kind}-{version}-{hash_text(content)}.efi"
            files[path] = content
            paths[kind], hashes[kind] = path.replace("/", "\\").encode(), hashlib.sha256(content).digest()
        title = f"Generation {number}, 2025-11-23"
        image = objcopy(machine, [
            (".osrel", f"ID=lanza\nPRETTY_NAME={bootspec['label']} ({title})\nVERSION_ID={title}\n".encode()),
            (".cmdline", " ".join([f"init={bootspec['init']}", *bootspec["kernelParams"]]).encode()),
            (".initrd", paths["initrd"]), (".linux", paths["kernel"]), (".initrdh", hashes["initrd"]), (".linuxh", hashes["kernel"]),
        ])  # fmt: skip
        files[lanzaboote_image(keys, number, toplevel)] = keys.sign(image)
    return files


def lanzaboote_image(keys, number, toplevel):
    inputs = json.dumps([["toplevel", list(toplevel.encode())], ["public_key", list(read(keys.path("db.pem")))]])
    return f"/EFI/Linux/nixos-generation-{number}-{hash_text(inputs.encode())}.efi"


# --- nixpkgs' builder for systemd-boot -----------------------------------------------------------------------------


def builder_files(machine, toplevels, machine_id):
    """What it puts onto the ESP, and `bootctl install` before it: path -> content. Nothing is signed."""
    loader = systemd_boot(machine)
    files = {"/EFI/systemd/systemd-bootx64.efi": loader, "/EFI/BOOT/BOOTX64.EFI": loader, "/loader/entries.srel": b"type1\n",
             "/loader/loader.conf": f"timeout 0\ndefault nixos-generation-{max(toplevels)}.conf\nconsole-mode keep\n".encode()}
    for number, toplevel in toplevels.items():
        bootspec, paths = document(machine, toplevel), {}
        for kind in ("kernel", "initrd"):
            folder, name = bootspec[kind].rsplit("/", 2)[1:]
            paths[kind] = f"/EFI/nixos/{folder}-{name}.efi"
            files[paths[kind]] = machine.content(bootspec[kind])
        files[f"/loader/entries/nixos-generation-{number}.conf"] = "\n".join([
            "title NixOS", "sort-key nixos", f"version Generation {number} {bootspec['label']}, built on 2025-11-23",
            f"linux {paths['kernel']}", f"initrd {paths['initrd']}",
            f"options init={bootspec['init']} {' '.join(bootspec['kernelParams'])}", f"machine-id {machine_id}", "",
        ]).encode()  # fmt: skip
    return files


# --- Another distribution -------------------------------------------------------------------------------------------


def unified_image(machine, initrd, *parameters):
    """A kernel as such a distribution has it, with systemd's stub and nobody's signature."""
    images = machine.images
    with open(machine.path("uki-initrd"), "wb") as file:
        file.write(images.initrd(initrd))
    images.tool("ukify", "build", "--stub", images.tree + "/usr/lib/systemd/boot/efi/linuxx64.efi.stub", "--linux", images.kernel,
                "--initrd", machine.path("uki-initrd"), "--os-release", "ID=debian\nPRETTY_NAME=Debian\nVERSION_ID=13\n",
                "--cmdline", " ".join(["init=/usr/lib/systemd/systemd", *PARAMETERS, *parameters]),
                "--output", machine.path("uki.efi"))
    return read(machine.path("uki.efi"))
