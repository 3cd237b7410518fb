#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The NixOS module: its expressions parse, and what they make of configurations is what lanzad takes.

For the second part NIXPKGS_LIB names the folder lib/ of nixpkgs. Without it those tests are named as not run.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from program_tests import LANZAD, Tree, run_tests

SOURCE = Path(os.environ.get("LANZA_SOURCE", ".")).resolve()
LIBRARY = os.environ.get("NIXPKGS_LIB", "")
EXPRESSIONS = ["flake.nix", "default.nix", *(str(path.relative_to(SOURCE)) for path in sorted(SOURCE.glob("*/nixos/*.nix")))]
HERE = SOURCE / "tests/nixos"

MOUNTED = 'fileSystems."/" = { fsType = "ext4"; }; fileSystems."/boot" = { fsType = "vfat"; options = [ "umask=0077" ]; };'

# What a machine has after the installer, and one line.
DEFAULT = "boot.lanzaboote.enable = true; boot.loader.efi.canTouchEfiVariables = true;" + MOUNTED

# What somebody has who comes from lanzaboote, by its own names and defaults.
FROM_LANZABOOTE = """
  boot.loader.systemd-boot.enable = lib.mkForce false;
  boot.loader.systemd-boot.configurationLimit = 8;
  boot.loader.timeout = null;
  boot.lanzaboote = {
    enable = true;
    pkiBundle = "/var/lib/sbctl";
    sortKey = "nixos";
    settings = { console-mode = "max"; editor = null; default = "nixos-*"; };
    extraEfiSysMountPoints = [ "/efi-b" ];
    autoGenerateKeys.enable = true;
    autoEnrollKeys = { enable = true; autoReboot = true; };
    bootCounting.initialTries = 3;
    allowUnsigned = false;
    logLevel = "debug";
  };
  fileSystems."/efi-b" = { fsType = "vfat"; };
  fileSystems."/var/lib/sbctl" = { fsType = "none"; options = [ "bind" ]; };
  fileSystems."/nix" = { fsType = "btrfs"; };
  fileSystems."/" = { fsType = "tmpfs"; };
  fileSystems."/boot" = { fsType = "vfat"; };
"""

EVERYTHING = """
  options.system.preSwitchChecks = lib.mkOption { type = lib.types.attrsOf lib.types.str; };
  options.boot.loader.systemd-boot.xbootldrMountPoint = lib.mkOption { type = lib.types.nullOr lib.types.str; default = null; };
  config = {
    boot.loader.efi.efiSysMountPoint = "/esp";
    boot.loader.systemd-boot.xbootldrMountPoint = "/boot";
    boot.lanzaboote = {
      enable = true;
      configurationLimit = 12;
      extraEfiSysMountPoints = [ "/esp2" "/mnt/esp-3" ];
      entryToken = "blue";
      strictPermissions = true;
      publicKeyFile = "/run/keys/db.pem";
      privateKeyFile = "/run/keys/db.key";
      bootCounting.initialTries = 2;
      polkitGroup = "secureboot";
      autoEnrollKeys = { enable = true; method = "boot-loader"; includeMicrosoftKeys = false; allowBrickingMyMachine = true; };
      settings = { beep = true; timeout = 10; };
      daemonSettings = { Keys.PlatformKey = "/run/keys/PK.key"; Boot.Profiles = [ "/a" "/b" ]; Boot.SortKey = "other"; };
    };
    fileSystems."/boot" = { fsType = "vfat"; };
    fileSystems."/esp" = { fsType = "vfat"; };
    fileSystems."/esp2" = { fsType = "vfat"; };
    fileSystems."three" = { mountPoint = "/mnt/esp-3"; };
  };
"""


