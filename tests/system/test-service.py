#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The installed service under a real service manager: its sandbox, its coming and going, its authority, its journal."""
import contextlib
import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree

from container import COMMAND_SECONDS, TREE, UNIT, Container, wait_until

import tap

PROVISIONING = [f"lanzad-{name}.service" for name in ("generate-keys", "sign-images", "enroll-keys", "leave-keys")]
EXPOSURE_MAX = 2.0
CAP_LINUX_IMMUTABLE = 9
NOBODY, DAEMON = 65534, 1

# What an administrator may write: one user may update the boot menu.
RULE = """polkit.addRule(function(action, subject) {
        if (action.id == "org.lanzaboote.lanza1.sync" && subject.user == "daemon")
                return polkit.Result.YES;
});
"""
ELSEWHERE = "[Esp]\nPath=/mnt/esp\n"


def judge(plan, command):
    """What systemd thinks of the unit, from 0 (safe) to 10."""
    shown = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", shown.stdout)
    assert found, shown.stdout + shown.stderr
    plan.say(f"exposure {found.group(1)}")
    assert 0 < float(found.group(1)) <= EXPOSURE_MAX, shown.stdout


def check_unit(plan, container):
    with plan.step("the-unit-is-well-formed-and-exposed-at-most-2.0", independent=True):
        unit = container.path(f"/usr/lib/systemd/system/{UNIT}")
        assert "@" not in re.sub(r"@[a-z-]+", "", re.sub(r"^SystemCallFilter=.*$", "", unit.read_text(), flags=re.M)), unit.read_text()
        for name in (UNIT, *PROVISIONING):
            verified = container.run("systemd-analyze", "verify", "--man=no", name, check=False)
            assert verified.returncode == 0 and not verified.stderr, verified
        # What the first start of an image does with each unit that it finds.
        container.run("systemctl", "preset", "--preset-mode=enable-only", *PROVISIONING)
        for name in PROVISIONING:
            assert container.run("systemctl", "is-enabled", name, check=False).stdout.strip() == "disabled", name
        judge(plan, ["systemd-analyze", "--no-pager", "--offline=yes", "security", unit])
        judge(plan, container.command("systemd-analyze", "--no-pager", "security", UNIT))
    with plan.step("a-machine-without-firmware-and-esp-is-told-so", independent=True):
        status = lanzactl(container, "status")
        assert not status["secure-boot"] and status["mode"] == "unsupported", status
        problems = " ".join(problem["message"] for problem in status["problems"])
        assert "There are no EFI variables" in problems, problems
        assert "/boot is a folder on" in problems, problems


def lanzactl(container, *arguments, user=0, status=0):
    """What lanzactl says, as JSON, or, where it fails, as text."""
    done = container.run("lanzactl", "--json=short", *arguments, user=user, check=False)
    assert done.returncode == status, (arguments, done)
    return json.loads(done.stdout) if status in (0, 5) else done.stderr


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def check_work(plan, container):
    container.drop_in("tree", TREE.format(60))
    with plan.step("a-call-starts-it"):
        assert container.show("ActiveState") == "inactive"
        assert lanzactl(container, "status")["keys-present"] is False
        assert container.show("ActiveState") == "active" and container.show("Type") == "dbus"
        by_busctl = ["busctl", "get-property", "org.lanzaboote.Lanza1", "/org/lanzaboote/Lanza1", "org.lanzaboote.Lanza1.Manager", "Version"]
        container.run("systemctl", "stop", UNIT)
        assert container.run(*by_busctl).stdout.startswith('s "')
        assert container.show("ActiveState") == "active"
    with plan.step("keys-sync-and-garbage-work-in-the-sandbox"):
        assert lanzactl(container, "create-keys")["created"] == ["PK", "KEK", "db"]
        keys = container.path("/var/lib/lanzad")
        assert [oct(path.stat().st_mode & 0o777) for path in (keys, keys / "keys/db/db.key")] == ["0o700", "0o600"]
        partition, = lanzactl(container, "sync")["partitions"]
        assert partition["path"] == "/boot" and len(partition["images-written"]) == 2, partition
        assert len([name for name in files(container.path("/boot")) if name.startswith("EFI/nixos/")]) == 4
        # Not those of files that have only just come.
        wait_until(lambda: lanzactl(container, "sync") and files(container.path("/var/cache/lanzad")), "hashes are kept", pause=0.5)
        profiles = container.path("/nix/var/nix/profiles")
        (profiles / "system-1-link").rename(profiles / "kept")
        lanzactl(container, "gc")
        assert len([name for name in files(container.path("/boot")) if name.startswith("EFI/nixos/")]) == 2
        (profiles / "kept").rename(profiles / "system-1-link")
        assert len(lanzactl(container, "sync")["partitions"][0]["images-written"]) == 1
        status = lanzactl(container, "status")
        assert status["keys-present"] and not status["problems"], status
    with plan.step("the-journal-tells-operation-caller-and-result", independent=True):
        shown = container.run("journalctl", "--output=json", "--unit", UNIT, "LANZA_OPERATION=sync").stdout.splitlines()
        entries = [json.loads(line) for line in shown]
        assert {(e["LANZA_CALLER_UID"], e["LANZA_RESULT"], e["_COMM"]) for e in entries} == {("0", "done", "lanzad")}, entries
        lanzactl(container, "create-keys", status=3)
        wait_until(lambda: "KeysExist" in container.run("journalctl", "--output=json", "LANZA_OPERATION=create-keys").stdout, "a refusal in the journal")


