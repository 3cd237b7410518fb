#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lanzad --oneshot as a program: arguments, exit statuses, what stands on standard output and what on standard error."""
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from program_tests import LANZAD, Tree, run_tests

PARAMETERS = {
    "create-keys": ["dry-run", "timeout=", "bits="],
    "sync": ["dry-run", "timeout=", "restub", "allow-unlisted"],
    "initrd-secrets": ["allow-unlisted", "socket="],
    "gc": ["dry-run", "timeout="],
    "enroll-keys": [
        "dry-run", "timeout=", "microsoft[=", "yes-this-might-brick-my-machine", "export=", "output=", "timestamp=",
    ],  # fmt: skip
    "list-enrolled-keys": ["variable="],
    "status": ["check"],
    "list": [],
    "security": [],
    "sign": ["dry-run", "timeout=", "output="],
}
COMMON = ["root=", "config=", "keys=", "variables=", "help"]


def run(*arguments, **more):
    command = [str(LANZAD), *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False, **more)


def oneshot(*arguments, status=0):
    """The result, or the error, of a run that must end with STATUS; and what it said on standard error."""
    done = run("--oneshot", *arguments)
    errors = done.stderr.decode("utf-8", "replace")
    assert done.returncode == status, (done.returncode, arguments, errors)
    return json.loads(done.stdout.decode("utf-8")), errors


def refused(name, *arguments, status=3):
    result, errors = oneshot(*arguments, status=status)
    error = result["error"]
    assert set(result) == {"error"} and set(error) <= {"name", "message", "hint"}, result
    assert error["name"].endswith("." + name), error
    assert f"lanzad: {error['message']}\n" in errors, (error, errors)
    assert "hint" not in error or error["hint"] in errors, (error, errors)
    return error


def usage(*arguments):
    done = run(*arguments)
    errors = done.stderr.decode()
    assert done.returncode == 2, (done.returncode, arguments, errors)
    assert done.stdout == b"", done.stdout
    assert errors.startswith("lanzad: ") and "--help" in errors, errors
    return errors


def test_usage_errors():
    assert "no such option" in usage("--daemon")
    assert "no such option" in usage("sync")
    assert "number of seconds" in usage("--idle-timeout=soon")
    usage("--oneshot")
    assert "no such verb" in usage("--oneshot", "synchronise")
    assert "no such verb" in usage("--oneshot", "")
    assert "--synchronise" in usage("--oneshot", "sync", "--synchronise")
    for option in ("--dry", "--dry-ru", "--DRY-RUN", "-n", "-", "--=x", "--toplevel=/nix/store/x", "--dry-run=yes"):
        assert option in usage("--oneshot", "sync", option), option
    for option in ("--yes", "--yes-this-might-brick-my-machin", "--yes-this-might-brick-my-machine=yes"):
        assert option in usage("--oneshot", "enroll-keys", option), option
    for option in ("--root", "--config", "--keys", "--timeout"):
        assert "value is missing" in usage("--oneshot", "sync", option)
    for value in ("", "abc", "-1", "+1", "1s", " 1", "0x10", "18446744073709551616", "99999999999999999999999"):
        assert "takes a number" in usage("--oneshot", "create-keys", f"--bits={value}"), value
    assert "too many" in usage("--oneshot", "sync", "/nix/store/a", "/nix/store/b")
    assert "too many" in usage("--oneshot", "gc", "/nix/store/a")
    assert "too many" in usage("--oneshot", "sync", "/nix/store/a", "--", "--dry-run")


def test_no_bus():
    nowhere = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/bus"}
    done = run(env=nowhere)
    assert done.returncode == 1 and b"--oneshot" in done.stderr, done


def test_help():
    done = run("--help")
    assert done.returncode == 0 and b"--oneshot" in done.stdout
    assert re.fullmatch(rb"lanzad \d+\.\d+\.\d+\n", run("--version").stdout)
    done = run("--oneshot", "--help")
    assert done.returncode == 0
    for verb, parameters in PARAMETERS.items():
        assert f"\n  {verb} " in done.stdout.decode(), verb
        shown = run("--oneshot", verb, "--help")
        assert shown.returncode == 0 and shown.stderr == b""
        found = re.findall(r"^  --([a-z-]+(?:\[?=)?)", shown.stdout.decode(), re.MULTILINE)
        assert sorted(found) == sorted(parameters + COMMON), (verb, found)
    assert "[TOPLEVEL]" in run("--oneshot", "sync", "--help").stdout.decode()
    verbs = re.findall(r"^  ([a-z][a-z-]+)  ", done.stdout.decode(), re.MULTILINE)
    assert sorted(verbs) == sorted(PARAMETERS), verbs


