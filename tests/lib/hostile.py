# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tables of hostile input share: a system that stands, what is to stay as it is, and how a run must end.

Each row damages a system of its own, a copy of one that was synced. A run that hangs fails its row."""
import hashlib
import json
import os
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from peak import run as measured
from program_tests import BUILD, LANZAD, Tree, run_tests

# In memory: nothing here is about a disk, and each run waits for all that others write to it.
if os.access("/dev/shm", os.W_OK):
    tempfile.tempdir = "/dev/shm"

LONG = bool(os.environ.get("LANZA_LONG"))
INSTALLED = BUILD / "lanzad"
PKI = BUILD / "pki"
SECONDS_MAX = 120
MIB = 1 << 20


def describe(path):
    """Kind, mode, owner, size and content of what is there, without following links."""
    st = path.lstat()
    content = os.readlink(path).encode(errors="surrogateescape") if stat.S_ISLNK(st.st_mode) else b""
    size = st.st_size if stat.S_ISREG(st.st_mode) else 0
    if stat.S_ISREG(st.st_mode) and size <= 256 * MIB:
        content = path.read_bytes()
    return f"{path} {st.st_mode:o} {st.st_uid}:{st.st_gid} {size} {hashlib.sha256(content).hexdigest()}"


def walk(place):
    yield place
    if place.is_dir() and not place.is_symlink():
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            yield from walk(Path(entry.path))


class System(Tree):
    """Two generations, of which the second is the default; keys, a firmware that has them, and an ESP in step."""

    template = None

    def __init__(self):  # pylint: disable=super-init-not-called
        if System.template:
            self.copy(System.template)
            return
        super().__init__()
        (self.root / "boot").chmod(0o700)
        for role in ("PK", "KEK", "db"):
            for end in ("key", "pem"):
                self.install_key(role, end, (PKI / f"{role}.{end}").read_bytes())
        self.write("var/lib/lanzad/GUID", "11111111-2222-3333-4444-555555555555\n")
        (self.root / "var/lib/lanzad").chmod(0o700)
        for verb, more in (("sync", []), ("enroll-keys", ["--microsoft"])):
            self.expect(verb, *more, changes=True)

    def copy(self, other):
        """A system of its own that was made in the same way: files, links, modes."""
        self.top = Path(tempfile.mkdtemp(prefix="lanza-test-"))
        shutil.copytree(other.top, self.top, symlinks=True, dirs_exist_ok=True)
        self.root = self.top / other.root.name

    def install_key(self, role, end, content):
        path = f"var/lib/lanzad/keys/{role}/{role}.{end}"
        self.write(path, content)
        (self.root / path).chmod(0o600)

    def remove(self, path):
        path = self.root / path
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def put(self, path, make):
        """In place of what is at PATH: MAKE is its content, or makes it there."""
        path = self.root / path
        if path.is_symlink() or path.exists():
            self.remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(make):
            make(path)
        else:
            path.write_bytes(make if isinstance(make, bytes) else make.encode())

    def images(self, number):
        return sorted(path.name for path in (self.root / "boot/EFI/Linux").glob(f"nixos-generation-{number}-*"))

    def state(self):
        """ESP, key store and variables: names, kinds, modes, owners, sizes, content."""
        places = [self.root / "boot", self.root / "var/lib/lanzad", self.top / "variables"]
        return [describe(path) for place in places if os.path.lexists(place) for path in walk(place)]

    def run(self, verb, *arguments, program=LANZAD, **more):
        """Exit status, result, what is said and, of the installed program, its peak in MiB."""
        command = [str(program), "--oneshot", verb, self.option(), self.firmware(), *arguments]
        if program == INSTALLED:
            status, output, errors, peak = measured(command, SECONDS_MAX, cwd="/", **more)
        else:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS_MAX, check=False, cwd="/", **more
            )
            status, output, errors, peak = done.returncode, done.stdout, done.stderr, None
        errors = errors.decode("utf-8", "replace")
        assert "Sanitizer" not in errors and "runtime error" not in errors, errors
        return status, json.loads(output) if output else None, errors, peak

    def expect(self, verb, *arguments, status=0, changes=False, **more):
        """The result of a run that ends with STATUS, and changes nothing unless said."""
        before = self.state()
        start = time.monotonic()
        found, result, errors, peak = self.run(verb, *arguments, **more)
        self.seconds = time.monotonic() - start
        assert found == status, f"{verb} {arguments}: exit status {found}, not {status}: {result} {errors}"
        if not changes:
            after = self.state()
            assert after == before, f"{verb} {arguments} changed: {sorted(set(before) ^ set(after))}"
        self.peak = peak
        return result

    def refuses(self, verb, name, *words, hint, arguments=(), status=3, **more):
        """An error called NAME, whose message has all WORDS, and whose hint has HINT; nothing is changed."""
        result = self.expect(verb, *arguments, status=status, **more)
        error = result.get("error")
        assert error and error["name"].endswith(f".{name}"), f"{verb}: {result} instead of {name}"
        missing = [word for word in words if word not in error["message"]]
        assert not missing, f"{verb}: {missing} not in {error['message']!r}"
        assert hint in error.get("hint", ""), f"{verb}: {hint!r} not in the hint {error.get('hint')!r}"
        assert error.get("hint"), f"{verb}: no hint for {error['message']!r}"

    def warns(self, verb, *words, status=5, **more):
        """A warning that has all WORDS; nothing is changed."""
        result = self.expect(verb, status=status, **more)
        assert "warnings" in result, f"{verb}: {result}"
        assert any(all(word in warning for word in words) for warning in result["warnings"]), f"{verb}: {words} not in {result['warnings']}"
        return result


def run_table(prefix, rows):
    """ROWS: pairs of a title and what is done with a system of its own."""

    def with_system(row):
        with System() as system:
            row(system)

    System.template = System()
    try:
        tests = [(title, lambda row=row: with_system(row)) for title, row in rows]
        assert len(dict(tests)) == len(tests), "two rows of one title"
        run_tests(prefix, dict(tests))
    finally:
        shutil.rmtree(System.template.top)


def fifo(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()
    (path / "file").write_text("foreign")


def link_to(target):
    return lambda path: path.symlink_to(target)


def sparse(size):
    """A file of SIZE zeros that takes no room."""

    def make(path):
        with open(path, "wb") as file:
            file.truncate(size)

    return make