def attempt(path, flags):
    """0, or why PATH cannot be opened with FLAGS."""
    try:
        os.close(os.open(path, flags, 0o600))
    except OSError as error:
        return error.errno
    return 0


def check_sandbox(plan, container):
    """The process as it runs, and places as it sees them: /proc/PID/root goes through its mounts."""
    lanzactl(container, "status")
    process = Path(f"/proc/{container.service_process()}")
    inside = process / "root"
    with plan.step("it-has-one-of-roots-powers", independent=True):
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        for kind in ("CapBnd", "CapPrm", "CapEff"):
            assert int(status[kind], 16) == 1 << CAP_LINUX_IMMUTABLE, (kind, status[kind])
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
        plan.say(f"resident memory {status['VmRSS'].strip()}")
    with plan.step("it-writes-to-its-places-and-nowhere-else", independent=True):
        create = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        for folder in ("etc", "usr", "usr/lib", "usr/lib64", "usr/lib/lanzad", "usr/sbin", "nix/store", "nix/var/nix/profiles", "run", "mnt", "var/lib", "var/log"):
            assert attempt(inside / folder / "probe", create) == errno.EROFS, folder
        assert os.statvfs(inside / "usr/sbin/lanzad").f_flag & os.ST_RDONLY  # in use, it refuses in any case
        for folder in ("boot", "var/lib/lanzad", "var/cache/lanzad", "tmp"):
            assert attempt(inside / folder / "probe", create) == 0, folder
            (inside / folder / "probe").unlink()
        assert not container.path("/tmp/probe").exists()
    with plan.step("it-sees-no-home-no-device-and-no-other-process", independent=True):
        container.path("/root/secret").write_text("secret", encoding="utf-8")
        assert attempt(inside / "root/secret", os.O_RDONLY) == errno.ENOENT
        disks = [path.name for path in (inside / "dev").iterdir() if path.is_block_device()]
        assert not disks and not (inside / "dev/mem").exists(), disks
        assert not (inside / "proc/cpuinfo").exists()
    with plan.step("it-runs-nothing-else-and-has-no-network", independent=True):
        for name in ("usr/bin/true", "boot/true", "tmp/true", "var/lib/lanzad/true"):
            if not (inside / name).exists():
                (inside / name).write_bytes(container.path("/usr/bin/true").read_bytes())
                (inside / name).chmod(0o755)
            assert not os.access(inside / name, os.X_OK), name
        for name in ("boot/true", "tmp/true", "var/lib/lanzad/true"):
            (inside / name).unlink()
        assert os.access(inside / "usr/sbin/lanzad", os.X_OK) and os.access(container.path("/usr/bin/true"), os.X_OK)
        devices = [line.split(":")[0].strip() for line in (process / "net/dev").read_text().splitlines()[2:]]
        assert devices == ["lo"], devices


