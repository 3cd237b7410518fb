# SPDX-License-Identifier: LGPL-2.1-or-later
"""Systems that have the NixOS module: lanzad in the store, its configuration, the programs of a toplevel that use them.

What runs is the module's own text, taken out of module.nix, with the configuration that tests/nixos/test-module.py expects of
it. The rest does what NixOS' own programs do, in their order and with their environment, as far as boot images depend on it:
stage 2 and activation, switch-to-configuration, nixos-enter.
"""
import functools
import os
import re
import stat
import textwrap

from archive import Entry
from images import read
from nixos import STORE, Nixos, store_path

BUILD = os.environ.get("LANZA_BUILD", "build")
SOURCE = os.environ.get("LANZA_SOURCE", ".")

# Where Debian has what a NixOS program finds by the store paths in it. Nothing of lanzad's is there.
TOOLS = "export PATH=/usr/sbin:/usr/bin"

INIT = """#!/bin/sh
{tools}
mount --bind /nix/store /nix/store
mount -o remount,ro,bind /nix/store
{toplevel}/activate
mkdir -p /nix/var/nix/gcroots
ln -sfn {toplevel} /run/booted-system
ln -sfn /run/booted-system /nix/var/nix/gcroots/booted-system
echo "stage 2: {toplevel}" >/dev/console
exec /usr/lib/systemd/systemd
"""

# Also what mounts /proc and /run where nixos-enter starts it.
ACTIVATE = """#!/bin/sh
{tools}
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /run || mount -t tmpfs -o mode=755 tmpfs /run
ln -sfn {etc}/etc /etc/.static && mv -T /etc/.static /etc/static
cd /etc/static
find . -type f -o -type l | while read -r name; do
        mkdir -p "/etc/${{name%/*}}"
        ln -sfn "/etc/static/$name" "/etc/$name"
done
ln -sfn {toplevel} /run/current-system
"""

SWITCH = """#!/bin/bash
export OUT={toplevel} TOPLEVEL={toplevel} DISTRO_ID=nixos INSTALL_BOOTLOADER={hook} PRE_SWITCH_CHECK={check}
export LOCALE_ARCHIVE={toplevel}/sw/lib/locale/locale-archive SYSTEMD={systemd} NIXOS_ACTION=$1
as_is=$PATH
[ -f /etc/NIXOS ] || {{ echo "This is no NixOS" >&2; exit 1; }}
{tools}
mkdir -p /run/nixos
exec 9>>/run/nixos/switch-to-configuration.lock
flock -n 9 || {{ echo "Another one is running" >&2; exit 1; }}

# Whom it starts has neither its tools nor its lock.
call() {{ PATH=$as_is "$@" 9>&-; }}

if [ "$NIXOS_NO_CHECK" != 1 ] && ! call "$PRE_SWITCH_CHECK" "$TOPLEVEL" "$1"; then
        echo "Pre-switch checks failed" >&2
        exit 1
fi
case $1 in
check) exit 0 ;;
switch | boot) call "$INSTALL_BOOTLOADER" "$TOPLEVEL" || {{ echo "Failed to install bootloader" >&2; exit 1; }} ;;
esac
sync -f /nix/store
case $1 in
boot) exit 0 ;;
dry-activate) exit 0 ;;
esac
call "$OUT/activate" "$OUT"
# lanzad.service has restartIfChanged = false.
systemctl daemon-reload && systemctl reload dbus.service
"""

# For COMMAND ($1) in the system on /mnt: here the disk that the medium was started with.
ENTER = """mkdir -p /mnt
exec unshare --fork --mount --uts --pid --mount-proc sh -ec '
        mount --make-rprivate /
        mount --bind / /mnt
        mount --bind /boot /mnt/boot
        mount --rbind /dev /mnt/dev
        mount --rbind /sys /mnt/sys
        LOCALE_ARCHIVE=/nix/var/nix/profiles/system/sw/lib/locale/locale-archive IN_NIXOS_ENTER=1 \\
                chroot /mnt /nix/var/nix/profiles/system/activate
        exec chroot /mnt /nix/var/nix/profiles/system/sw/bin/bash -c "$1"' sh "$1"
"""

# What nixos-install runs there: the target is once more where it was mounted.
INSTALL = """set -e
mount --rbind / /mnt
mount --make-rslave /mnt
/run/current-system/bin/switch-to-configuration boot
umount -R /mnt
"""

BUS_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <servicedir>{lanzad}/share/dbus-1/system-services</servicedir>
  <includedir>{lanzad}/share/dbus-1/system.d</includedir>
</busconfig>
"""

# It stays until it is stopped: on a slow computer a minute without a call is soon over.
UNIT_OVERRIDES = """[Unit]
After=boot.mount