def test_whole_way():
    with Tree() as tree:
        result, errors = oneshot("create-keys", tree.option())
        assert set(result) == {"dry-run", "created", "certificates", "warnings"}
        assert set(result["certificates"][0]) == {"role", "subject", "fingerprint", "not-after"}
        assert errors == ""
        refused("KeysExist", "create-keys", tree.option())

        result, _ = oneshot("sync", tree.option())
        assert set(result) == {"dry-run", "partitions", "warnings"}
        partition = result["partitions"][0]
        assert set(partition) == {
            "path", "role", "boots", "default-entry", "images-written", "images-kept", "images-removed", "entries-removed", "contents-written", "contents-kept",
            "contents-removed", "loaders-written", "left-out", "left-alone", "bytes-written", "bytes-removed",
        }  # fmt: skip
        assert len(partition["images-written"]) == 2 and partition["images-kept"] == 0
        for name in partition["images-written"]:
            assert (tree.root / "boot/EFI/Linux" / name).is_file()
        before = tree.snapshot("boot")
        result, _ = oneshot("sync", tree.option())
        assert result["partitions"][0]["images-kept"] == 2
        assert tree.snapshot("boot") == before

        result, _ = oneshot("status", tree.option(), "--check")
        assert {"keys-present", "partitions", "generations", "problems", "certificates"} <= set(result)
        assert result["problems"] == [] and "mode" not in result
        assert [generation["number"] for generation in result["generations"]] == [2, 1]


def test_statuses():
    with Tree() as tree:
        refused("NotSupported", "enroll-keys", tree.option(), status=3)
        refused("NotSupported", "list-enrolled-keys", tree.option())
        refused("BadConfiguration", "create-keys", tree.option(), "--bits=1024")
        refused("ForeignToplevel", "sync", tree.option(), "/nix/store/other")
        result, _ = oneshot("status", tree.option(), "--check", status=6)
        assert any("No image of a generation" in problem["message"] for problem in result["problems"])
        oneshot("status", tree.option())
        tree.write("nix/store/system-1/boot.json", "{")
        result, _ = oneshot("sync", tree.option(), status=5)
        assert any("generation 1 is left out" in warning for warning in result["warnings"])
        refused("Failed", "sync", f"--root={tree.top}/missing", status=1)
        refused("Failed", "sync", "--root=", status=1)


def test_toplevel():
    with Tree() as tree:
        oneshot("sync", tree.option(), "/nix/store/system-1")
        assert "default nixos-generation-1-" in (tree.root / "boot/loader/loader.conf").read_text()
        oneshot("sync", "/nix/store/system-2", tree.option())
        assert "default nixos-generation-2-" in (tree.root / "boot/loader/loader.conf").read_text()
        oneshot("sync", "--root", str(tree.root), "--", "/nix/store/system-1")
        assert "default nixos-generation-1-" in (tree.root / "boot/loader/loader.conf").read_text()


def test_dry_run():
    with Tree() as tree:
        before = tree.snapshot()
        result, _ = oneshot("create-keys", tree.option(), "--dry-run")
        assert result["created"] == ["PK", "KEK", "db"] and result["dry-run"]
        result, _ = oneshot("sync", tree.option(), "--dry-run")
        assert len(result["partitions"][0]["images-written"]) == 2
        oneshot("gc", tree.option(), "--dry-run")
        oneshot("status", tree.option())
        assert tree.snapshot() == before


def test_other_bytes():
    with Tree(os.fsdecode(b"gr\xc3\xbcn \xff\xfe\xc3")) as tree:
        (tree.root / "usr/lib/lanzad/lanzastubx64.efi").unlink()
        done = run("--oneshot", "sync", tree.option())
        assert done.returncode == 3
        message = json.loads(done.stdout.decode("utf-8"))["error"]["message"]
        assert "/gr\u00fcn \ufffd\ufffd\ufffd/usr/lib/lanzad" in message, message
        assert b"/gr\xc3\xbcn \xff\xfe\xc3/usr/lib/lanzad" in done.stderr