class Nix:
    """nix-instantiate with a store of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "etc").mkdir()
        (folder / "etc/nix.conf").write_text("build-users-group =\n")
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "NIX_CONF_DIR": f"{folder}/etc", "NIX_LOG_DIR": f"{folder}/log",
                            "NIX_STATE_DIR": f"{folder}/var", "NIX_STORE_DIR": f"{folder}/store"}  # fmt: skip

    def run(self, *arguments):
        command = ["unshare", "--net", "nix-instantiate", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, check=False)

    def evaluate_package(self):
        done = self.run("--eval", "--strict", "--json", HERE / "evaluate-package.nix", "--arg", "lib", LIBRARY)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def evaluate(self, *configurations):
        case = self.folder / "case.nix"
        case.write_text("{ lib, ... }: { imports = [ " + "".join(f"{{ {text} }}\n" for text in configurations) + "]; }\n")
        done = self.run("--eval", "--strict", "--json", "--read-write-mode", HERE / "evaluate.nix", "--arg", "lib", LIBRARY, "--arg", "configuration", case)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)


def read_configuration(path):
    """The lines of an INI file as {section: [line]}, and the one of LoaderConfig= as the text of that file."""
    sections, lines = {}, []
    for line in Path(path).read_text().splitlines():
        if line.startswith("["):
            lines = sections[line.strip("[]")] = []
        elif line.startswith("LoaderConfig="):
            sections["loader.conf"] = Path(line.removeprefix("LoaderConfig=")).read_text().splitlines()
        elif line:
            lines.append(line)
    return sections


def judge(path):
    """What lanzad says of a configuration: nothing that it does not know, no value that it does not take."""
    with Tree() as tree:
        # The configuration stands in the tree, at the same path.
        tree.write(path.lstrip("/"), Path(path).read_text())
        done = subprocess.run([LANZAD, "--oneshot", "list", tree.option(), f"--config={path}"], capture_output=True, check=False)
        warnings = [line for line in json.loads(done.stdout).get("warnings", []) if path in line]
        assert "error" not in json.loads(done.stdout), done.stdout.decode()
        assert not [line for line in warnings if "unknown" in line], warnings


def check_file(made, name, text):
    """A file that the module writes: what it consists of but for the names of files in the store."""
    shown = re.sub(r"/\S*/store/[0-9a-z]{32}-", "STORE/", Path(made[name]).read_text())
    assert shown == text, shown


def check_conditions(name, service, esp, keys):
    """The conditions of a unit for provisioning are those that it has for the usual places, which an empty one takes away."""
    unit = (SOURCE / f"units/lanzad-{name}.service").read_text().replace("/boot/", f"{esp}/").replace("/var/lib/lanzad", keys)
    for condition in ("ConditionPathExists", "ConditionFileNotEmpty"):
        expected = re.findall(rf"^{condition}=(.*)$", unit, re.MULTILINE)
        found = service["unitConfig"].get(condition, [])
        assert found == ([""] + expected if expected else []), (name, found, expected)
    # An activation, which starts what is new, makes and enrolls nothing: "nixos-rebuild test" would otherwise install a boot loader.
    assert service["serviceConfig"]["ExecCondition"] == ["/nix/store/coreutils/bin/test /run/booted-system -ef /run/current-system"], service


def main():
    folder = Path(tempfile.mkdtemp(prefix="lanza-test-"))
    nix = Nix(folder)

    def test_parsing():
        assert len(EXPRESSIONS) >= 6, EXPRESSIONS
        for path in EXPRESSIONS:
            done = nix.run("--parse", SOURCE / path)
            assert done.returncode == 0, (path, done.stderr.decode())

    def test_examples():
        examples = [example for name in ("README.md", "GUIDE.md")
                    for example in re.findall(r"^```nix\n(.*?)^```", (SOURCE / name).read_text(), re.MULTILINE | re.DOTALL)]  # fmt: skip
        assert len(examples) >= 5
        for text in examples:
            (folder / "example.nix").write_text(text)
            done = nix.run("--parse", folder / "example.nix")
            assert done.returncode == 0, (text, done.stderr.decode())

    def test_default():
        made = nix.evaluate(DEFAULT)
        assert made["refused"] == [] and made["warnings"] == [], made
        # With which the test machine's systems are made, too.
        check_file(made, "configuration", (HERE / "default.conf").read_text())
        assert read_configuration(made["configuration"])["loader.conf"] == ["console-mode keep", "editor yes", "timeout 5"]
        judge(made["configuration"])
        check_file(made, "hook", 'exec /nix/store/lanzad/bin/lanzactl sync --hook --config=STORE/lanzad.conf -- "$1"\n')
        assert made["extensions"] == {
            "org.lanzaboote.lanzad": {"sortKey": "lanza", "stub": "/nix/store/lanzad/lib/lanzad/lanzastubx64.efi"}
        }, made["extensions"]
        assert made["supportsInitrdSecrets"] and made["installed"] == made["bus"] == made["units"] == ["/nix/store/lanzad"]
        assert made["tmpfiles"] == ["d /var/lib/lanzad 0700 root root -", "d /var/cache/lanzad 0700 root root -"]
        assert sorted(made["services"]) == ["lanzad"] and made["targets"] == {} and not made["polkit"]["enable"]
        service = made["services"]["lanzad"]
        assert service["restartIfChanged"] is False and service["after"] == ["boot.mount"] and service["wantedBy"] == []
        assert service["serviceConfig"] == {"LogLevelMax": "info", "ReadWritePaths": []}, service

    def test_package():
        made = nix.evaluate_package()
        assert f"\nVERSION := {made['version']}\n" in (SOURCE / "Makefile").read_text(), made["version"]
        assert made["license"] == "LGPL-2.1-or-later" and made["clang"].startswith("/nix/store/clang-unwrapped/bin/clang "), made
        # Every place that it names is one that the Makefile knows.
        places = {flag.partition("=")[0] for flag in made["makeFlags"]}
        known = set(re.findall(r"^(\w+) [?:]?= ", "".join(path.read_text() for path in SOURCE.glob("**/build.mk")) +
                               (SOURCE / "Makefile").read_text(), re.MULTILINE))  # fmt: skip
        assert places <= known, places - known

    def test_off():
        made = nix.evaluate("boot.loader.external.installHook = /none;")
        assert made["services"] == {} and made["extensions"] == {} and made["installed"] == [] and made["refused"] == []

    def test_from_lanzaboote():
        made = nix.evaluate(FROM_LANZABOOTE)
        assert made["refused"] == [] and made["warnings"] == [], made
        found = read_configuration(made["configuration"])
        assert found["loader.conf"] == ["console-mode max", "default nixos-*", "timeout menu-force"], found
        assert {"AllowUnsigned=no", "Limit=8", "SortKey=nixos", "Tries=3"} <= set(found["Boot"]), found
        # NixOS' default: the firmware's boot entries are left alone.
        assert found["Esp"] == ["BootEntry=no", "ExtraPaths=/efi-b", "Path=/boot", "StrictPermissions=no"], found
        assert found["Keys"] == ["Directory=/var/lib/sbctl"], found
        judge(made["configuration"])
        service = made["services"]["lanzad"]
        assert service["serviceConfig"] == {"LogLevelMax": "debug", "ReadWritePaths": ["-/efi-b", "-/var/lib/sbctl"]}, service
        assert service["after"] == ["boot.mount", "efi\\x2db.mount"], service
        assert sorted(made["services"]) == ["lanzad", "lanzad-enroll-keys", "lanzad-generate-keys", "lanzad-sign-images"]
        for name in ("generate-keys", "sign-images", "enroll-keys"):
            service = made["services"][f"lanzad-{name}"]
            assert service["wantedBy"] == ["multi-user.target"] and service["restartIfChanged"] is False, service
            assert service["environment"]["KEYS"] == "/var/lib/sbctl", service
            check_conditions(name, service, "/boot", "/var/lib/sbctl")
        assert service["environment"]["ENROLL"] == "--microsoft", service
        assert service["serviceConfig"]["ExecStart"] == ["/nix/store/systemd/bin/systemctl --no-block reboot"], service
        assert made["targets"]["boot-complete"]["after"] == ["multi-user.target"]
        assert made["tmpfiles"][0] == "d /var/lib/sbctl 0700 root root -"

    def test_everything():
        made = nix.evaluate(EVERYTHING)
        assert made["refused"] == [] and made["warnings"] == [], made
        found = read_configuration(made["configuration"])
        assert found["Keys"] == ["DatabaseCertificate=/run/keys/db.pem", "DatabaseKey=/run/keys/db.key", "Directory=/var/lib/lanzad",
                                 "PlatformKey=/run/keys/PK.key"], found  # fmt: skip
        assert found["Esp"] == ["BootEntry=no", "ExtraPaths=/esp2 /mnt/esp-3", "Path=/esp", "StrictPermissions=yes",
                                "XbootldrPath=/boot"], found  # fmt: skip
        assert {"EntryToken=blue", "Limit=12", "Profiles=/a /b", "SortKey=other", "Tries=2"} <= set(found["Boot"]), found
        assert found["loader.conf"] == ["beep yes", "console-mode keep", "editor yes", "secure-boot-enroll force", "timeout 10"], found
        judge(made["configuration"])
        service = made["services"]["lanzad"]
        assert service["serviceConfig"]["ReadWritePaths"] == ["-/esp", "-/esp2", "-/mnt/esp-3"], service
        assert service["after"] == ["esp.mount", "esp2.mount", "mnt-esp\\x2d3.mount", "boot.mount"], service
        service = made["services"]["lanzad-leave-keys"]
        assert service["environment"] == {"ENROLL": "--yes-this-might-brick-my-machine", "ESP": "/esp", "KEYS": "/var/lib/lanzad"}, service
        assert service["serviceConfig"]["ExecStart"] == [] and service["wantedBy"] == ["multi-user.target"], service
        check_conditions("leave-keys", service, "/esp", "/var/lib/lanzad")
        assert sorted(made["services"]) == ["lanzad", "lanzad-leave-keys"]
        rules = made["polkit"]["extraConfig"]
        assert made["polkit"]["enable"] and 'subject.isInGroup("secureboot")' in rules, rules

    def test_fwupd():
        made = nix.evaluate(DEFAULT, 'services.fwupd.enable = true; boot.lanzaboote.pkiBundle = "/keys";')
        assert made["refused"] == [] and made["capsules"] == {"DisableShimForSecureBoot": True}, made
        helpers = "/nix/store/fwupd-efi/libexec/fwupd/efi"
        signing, fwupd = made["services"]["lanzad-sign-fwupd"], made["services"]["fwupd"]
        assert signing["environment"] == {"HELPERS": helpers} and signing["unitConfig"] == {"RequiresMountsFor": "/keys"}, signing
        # What the drop-in file says elsewhere, with this system's place.
        text = (SOURCE / "units/fwupd.service.d/lanzad.conf").read_text().replace("/usr/libexec/fwupd/efi", helpers)
        assert fwupd["serviceConfig"] == {"BindReadOnlyPaths": re.findall(r"^BindReadOnlyPaths=(.*)$", text, re.MULTILINE)}, fwupd
        assert fwupd["wants"] == fwupd["after"] == re.findall(r"^Wants=(.*)$", text, re.MULTILINE), fwupd
        for off in ("services.fwupd.enable = true; boot.lanzaboote.fwupd.enable = false;", "boot.lanzaboote.fwupd.enable = true;"):
            made = nix.evaluate(DEFAULT, off)
            assert sorted(made["services"]) == ["lanzad"] and made["capsules"] == {}, made

    def check_switch(action, *expected):
        """What the check before a switch runs, with a lanzactl that says with which words."""
        script = nix.evaluate(EVERYTHING)["checks"]["lanzad"].replace("/nix/store/lanzad/bin/lanzactl", "echo")
        environment = {"PATH": "/usr/bin:/bin", **({"NIXOS_ACTION": action} if action else {})}
        done = subprocess.run(["bash", "-eu", "-c", script, "check", "/nix/store/new", action], capture_output=True, env=environment, check=True)
        words = [re.sub(r"=.*", "=FILE", word) for word in done.stdout.decode().split()]
        assert words == list(expected), (action, words)

    def test_switch_check():
        for action in ("switch", "boot", ""):
            check_switch(action, "sync", "--dry-run", "--quiet", "--hook", "--config=FILE", "--", "/nix/store/new")
        check_switch("check", "sync", "--dry-run", "--quiet", "--hook", "--allow-unlisted", "--config=FILE", "--", "/nix/store/new")
        for action in ("test", "dry-activate"):
            check_switch(action)

    def test_polkit():
        rules = nix.evaluate(EVERYTHING)["polkit"]["extraConfig"]
        assert '"org.lanzaboote.lanza1."' in rules
        for action in re.findall(r'"org\.lanzaboote\.lanza1\.([a-z-]+)"', rules):
            assert f'<action id="org.lanzaboote.lanza1.{action}">' in (SOURCE / "dbus/org.lanzaboote.lanza1.policy").read_text(), action

    def refuses(text, *messages):
        made = nix.evaluate(DEFAULT, text)
        assert len(made["refused"]) == len(messages), made["refused"]
        for message, expected in zip(made["refused"], messages):
            assert expected in message, message

    def test_refusals():
        refuses("boot.loader.systemd-boot.enable = true;", "boot.loader.systemd-boot.enable exclude each other")
        refuses("boot.loader.grub.enable = true;", "boot.loader.grub.enable exclude each other")
        refuses("boot.lanzaboote.configurationLimit = -1;", "configurationLimit is -1")
        refuses('boot.lanzaboote.extraEfiSysMountPoints = [ "/boot2" ];', "nothing is mounted on /boot2")
        refuses('boot.lanzaboote.extraEfiSysMountPoints = [ "/boot" ];', "each partition is named once")
        refuses('boot.lanzaboote.extraEfiSysMountPoints = [ "/a b" ]; boot.lanzaboote.checkMountPoints = false;', "'/a b' is no path")
        # systemd would take the place of the unit's name for it.
        refuses('boot.lanzaboote.pkiBundle = "/var/lib/100%n";', "'/var/lib/100%n' is no path")
        for character in ("$x", '\\"', "'", "\\\\"):
            refuses(f'boot.lanzaboote.pkiBundle = "/var/lib/a{character}b";', "is no path")
        refuses('boot.lanzaboote.xbootldrMountPoint = "/boot/../x"; boot.lanzaboote.checkMountPoints = false;', "'/boot/../x' is no path")
        refuses('fileSystems."/boot".fsType = lib.mkForce "ext4";', "firmware and boot loader read vfat")
        refuses('boot.lanzaboote.sortKey = "a b";', "sortKey is 'a b'")
        refuses('boot.lanzaboote.publicKeyFile = "/a.pem";', "belong together")
        refuses('boot.lanzaboote.pkiBundle = "${builtins.storeDir}/x";', "in the Nix store")
        refuses("boot.bootspec.enable = false;", "needs boot.bootspec.enable")
        refuses("boot.lanzaboote.enrollKeys = true;", "lanzactl setup")
        refuses("boot.lanzaboote.autoEnrollKeys = { enable = true; includeMicrosoftKeys = false; };", "without Microsoft's certificates")
        refuses("boot.lanzaboote.autoEnrollKeys.includeChecksumsFromTPM = true;", "digests of device firmware")
        refuses('boot.lanzaboote.measuredBoot = { enable = true; pcrs = [ 4 ]; };', "its stub measures nothing")

    def warns(text, *messages):
        made = nix.evaluate("boot.lanzaboote.enable = true;", text)
        assert made["refused"] == [] and len(made["warnings"]) == len(messages), made
        for message, expected in zip(made["warnings"], messages):
            assert expected in message, message

    def test_warnings():
        warns('fileSystems."/" = { fsType = "tmpfs"; }; fileSystems."/boot" = { };', "/var/lib/lanzad, is on a tmpfs")
        warns('fileSystems."/" = { fsType = "tmpfs"; }; fileSystems."/var/lib" = { fsType = "ext4"; }; fileSystems."/boot" = { };')
        warns('boot.initrd.secrets."/key" = /key;' + MOUNTED)
        warns('boot.initrd.secrets."/key" = /key; fileSystems."/boot".options = [ "fmask=0022" "dmask=0022" ];', "everybody can read /boot")
        warns('boot.lanzaboote.settings.default = "@saved";' + MOUNTED, "no effect")
        warns('boot.loader.systemd-boot.extraInstallCommands = "cp -r /boot/. /boot2";' + MOUNTED, "extraEfiSysMountPoints does that")
        warns("boot.loader.systemd-boot.memtest86.enable = true;" + MOUNTED, "boot.loader.systemd-boot.memtest86 has no effect")

    evaluations = {
        "the-package-tells-make-what-make-knows": test_package,
        "a-single-option-sets-all-that-is-needed": test_default,
        "nothing-is-set-where-it-is-off": test_off,
        "options-of-lanzaboote-mean-the-same": test_from_lanzaboote,
        "every-option-reaches-what-it-is-for": test_everything,
        "the-helper-of-fwupd-is-signed-where-there-is-fwupd": test_fwupd,
        "the-check-before-a-switch-asks-what-activation-would-do": test_switch_check,
        "the-rule-for-a-group-names-actions-that-there-are": test_polkit,
        "bad-combinations-are-refused-with-the-way-out": test_refusals,
        "what-works-and-hurts-is-warned-of": test_warnings,
    }
    tests = {"expressions-parse": test_parsing, "examples-in-the-documents-parse": test_examples}
    if LIBRARY:
        tests.update(evaluations)
    else:
        for title in evaluations:
            print(f"# not run: /nixos/module/{title} (NIXPKGS_LIB names no lib/ of nixpkgs)")
    try:
        run_tests("/nixos/module", tests)
    finally:
        shutil.rmtree(folder)


main()