[Service]
ExecStart=
ExecStart={lanzad}/bin/lanzad --idle-timeout=3600
LogLevelMax=info
X-RestartIfChanged=false
"""


@functools.cache
def module_text(begin):
    """The indented string that follows BEGIN in module.nix."""
    text = read(SOURCE + "/units/nixos/module.nix").decode()
    start = text.index(begin + " ''\n") + len(begin) + 4
    return textwrap.dedent(text[start:re.compile(r"^ *'';$", re.MULTILINE).search(text, start).start()])


def filled(text, **values):
    """TEXT as Nix reads it, where its variables have VALUES."""
    return re.sub(r"''\$\{|\$\{(\w+)\}", lambda match: values[match[1]] if match[1] else "${", text)


def version():
    return re.search(r"^VERSION := (.*)$", read(SOURCE + "/Makefile").decode(), re.MULTILINE)[1]


OLDER = "0.0.1"
NEWER = version()


def packaged(number):
    """lanzad in VERSION, OLDER or NEWER, as Nix would install it: path -> Entry. What its stub says differs, too."""
    root = os.path.join(BUILD, "vm/nix")
    top = next(os.path.join(root, name) for name in sorted(os.listdir(root)) if name.endswith("-lanzad-" + number))
    entries = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            content = read(path)
            if name.endswith(".efi") and len(number) == len(NEWER):
                content = content.replace(b"lanzastub %s\0" % NEWER.encode(), b"lanzastub %s\0" % number.encode())
            entries[STORE + path[len(root):]] = Entry(content, 0o555 if os.stat(path).st_mode & stat.S_IXUSR else 0o444)
    return entries


class NixosSystems(Nixos):
    """Toplevels that have the module, with lanzad in one of its versions."""

    def __init__(self, images):
        super().__init__(images)
        self.references = {}

    def add(self, path, content, mode=0o444):
        if path.startswith(STORE + "/"):
            text = content.encode() if isinstance(content, str) else content
            found = set(re.findall(rb"/nix/store/[0-9a-z]{32}-[-+._?=0-9a-zA-Z]+", text))
            self.references.setdefault(self.object_of(path), set()).update(name.decode() for name in found)
        return super().add(path, content, mode)

    @staticmethod
    def object_of(path):
        return "/".join(path.split("/")[:4])

    def closure(self, paths):
        """All in the store that PATHS need."""
        found, left = set(), {self.object_of(path) for path in paths}
        while left:
            name = left.pop()
            found.add(name)
            left |= self.references.get(name, set()) - found
        return found

    def text(self, name, content, mode=0o444):
        return self.add(store_path(name, content), content.encode(), mode)

    def script(self, name, content):
        return self.text(name, f"#!{self.bash}\n{content}", 0o555)

    def use(self, number, timeout=0):
        """What is made from now on has lanzad in version NUMBER, and a menu that waits for TIMEOUT."""
        entries = packaged(number)
        for path, entry in entries.items():
            self.add(path, entry.content, entry.mode)
        self.lanzad = self.object_of(next(iter(entries)))
        self.systemd = self.lanzad.rpartition("-lanzad")[0] + "-systemd"
        loader = "/lib/systemd/boot/efi/systemd-bootx64.efi"
        self.add(self.systemd + loader, read(self.images.tree + "/usr" + loader))
        self.bash = self.add(store_path("bash") + "/bin/bash", "/usr/bin/bash")
        loader_conf = self.text("loader.conf", f"console-mode keep\neditor yes\ntimeout {timeout}\n")
        configuration = read(SOURCE + "/tests/nixos/default.conf").decode()
        for name, path in (("/nix/store/lanzad", self.lanzad), ("/nix/store/systemd", self.systemd), ("STORE/loader.conf", loader_conf)):
            assert name in configuration
            configuration = configuration.replace(name, path)
        self.configuration = self.text("lanzad.conf", configuration)
        values = {"lanzactl": self.lanzad + "/bin/lanzactl", "lanzadConf": self.configuration}
        self.hook = self.script("lanzad-install", filled(module_text('installHook = pkgs.writeShellScript "lanzad-install"'), **values))
        check = filled(module_text("system.preSwitchChecks.lanzad ="), **values)
        self.check = self.script("pre-switch-checks", f"(\n{check}) || exit 1\n")
        self.extensions = {"org.lanzaboote.lanzad": {"sortKey": "lanza", "stub": self.lanzad + "/lib/lanzad/lanzastubx64.efi"}}
        self.inputs = [self.hook, self.check]

    def finish(self, toplevel):
        etc = store_path("etc", self.lanzad, self.configuration)
        unit = "etc/systemd/system/lanzad.service"
        self.add(f"{etc}/etc/lanza/lanzad.conf", self.configuration)
        self.add(f"{etc}/etc/dbus-1/system-local.conf", BUS_CONFIGURATION.format(lanzad=self.lanzad).encode())
        self.add(f"{etc}/{unit}", f"{self.lanzad}/lib/systemd/system/lanzad.service")
        self.add(f"{etc}/{unit}.d/overrides.conf", UNIT_OVERRIDES.format(lanzad=self.lanzad).encode())
        values = {"toplevel": toplevel, "etc": etc, "hook": self.hook, "check": self.check, "systemd": self.systemd, "tools": TOOLS}
        for name, text in (("init", INIT), ("activate", ACTIVATE), ("bin/switch-to-configuration", SWITCH)):
            self.add(f"{toplevel}/{name}", text.format(**values).encode(), 0o555)
        path = store_path("system-path", self.lanzad)
        self.add(path + "/bin/lanzactl", self.lanzad + "/bin/lanzactl")
        self.add(path + "/bin/bash", self.bash)
        for name, target in (("sw", path), ("etc", etc + "/etc"), ("systemd", self.systemd)):
            self.add(f"{toplevel}/{name}", target)
        self.add(f"{toplevel}/init-interface-version", b"systemd 2")