def test_configuration():
    with Tree() as tree:
        tree.write("etc/lanza/lanzad.conf", "[Boot]\nLimit=1\nSurprise=yes\n[Other]\n")
        tree.write("etc/lanza/lanzad.conf.d/20.conf", "[Boot]\nSortKey=second\n")
        result, errors = oneshot("sync", tree.option(), "--dry-run")
        assert len(result["partitions"][0]["images-written"]) == 1
        assert "lanzad.conf:3: unknown key Surprise=" in errors, errors
        assert "lanzad.conf:4: unknown section [Other]" in errors, errors

        tree.write("etc/lanza/lanzad.conf.d/30.conf", "[Boot]\nLimit=many\n")
        error = refused("BadConfiguration", "sync", tree.option())
        assert "/etc/lanza/lanzad.conf.d/30.conf:2: Limit=many" in error["message"], error

        # In place of all of these: an absolute path is the tree's, a relative one the caller's.
        tree.write("nix/store/other.conf", "[Boot]\nLimit=0\n")
        result, errors = oneshot("sync", tree.option(), "--config=/nix/store/other.conf", "--dry-run")
        assert len(result["partitions"][0]["images-written"]) == 2 and errors == ""
        relative = os.path.relpath(tree.root / "nix/store/other.conf")
        result, errors = oneshot("sync", tree.option(), f"--config={relative}", "--dry-run")
        assert len(result["partitions"][0]["images-written"]) == 2 and errors == ""
        refused("BadConfiguration", "sync", tree.option(), "--config=/etc/missing.conf")
        refused("BadConfiguration", "sync", tree.option(), "--config=/etc")


def test_keys():
    with Tree() as tree:
        keys = tree.top / "keys"
        oneshot("create-keys", tree.option(), f"--keys={keys}")
        assert (keys / "keys/db/db.key").is_file() and not (tree.root / "var").exists()
        oneshot("sync", tree.option(), f"--keys={keys}")
        image = next((tree.root / "boot/EFI/Linux").iterdir())
        judged = subprocess.run(["sbverify", "--cert", keys / "keys/db/db.pem", image], stdout=subprocess.PIPE, check=False)
        assert judged.returncode == 0


def test_firmware():
    with Tree() as tree:
        options = [tree.option(), tree.firmware()]
        oneshot("create-keys", *options)
        oneshot("sync", *options)
        assert oneshot("status", *options)[0]["mode"] == "setup"
        assert not (tree.top / "variables").exists()  # who only reads leaves no trace
        refused("OptionRomRisk", "enroll-keys", *options)
        oneshot("enroll-keys", *options, "--microsoft")
        status, _ = oneshot("status", *options)
        assert status["mode"] == "user" and status["keys-enrolled"] and not status["secure-boot"], status
        tree.restart()
        status, _ = oneshot("status", *options, "--check")
        assert status["secure-boot"] and status["problems"] == [], status
        listed, _ = oneshot("list-enrolled-keys", *options)
        assert {key["variable"] for key in listed["keys"] if key["origin"] == "own"} == {"PK", "KEK", "db"}
        shutil.rmtree(tree.root / "var/lib/lanzad")
        oneshot("create-keys", *options)
        refused("NotInSetupMode", "enroll-keys", *options, "--microsoft")

        tree.write("../variables", "PK=mine\n")
        assert "is no file of firmware variables" in refused("Failed", "status", *options, status=1)["message"]
        refused("Failed", "status", tree.option(), f"--variables={tree.root}", status=1)


def test_private_files():
    """Keys, cache and export under a generous umask."""
    with Tree() as tree:
        command = f"umask 000; exec '{LANZAD}' --oneshot create-keys '{tree.option()}'"
        subprocess.run(["sh", "-c", command], stdout=subprocess.DEVNULL, check=True)
        store = tree.root / "var/lib/lanzad"
        assert store.stat().st_mode & 0o777 == 0o700
        for role in ("PK", "KEK", "db"):
            assert (store / f"keys/{role}/{role}.key").stat().st_mode & 0o777 == 0o600
        oneshot("sync", tree.option())
        assert (tree.root / "var/cache/lanzad").stat().st_mode & 0o777 == 0o700
        oneshot("enroll-keys", tree.option(), "--export=auth", f"--output={tree.top}")
        for name in ("PK", "KEK", "db"):
            assert (tree.top / f"{name}.auth").stat().st_mode & 0o777 == 0o644


