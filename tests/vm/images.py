# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is slow to make and the same for every test: a small Debian, its kernel, firmware, the root disk.

All of it comes from the package mirrors that this machine is configured with, from a release newer than Debian 12: its
firmware boots faster in emulation and its systemd is nearer to what NixOS has. It is kept outside the checkout, below
${LANZA_CACHE:-${XDG_CACHE_HOME:-~/.cache}/lanzad}, in folders named after a hash of everything that went into them; one
appears by a rename, so that it is complete or absent, and is made under a lock, so that two tests make it once.
"""
import contextlib
import fcntl
import glob
import gzip
import hashlib
import json
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import time

import archive

SUITE = os.environ.get("LANZA_SUITE") or "trixie"

# Installed in the machine. What only tests on the host use is here too: they call it by chroot.
PACKAGES = [
    "systemd", "systemd-sysv", "systemd-boot", "systemd-boot-efi", "systemd-ukify", "dbus", "polkitd", "login", "kmod", "udev",
    "util-linux", "mount", "e2fsprogs", "dosfstools", "busybox-static", "efitools", "python3-virt-firmware",
    "efivar", "libjansson4", "openssl", "fwupd", "fwupd-unsigned", "udisks2",
    "systemd-cryptsetup", "cryptsetup-bin", "libtss2-rc0t64",
]
# Unpacked only: their scripts would build an initrd that nobody needs.
UNPACKED = ["ovmf", "linux-image-cloud-amd64"]

INITRD_MODULES = ["virtio_blk", "fat", "nls_cp437", "nls_ascii", "vfat"]

# Units that take time in emulation and that no test needs. Disks are mounted before systemd starts.
MASKED = [
    "systemd-networkd.service", "systemd-networkd.socket", "systemd-binfmt.service", "systemd-update-utmp.service",
    "systemd-tmpfiles-clean.timer", "systemd-udev-trigger.service", "systemd-udevd.service", "systemd-udev-load-credentials.service",
    "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-journal-flush.service",
    "systemd-journal-catalog-update.service", "systemd-random-seed.service", "systemd-boot-random-seed.service",
    "systemd-boot-update.service", "systemd-update-done.service", "systemd-hwdb-update.service", "systemd-sysctl.service",
    "systemd-firstboot.service", "systemd-hibernate-clear.service", "systemd-tpm2-setup.service",
    "systemd-tpm2-setup-early.service", "systemd-pcrmachine.service", "systemd-sysusers.service", "ldconfig.service",
    "systemd-remount-fs.service", "systemd-modules-load.service", "kmod-static-nodes.service", "run-lock.mount",
    "systemd-tmpfiles-setup-dev-early.service", "systemd-tmpfiles-setup-dev.service", "systemd-ask-password-console.path", "systemd-ask-password-wall.path",
    "modprobe@drm.service", "modprobe@configfs.service", "modprobe@loop.service", "modprobe@dm_mod.service",
    "modprobe@fuse.service", "modprobe@efi_pstore.service", "dev-hugepages.mount", "dev-mqueue.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount",
    "proc-sys-fs-binfmt_misc.automount", "getty.target", "boot.automount", "efi.automount", "user@.service",
]

# Generators that find nothing to do here. Each costs as much as a unit, at every start and every daemon-reload.
MASKED_GENERATORS = [
    "systemd-" + name + "-generator" for name in (
        "cryptsetup", "debug", "getty", "gpt-auto", "hibernate-resume", "integritysetup", "rc-local", "run", "ssh", "sysv", "tpm2",
        "veritysetup")
]

# People who may log in, and their numbers.
PEOPLE = [("ada", 1000), ("berta", 1001)]
ADMINISTRATORS = ["ada"]
PASSWORD = "correct horse"

HERE = os.path.dirname(os.path.abspath(__file__))
GUEST = os.path.join(HERE, "guest")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def cache_folder():
    default = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lanzad")
    return os.environ.get("LANZA_CACHE") or default


def key_of(*inputs):
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:20]


@contextlib.contextmanager
def locked(name):
    os.makedirs(cache_folder(), exist_ok=True)
    with open(os.path.join(cache_folder(), name + ".lock"), "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached(name, key, make):
    """The folder NAME-KEY in the cache; MAKE(folder) fills it where it is missing. Older folders of NAME go."""
    final = os.path.join(cache_folder(), f"{name}-{key}")
    with locked(name):
        if os.path.isdir(final):
            os.utime(final)
            return final
        temporary = tempfile.mkdtemp(prefix=f".{name}-", dir=cache_folder())
        try:
            os.chmod(temporary, 0o755)
            make(temporary)
            os.rename(temporary, final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        forget_all_but(name, 2)
    return final


def forget_all_but(name, count):
    """Keeps the COUNT newest folders of NAME: another checkout may use one of its own."""
    folders = glob.glob(os.path.join(glob.escape(cache_folder()), f"{name}-*[0-9a-f]"))
    folders = sorted((folder for folder in folders if os.path.isdir(folder)), key=os.path.getmtime, reverse=True)
    for folder in folders[count:]:
        shutil.rmtree(folder, ignore_errors=True)


def run(*command, **options):
    """Runs COMMAND; what it printed comes out only if it failed."""
    process = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=options.pop("timeout", 600), check=False, **options)
    output = process.stdout.decode("utf-8", "replace")
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed with status {process.returncode}:\n{output}")
    return output


def mirrors():
    """Sources for SUITE: where this machine takes its own Debian release from, in its own order."""
    with open("/etc/os-release", encoding="utf-8") as file:
        release = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    codename = release["VERSION_CODENAME"].strip('"')
    output = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
    uris = [line.split()[0] for line in output.splitlines() if line.split()[1:] == [codename, "main"]]
    if not uris:
        raise RuntimeError(f"apt has no source of {codename} main, so none to take {SUITE} from")
    return [f"deb {uri} {SUITE} main" for uri in dict.fromkeys(uris)]


def apt_options():
    """How this machine's apt reaches its mirrors, and how old their indexes may be."""
    found = ['APT::Install-Recommends "false"', 'APT::Sandbox::User "root"']
    for line in run("apt-config", "dump").splitlines():
        if line.lower().startswith(("acquire::http::proxy", "acquire::https::proxy", "acquire::retries", "acquire::check-")):
            found.append(line.rstrip(";"))
    return found


