# SPDX-License-Identifier: LGPL-2.1-or-later
"""Generations as NixOS makes them: store paths, toplevels with a bootspec, links in profiles.

A Nixos collects what is new since the last take(), so the same calls fill a disk before the first boot and add a
generation to a running machine. Bootspec is RFC 125, version 1.
"""
import hashlib
import json

from archive import Entry

STORE = "/nix/store"
PROFILES = "/nix/var/nix/profiles"
ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
# Neither tests of the kernel's own ciphers nor pages that are cleared before they are used: in emulation a fifth of a start.
PARAMETERS = ["console=ttyS0", "quiet", "no_timer_check", "panic=-1", "audit=0", "cryptomgr.notests", "init_on_alloc=0",
              "systemd.show_status=0", "systemd.log_target=console"]

# Stage 2: what a NixOS toplevel's init does that matters here.
INIT = """#!/bin/sh
ln -sfn {toplevel} /run/booted-system
ln -sfn {toplevel} /run/current-system
echo "stage 2: {toplevel}" >/dev/console
exec /usr/lib/systemd/systemd
"""


def store_path(name, *inputs):
    digest = hashlib.sha256(json.dumps([name, *inputs], sort_keys=True).encode()).digest()
    return f"{STORE}/{''.join(ALPHABET[byte % 32] for byte in digest)}-{name}"


def digest_of(content):
    return hashlib.sha256(content).hexdigest()


class Nixos:
    def __init__(self, images):
        self.images = images
        self.entries = {}
        self.known = set()
        self.extensions = {}  # what a module of the system says in every bootspec
        self.inputs = None  # what it adds to what a toplevel is made of

    def add(self, path, content, mode=0o444):
        """Puts a file at PATH, or a link if CONTENT is str. What is in the store already is not added again."""
        if path not in self.known or not path.startswith(STORE):
            self.entries[path] = Entry(content, mode)
            self.known.add(path)
        return path

    def take(self):
        """What was added since the last call: path -> Entry."""
        taken, self.entries = self.entries, {}
        return taken

    def kernel(self, content, version=None):
        version = version or self.images.kernel_release.partition("+")[0]
        return self.add(store_path(f"linux-{version}", digest_of(content)) + "/bzImage", content)

    def initrd(self, content):
        return self.add(store_path("initrd-linux", digest_of(content)) + "/initrd", content)

    def secrets(self, script):
        """A program that appends the secrets to the initrd $1."""
        content = ("#!/bin/sh\n" + script).encode()
        return self.add(store_path("append-initrd-secrets", digest_of(content)) + "/append", content, 0o555)

    def finish(self, toplevel):
        """What makes TOPLEVEL start."""
        self.add(toplevel + "/init", INIT.format(toplevel=toplevel).encode(), 0o555)

    def document(self, toplevel, label, kernel, initrd, parameters, extensions):
        v1 = {"init": toplevel + "/init", "initrd": initrd, "kernel": kernel, "kernelParams": PARAMETERS + parameters,
              "label": label, "system": "x86_64-linux", "toplevel": toplevel}
        return {"org.nixos.bootspec.v1": v1, "org.nixos.specialisation.v1": {}, **extensions}

    def toplevel(self, label, kernel, initrd, parameters=(), specialisations=None, extensions=None, secrets=None):
        """A system; SPECIALISATIONS is name -> (initrd, parameters), SECRETS a program. Returns its path."""
        parameters, specialisations, extensions = list(parameters), specialisations or {}, extensions or self.extensions
        path = store_path(f"nixos-system-machine-{label}", kernel, initrd, parameters, specialisations, extensions, secrets, self.inputs)
        document = self.document(path, label, kernel, initrd, parameters, extensions)
        if secrets:
            document["org.nixos.bootspec.v1"]["initrdSecrets"] = secrets
        for name, (other_initrd, other_parameters) in specialisations.items():
            inner = self.toplevel(f"{label}-{name}", kernel, other_initrd, parameters + list(other_parameters))
            self.add(f"{path}/specialisation/{name}", inner)
            document["org.nixos.specialisation.v1"][name] = self.document(
                inner, label, kernel, other_initrd, parameters + list(other_parameters), extensions)
        self.add(path + "/boot.json", json.dumps(document, indent=2).encode())
        self.finish(path)
        self.add(path + "/systemd", "/usr")
        self.add(path + "/kernel", kernel)
        self.add(path + "/initrd", initrd)
        self.add(path + "/nixos-version", label.encode())
        self.add(path + "/system", b"x86_64-linux")
        return path

    def generation(self, number, toplevel, profile="system"):
        """Generation NUMBER of PROFILE, which also becomes the profile's own."""
        folder = PROFILES if profile == "system" else PROFILES + "/system-profiles"
        self.add(f"{folder}/{profile}-{number}-link", toplevel)
        self.add(f"{folder}/{profile}", f"{profile}-{number}-link")
        return toplevel


def boot_installer(machine, images, name):
    """Boots MACHINE, whose disks are empty, into a first generation, as an installation medium would. Returns its path."""
    nixos = Nixos(images)
    with open(images.kernel, "rb") as file:
        kernel = nixos.kernel(file.read())
    toplevel = nixos.generation(1, nixos.toplevel("1.0", kernel, nixos.initrd(images.initrd(name))))
    machine.seed(nixos.take())
    with open(machine.path("initrd"), "wb") as file:
        file.write(images.initrd(name))
    machine.boot_directly(images.kernel, machine.path("initrd"), " ".join([f"init={toplevel}/init", *PARAMETERS]))
    return toplevel