def check_mounts(plan, container):
    """What is mounted while the service runs. The host's view of these folders is the one beneath."""
    with plan.step("an-esp-that-is-mounted-later-is-seen-and-one-that-is-idle-is-let-go", independent=True):
        lanzactl(container, "status")
        before = container.show("InvocationID")
        container.run("mount", "-t", "tmpfs", "-o", "mode=700", "esp", "/boot")
        assert len(lanzactl(container, "sync")["partitions"][0]["images-written"]) == 2
        assert len(container.run("ls", "/boot/EFI/Linux").stdout.split()) == 2
        container.run("umount", "/boot")
        assert lanzactl(container, "sync")["partitions"][0]["images-written"] == []
        assert container.show("InvocationID") == before
    with plan.step("an-esp-elsewhere-needs-the-drop-in-file-and-is-told-so", independent=True):
        container.path("/mnt/esp").mkdir()
        container.put("/etc/lanza/lanzad.conf.d/elsewhere.conf", ELSEWHERE)
        container.run("systemctl", "stop", UNIT)
        said = lanzactl(container, "sync", status=3)
        assert "/mnt/esp is mounted read-only" in said and "/usr/share/doc/lanzad/esp-path.conf" in said, said
        hints = [problem["hint"] for problem in lanzactl(container, "status")["problems"] if "/mnt/esp" in problem["message"]]
        assert any("esp-path.conf" in hint for hint in hints), hints
        example = container.path("/usr/share/doc/lanzad/esp-path.conf").read_text()
        container.drop_in("esp-path", example)
        assert lanzactl(container, "sync")["partitions"][0]["path"] == "/mnt/esp"
        assert "EFI/systemd/systemd-bootx64.efi" in files(container.path("/mnt/esp"))
        container.drop_in("esp-path", None)
        container.path("/etc/lanza/lanzad.conf.d/elsewhere.conf").unlink()
    with plan.step("a-key-store-elsewhere-is-told-so", independent=True):
        container.put("/etc/lanza/lanzad.conf.d/elsewhere.conf", "[Keys]\nDirectory=/srv/keys\n")
        said = lanzactl(container, "create-keys", status=1)
        assert "/srv/keys" in said and "lanzad(8)" in said, said
        container.path("/etc/lanza/lanzad.conf.d/elsewhere.conf").unlink()


def check_authority(plan, container):
    with plan.step("polkit-refuses-an-ordinary-user-and-allows-one-by-a-rule", independent=True):
        assert lanzactl(container, "status", user=NOBODY)["keys-present"]
        before = files(container.path("/boot"))
        for verb in ("sync", "gc", "create-keys"):
            said = lanzactl(container, "--no-ask-password", verb, user=NOBODY, status=4)
            assert "sudo" in said, said
        assert "partitions" in lanzactl(container, "sync", user=DAEMON)
        lanzactl(container, "--no-ask-password", "create-keys", user=DAEMON, status=4)
        assert files(container.path("/boot")) == before
        shown = container.run("journalctl", "--output=json", "LANZA_OPERATION=sync", f"LANZA_CALLER_UID={DAEMON}").stdout
        assert json.loads(shown.splitlines()[-1])["LANZA_RESULT"] == "done", shown


def check_idle(plan, container):
    with plan.step("it-goes-when-idle-and-comes-again", independent=True):
        container.drop_in("tree", TREE.format(1))
        lanzactl(container, "status")
        first = container.show("InvocationID")
        wait_until(lambda: container.show("ActiveState") == "inactive", "the service is gone")
        assert container.show("Result") == "success" and container.show("ExecMainStatus") == "0"
        lanzactl(container, "status")
        assert container.show("InvocationID") != first
    with plan.step("no-call-is-lost-while-it-comes-and-goes", independent=True):
        container.drop_in("tree", TREE.format(0))
        runs = set()
        rounds = 300 if os.environ.get("LANZA_LONG") else 20
        # It looks ten times a second whether it is idle: four calls at once, about then.
        script = f"""for _ in $(seq {rounds}); do
                for caller in 1 2 3 4; do lanzactl --json=short sync >/tmp/said.$caller 2>&1 || cat /tmp/said.$caller & done
                wait; sleep $(printf 0.%03i $((RANDOM % 70 + 60))); done"""
        caller, runs = container.begin("bash", "-c", script), set()
        while caller.poll() is None:
            runs.add(container.show("InvocationID"))
        said = caller.communicate(timeout=COMMAND_SECONDS)[0]
        assert caller.returncode == 0 and not said, said
        assert len(runs) > 3, runs
        plan.say(f"{4 * rounds} calls, answered by at least {len(runs)} processes")
        assert container.show("NRestarts") == "0"


def scenario(plan):
    with contextlib.ExitStack() as stack:
        with plan.step("a-system-starts-in-a-container"):
            container = stack.enter_context(Container("service"))
            container.put("/etc/polkit-1/rules.d/10-test.rules", RULE)
            container.boot()
        check_unit(plan, container)
        check_work(plan, container)
        check_sandbox(plan, container)
        check_mounts(plan, container)
        check_authority(plan, container)
        check_idle(plan, container)
        with plan.step("no-error-was-logged"):
            assert container.show("Result") == "success"
            errors = container.run("journalctl", "--no-pager", "--unit", UNIT, "--priority=err").stdout
            assert "-- No entries --" in errors, errors


if __name__ == "__main__":
    tap.run("system/service", scenario)