def make_debian(folder):
    """FOLDER/tree: the installed system. FOLDER/firmware and FOLDER/kernel: packages that are only unpacked."""
    print("# making a small Debian for the test machine, once (a minute)", file=sys.stderr, flush=True)
    if os.geteuid() != 0:
        raise PermissionError("the root file system of the test machine can be made by root only")
    tree = os.path.join(folder, "tree")
    # Each may be one package or several, and the kernel's have its version in their names.
    fetch = ('cd "$1" && chroot "$1" apt-get -qq download $(chroot "$1" apt-cache depends --recurse --important '
             + " ".join(UNPACKED) + ' | grep -oE "^(linux-(image|binary|modules)-[0-9]|ovmf).*")')
    run("mmdebstrap", "--quiet", "--variant=apt", "--include=" + ",".join(PACKAGES), "--customize-hook=" + fetch,
        *["--aptopt=" + option for option in apt_options()],
        *[f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")],
        SUITE, tree, *mirrors())
    for package in glob.glob(tree + "/*.deb"):
        run("dpkg-deb", "-x", package, os.path.join(folder, "kernel" if "/linux-" in package else "firmware"))
        os.unlink(package)
    shutil.copytree(folder + "/kernel/usr/lib/modules", tree + "/usr/lib/modules", dirs_exist_ok=True)
    run("depmod", "-b", tree, os.listdir(tree + "/usr/lib/modules")[0])
    shutil.rmtree(tree + "/var/cache/apt")
    shutil.rmtree(tree + "/var/lib/apt/lists")


def debian():
    with open(__file__, encoding="utf-8") as file:
        source = file.read()
    recipe = source[source.index("def mirrors"):source.index("def debian")]
    return cached("debian-" + SUITE, key_of(SUITE, freshness(), PACKAGES, UNPACKED, recipe), make_debian)


def freshness():
    """What changes while the suite keeps its name."""
    return time.strftime("%G-%V") if SUITE in ("sid", "unstable", "testing") else ""


def append(path, *lines):
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)


def add_people(tree):
    """PEOPLE, of whom ADMINISTRATORS are in the group wheel, as NixOS has it."""
    secret = run("openssl", "passwd", "-5", "-salt", "lanza", PASSWORD).strip()
    append(tree + "/etc/group", "wheel:x:1100:" + ",".join(ADMINISTRATORS))
    for name, number in PEOPLE:
        append(tree + "/etc/passwd", f"{name}:x:{number}:{number}::/home/{name}:/bin/bash")
        append(tree + "/etc/group", f"{name}:x:{number}:")
        append(tree + "/etc/shadow", f"{name}:{secret}:20000:0:99999:7:::")
        os.makedirs(f"{tree}/home/{name}", 0o700)
        os.chown(f"{tree}/home/{name}", number, number)
    shutil.copy(os.path.join(GUEST, "wheel.rules"), tree + "/etc/polkit-1/rules.d/10-wheel.rules")