def microsoft(tree, *arguments):
    """How many certificates for KEK and for db ARGUMENTS export, by efitools."""
    folder = tree.top / "exported"
    folder.mkdir()
    oneshot("enroll-keys", tree.option(), *arguments, "--export=esl", f"--output={folder}")
    for name in ("KEK", "db"):
        subprocess.run(["sig-list-to-certs", f"{name}.esl", name], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    counts = tuple(len(list(folder.glob(f"{name}-*.der"))) for name in ("KEK", "db"))
    shutil.rmtree(folder)
    return counts


def test_optional_value():
    with Tree() as tree:
        oneshot("create-keys", tree.option())
        assert microsoft(tree) == (1, 1)
        assert microsoft(tree, "--microsoft") == (3, 6)
        assert microsoft(tree, "--microsoft=all") == (3, 6)
        assert microsoft(tree, "--microsoft=windows") == (3, 3)
        assert microsoft(tree, "--microsoft=windows,option-rom") == (3, 5)
        assert microsoft(tree, "--microsoft", "--microsoft=windows") == (3, 3)
        for value in ("", "linux", "windows,", "windows;option-rom"):
            error = refused("BadConfiguration", "enroll-keys", tree.option(), f"--microsoft={value}")
            assert "windows, third-party and option-rom" in error["message"], error
    assert "too many" in usage("--oneshot", "enroll-keys", "--microsoft", "windows")
    for option in ("--microsof", "--microsofts=windows"):
        assert "no such option" in usage("--oneshot", "enroll-keys", option)


def test_at_once():
    with Tree() as tree:
        oneshot("create-keys", tree.option())
        command = [str(LANZAD), "--oneshot", "sync", tree.option()]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
        results = []
        for process in running:
            output, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
            results.append(json.loads(output)["partitions"][0])
        assert sorted(len(result["images-written"]) for result in results) == [0, 0, 0, 2]
        assert sorted(result["images-kept"] for result in results) == [0, 2, 2, 2]


def test_busy():
    with Tree() as tree:
        oneshot("create-keys", tree.option())
        for folder in ("var/lib/lanzad", "boot"):
            fd = os.open(tree.root / folder, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_EX)
            error = refused("Busy", "sync", tree.option(), "--timeout=1", status=1)
            assert "--timeout" in error["hint"]
            assert b"Waiting" not in run("--oneshot", "gc", tree.option(), "--timeout=0").stderr
            assert refused("Busy", "gc", tree.option(), "--timeout=0", status=1)
            assert b"Waiting for another operation" in run("--oneshot", "gc", tree.option(), "--timeout=1").stderr
            oneshot("sync", tree.option(), "--dry-run")
            os.close(fd)


def test_lost_output():
    with Tree() as tree, open("/dev/full", "wb") as full:
        command = [str(LANZAD), "--oneshot", "status", tree.option()]
        assert subprocess.run(command, stdout=full, stderr=subprocess.DEVNULL, check=False).returncode == 1


TESTS = {
    "bad-arguments-are-usage-errors": test_usage_errors,
    "without-a-bus-there-is-no-service": test_no_bus,
    "help-names-every-verb-and-parameter": test_help,
    "whole-way-through-a-tree-prints-documented-fields": test_whole_way,
    "exit-status-tells-refusal-part-and-finding": test_statuses,
    "toplevel-is-the-argument-without-name": test_toplevel,
    "dry-runs-leave-the-tree-alone": test_dry_run,
    "json-keeps-what-is-utf-8-of-a-name": test_other_bytes,
    "configuration-comes-from-the-tree-or-one-file": test_configuration,
    "key-store-outside-the-tree": test_keys,
    "a-file-stands-for-the-firmware": test_firmware,
    "modes-do-not-depend-on-the-umask": test_private_files,
    "an-option-may-imply-its-value": test_optional_value,
    "runs-at-once-take-turns": test_at_once,
    "locked-folders-are-busy-after-the-timeout": test_busy,
    "lost-output-is-a-failure": test_lost_output,
}

run_tests("/daemon/oneshot", TESTS)
