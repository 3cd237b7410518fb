#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`lanzad --oneshot sign`: single EFI binaries. What it made is judged by sbverify."""
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from program_tests import BUILD, LANZAD, STUB, Tree, run_tests

FOREIGN = BUILD / "pki/foreign-db"


class Signer(Tree):
    """A tree with keys, and a folder of binaries beside it."""

    def __init__(self, keys=True):
        super().__init__()
        self.folder = self.top / "binaries"
        self.folder.mkdir()
        if keys:
            self.run("create-keys")

    def run(self, *arguments, status=0):
        done = subprocess.run([LANZAD, "--oneshot", *map(str, arguments), self.option()], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
        assert done.returncode == status, (done.returncode, arguments, done.stderr)
        return json.loads(done.stdout)

    def sign(self, *arguments):
        """Which files were signed; the others were already."""
        return [file["signed"] for file in self.run("sign", *arguments)["files"]]

    def refused(self, name, text, *arguments, status=3):
        before = self.state()
        error = self.run("sign", *arguments, status=status)["error"]
        assert error["name"].endswith("." + name) and text in error["message"], error
        assert self.state() == before, "something was changed"

    def state(self):
        return {str(path): (path.lstat().st_ino, path.read_bytes() if path.is_file() else None) for path in self.folder.rglob("*")}

    def binary(self, name, content=None, mode=0o644):
        path = self.folder / name
        path.write_bytes(STUB.read_bytes() if content is None else content)
        path.chmod(mode)
        return path

    def is_good(self, path, certificate=None):
        certificate = certificate or self.root / "var/lib/lanzad/keys/db/db.pem"
        return subprocess.run(["sbverify", "--cert", certificate, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0


def test_in_place():
    with Signer() as signer:
        files = [signer.binary(f"binary {i}.efi", mode=0o640 + i) for i in range(5)]
        os.chown(files[1], 12, 34)
        assert signer.sign(*files) == [True] * 5
        for i, path in enumerate(files):
            assert signer.is_good(path), path
            assert path.stat().st_mode & 0o7777 == 0o640 + i
        assert (files[1].stat().st_uid, files[1].stat().st_gid) == (12, 34)
        assert len(list(signer.folder.iterdir())) == 5, "something is left over"


def test_ended():
    """What ends it waits until nothing would be left beside the files."""
    with Signer() as signer:
        names = [f"{i}.efi" for i in range(256)]
        files = [signer.binary(name) for name in names]
        process = subprocess.Popen([LANZAD, "--oneshot", "sign", signer.option(), *files], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        while process.poll() is None and len(os.listdir(signer.folder)) == len(names):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) in (-signal.SIGINT, 0)
        assert set(os.listdir(signer.folder)) == set(names)


def test_again():
    with Signer() as signer:
        first, second = signer.binary("first.efi"), signer.binary("second.efi")
        assert signer.sign(first) == [True]
        before = signer.state()[str(first)]
        assert signer.sign(first, second, first) == [False, True, False]
        assert signer.state()[str(first)] == before
        assert first.read_bytes() == second.read_bytes(), "the same input gives the same bytes"
        twice = signer.binary("twice.efi")
        assert signer.sign(twice, twice) == [True, True]
        assert twice.read_bytes() == first.read_bytes()


def test_foreign():
    with Signer() as signer:
        path = signer.binary("foreign.efi")
        subprocess.run(["sbsign", "--key", f"{FOREIGN}.key", "--cert", f"{FOREIGN}.pem", "--output", path, path],
                       stderr=subprocess.DEVNULL, check=True)
        assert not signer.is_good(path)
        assert signer.sign(path) == [True]
        assert signer.is_good(path) and signer.is_good(path, f"{FOREIGN}.pem")
        assert signer.sign(path) == [False]


def test_output():
    with Signer() as signer:
        path, target = signer.binary("binary.efi"), signer.folder / "signed.efi"
        assert signer.sign(path, f"--output={target}") == [True]
        assert path.read_bytes() == STUB.read_bytes() and signer.is_good(target)
        copy = signer.folder / "copy.efi"
        assert signer.sign(target, f"--output={copy}") == [False]
        assert copy.read_bytes() == target.read_bytes()
        assert signer.sign(path, f"--output={copy}") == [True]
        signer.refused("BadConfiguration", "single one", path, target, f"--output={copy}")
        signer.refused("Failed", "nowhere", path, f"--output={signer.folder}/nowhere/x.efi", status=1)
        signer.refused("Failed", "Is a directory", path, f"--output={signer.folder}/", status=1)
        signer.refused("Failed", "directory", path, f"--output={signer.folder}", status=1)
        os.mkfifo(signer.folder / "fifo")
        (signer.folder / "stdout").symlink_to("/proc/self/fd/1")
        (signer.folder / "link").symlink_to("signed.efi")
        (signer.folder / "dangling").symlink_to("nothing")
        for name in ("fifo", "stdout", "link", "dangling"):
            signer.refused("Failed", "is no regular file, and is not replaced", path, f"--output={signer.folder / name}", status=1)


def test_link():
    with Signer() as signer:
        path, link = signer.binary("binary.efi"), signer.folder / "link.efi"
        link.symlink_to("binary.efi")
        assert signer.sign(link) == [True]
        assert link.is_symlink() and signer.is_good(path)


def test_all_or_none():
    with Signer() as signer:
        good, bad = signer.binary("good.efi"), signer.binary("bad.efi", b"no binary")
        signer.refused("BadImage", "bad.efi cannot be signed", good, bad)
        signer.refused("BadImage", "bad.efi cannot be signed", bad, good)
        signer.refused("Failed", "missing.efi", good, signer.folder / "missing.efi", status=1)
        os.mkfifo(signer.folder / "fifo")
        (signer.folder / "dangling").symlink_to("nothing")
        (signer.folder / "loop").symlink_to("loop")
        for name in ("fifo", "dangling", "loop"):
            signer.refused("Failed", name, good, signer.folder / name, status=1)
        signer.refused("Failed", "directory", good, signer.folder, status=1)
        signer.refused("BadConfiguration", "no file is named")
        signer.refused("BadConfiguration", "257 files", *[good] * 257)


def test_dry_run():
    with Signer() as signer:
        path, bad = signer.binary("binary.efi"), signer.binary("bad.efi", b"no binary")
        before = signer.state()
        result = signer.run("sign", "--dry-run", path)
        assert result == {"dry-run": True, "files": [{"path": str(path), "signed": True}]}, result
        assert signer.state() == before
        signer.refused("BadImage", "bad.efi", "--dry-run", path, bad)


def test_no_keys():
    with Signer(keys=False) as signer:
        signer.refused("NoKeys", "no key", signer.binary("binary.efi"))
        assert not (signer.root / "var").exists(), "a key store without keys was made"


def test_hostile():
    """Each is signed or refused; the first as well as the last."""
    seed = int(os.environ.get("LANZA_SEED", random.randrange(1 << 32)))
    print(f"# LANZA_SEED={seed}")
    chance = random.Random(seed)
    content = STUB.read_bytes()
    with Signer() as signer:
        for i in range(200 if os.environ.get("LANZA_LONG") else 24):
            bad = bytearray(content)
            if i % 3 == 0:
                bad = bad[: chance.randrange(len(bad))]
            else:
                for _ in range(chance.randrange(1, 8)):
                    bad[chance.randrange(min(1024, len(bad)))] = chance.randrange(256)
            path = signer.binary("hostile.efi", bad)
            done = subprocess.run([LANZAD, "--oneshot", "sign", path, signer.option()], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=300, check=False)
            if done.returncode == 3:
                assert json.loads(done.stdout)["error"]["name"].endswith(".BadImage"), done
                assert path.read_bytes() == bad
            else:
                assert done.returncode == 0, done
                assert signer.sign(path) == [False], "what it signed is not good in its own eyes"


run_tests("/daemon/sign", {
    "files-are-signed-in-place-and-keep-owner-and-mode": test_in_place,
    "what-ends-it-leaves-nothing-beside-files": test_ended,
    "what-is-signed-already-stays-as-it-is": test_again,
    "signatures-of-others-stay-good": test_foreign,
    "one-file-can-be-signed-to-another-place": test_output,
    "a-link-stays-one": test_link,
    "where-one-cannot-be-signed-none-is": test_all_or_none,
    "a-dry-run-writes-nothing-and-refuses-the-same": test_dry_run,
    "without-keys-nothing-is-signed": test_no_keys,
    "hostile-binaries-are-signed-well-or-refused": test_hostile,
})  # fmt: skip