def make_root(folder, base):
    """FOLDER/root.ext4: BASE's tree with the agent, and without what takes time at boot."""
    tree = os.path.join(folder, "tree")
    # cp, not shutil: copytree() reads device nodes, and /dev/full never ends.
    subprocess.run(["cp", "-a", base + "/tree", tree], check=True)
    units = tree + "/etc/systemd/system/"
    for name in MASKED:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(units + name)
        os.symlink("/dev/null", units + name)
    os.makedirs(tree + "/etc/systemd/system-generators")
    for name in MASKED_GENERATORS:
        os.symlink("/dev/null", f"{tree}/etc/systemd/system-generators/{name}")
    for name in ("agent.service", "disks.service", "machine.target"):
        shutil.copy(os.path.join(GUEST, name), units + name)
    os.makedirs(units + "lanzad.service.d")
    shutil.copy(os.path.join(GUEST, "disks.conf"), units + "lanzad.service.d/disks.conf")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(units + "default.target")
    os.symlink("machine.target", units + "default.target")
    os.makedirs(tree + "/usr/lib/tests")
    shutil.copy(os.path.join(GUEST, "screen"), tree + "/usr/lib/tests/screen")
    run("cc", "-O2", "-static", "-D_GNU_SOURCE", "-o", tree + "/usr/lib/tests/agent", os.path.join(GUEST, "agent.c"))
    add_people(tree)
    with open(tree + "/etc/machine-id", "w", encoding="ascii") as file:
        file.write("0123456789abcdef0123456789abcdef\n")
    with open(tree + "/etc/hostname", "w", encoding="ascii") as file:
        file.write("machine\n")
    with open(tree + "/etc/fstab", "w", encoding="ascii") as file:
        file.write("")
    image = os.path.join(folder, "root.ext4")
    with open(image, "wb") as file:
        file.truncate(2 << 30)
    run("mkfs.ext4", "-q", "-F", "-L", "root", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", tree, image)
    shutil.rmtree(tree)


class Images:
    """Paths of everything that machines share; makes it where it is missing."""

    def __init__(self):
        self.debian = debian()
        self.tree = self.debian + "/tree"
        firmware = self.debian + "/firmware/usr/share/OVMF"
        self.firmware_code = firmware + "/OVMF_CODE_4M.secboot.fd"
        self.firmware_variables = firmware + "/OVMF_VARS_4M.fd"
        self.kernel_release, = os.listdir(self.debian + "/kernel/usr/lib/modules")
        places = f"boot/vmlinuz-{self.kernel_release}", f"usr/lib/modules/{self.kernel_release}/vmlinuz"
        self.kernel, = filter(os.path.exists, (f"{self.debian}/kernel/{place}" for place in places))
        guest = {name: read(os.path.join(GUEST, name)).decode() for name in sorted(os.listdir(GUEST))}
        with open(__file__, encoding="utf-8") as file:
            source = file.read()
        recipe = source[source.index("def append"):source.index("class Images")]
        key = key_of(os.path.basename(self.debian), guest, MASKED, MASKED_GENERATORS, PEOPLE, ADMINISTRATORS, PASSWORD, recipe)
        self.root = cached("root-" + SUITE, key, lambda folder: make_root(folder, self.debian)) + "/root.ext4"

    def initrd(self, name, size=0):
        """An initrd that says NAME on the console, and SIZE bytes longer than it needs to be."""
        return self.initrd_base() + archive.cpio({"/initrd-name": archive.Entry(name.encode() + b"\n"),
                                                  "/padding": archive.Entry(bytes(size))})

    def initrd_base(self):
        """What all initrds have in common, compressed, and padded so that a plain cpio may follow."""
        entries = {
            "/init": archive.Entry(read(os.path.join(GUEST, "init")), 0o755),
            "/bin/busybox": archive.Entry(read(self.tree + "/usr/bin/busybox"), 0o755),
        }
        for module in INITRD_MODULES:
            path, = glob.glob(f"{self.tree}/usr/lib/modules/*/kernel/**/{module}.ko.xz", recursive=True)
            entries[f"/modules/{module}.ko"] = archive.Entry(lzma.decompress(read(path)))
        packed = gzip.compress(archive.cpio(entries), 6, mtime=0)
        return packed + bytes(-len(packed) % 4)

    def tool(self, name, *arguments):
        """Runs a Python program of the machine's Debian, newer than this computer's or missing here, in place."""
        environment = {**os.environ, "PYTHONHOME": self.tree + "/usr",
                       "PYTHONPATH": self.tree + "/usr/lib/python3/dist-packages", "PYTHONDONTWRITEBYTECODE": "1"}
        return run(self.tree + "/lib64/ld-linux-x86-64.so.2", "--library-path", self.tree + "/usr/lib/x86_64-linux-gnu",
                   self.tree + "/usr/bin/python3", self.tree + "/usr/bin/" + name, *arguments, env=environment)
