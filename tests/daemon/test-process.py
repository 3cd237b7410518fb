#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lanzad as a process: the descriptors it is started with, the user it runs as, what it leaves in memory."""
import fcntl
import json
import os
import shutil
import subprocess
import tempfile

SOURCE = os.environ.get("LANZA_SOURCE", os.getcwd())
LANZAD = os.path.join(os.environ.get("LANZA_BUILD", os.path.join(SOURCE, "build")), "lanzad")
KEYS = "var/lib/lanzad"


def run(*arguments, shell=None, program=LANZAD, **options):
    """SHELL: redirections."""
    command = [program, "--oneshot", *arguments]
    if shell:
        command = ["/bin/sh", "-c", f'exec "$@" {shell}', "sh", *command]
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(command, stderr=subprocess.PIPE, timeout=60, check=False, text=True, **options)


def expect(result, status, *texts):
    assert result.returncode == status, (result.returncode, result.stderr)
    for text in texts:
        assert text in result.stderr, result.stderr


def test_full_output(tree):
    with open("/dev/full", "w", encoding="utf-8") as full:
        expect(run("status", "--root", tree, stdout=full), 1, "Cannot write to standard output: No space left")
        expect(run("--help", stdout=full), 1, "Cannot write to standard output")
        expect(run("sync", "--help", stdout=full), 1, "Cannot write to standard output")


def test_closed_descriptors(tree):
    expect(run("status", "--root", tree, shell=">&-"), 1, "Cannot write to standard output")
    result = run("create-keys", "--root", tree, shell="<&- 2>&-")
    assert result.returncode == 0 and json.loads(result.stdout)["created"] == ["PK", "KEK", "db"], result


def test_closed_error_output_is_nobodys_file(tree):
    """A warning of the configuration is printed while files are open."""
    os.makedirs(os.path.join(tree, "etc/lanza"))
    with open(os.path.join(tree, "etc/lanza/lanzad.conf"), "w", encoding="utf-8") as file:
        file.write("[Nonsense]\n")
    expect(run("create-keys", "--root", tree), 0, "unknown section [Nonsense]")
    assert run("status", "--root", tree, shell="<&- 2>&-").returncode == 0


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def program_for_others(tree):
    """The build folder may be one that they can't enter."""
    os.chmod(tree, 0o755)
    return shutil.copy(LANZAD, tree)


def test_other_users(tree):
    """One of them is told to be root, and may do in a tree of its own what root may."""
    options = {"program": program_for_others(tree), "preexec_fn": as_nobody}
    os.makedirs(os.path.join(tree, "system", KEYS), mode=0o700)
    expect(run("create-keys", "--root", f"{tree}/system", **options), 1, "Permission denied", "as root")
    os.mkdir(f"{tree}/own")
    os.chown(f"{tree}/own", 65534, 65534)
    expect(run("create-keys", "--root", f"{tree}/own", **options), 0)


def test_no_core_dumps(tree):
    """Seen on one that waits for a lock, and by its own user alone: root may look at everything."""
    program = program_for_others(tree)
    os.makedirs(os.path.join(tree, KEYS))
    os.chown(os.path.join(tree, KEYS), 65534, 65534)
    os.chmod(os.path.join(tree, KEYS), 0o700)
    lock = os.open(os.path.join(tree, KEYS), os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with subprocess.Popen([program, "--oneshot", "create-keys", "--root", tree], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, preexec_fn=as_nobody, text=True) as process:
        try:
            assert "Waiting" in process.stderr.readline()
            with open(f"/proc/{process.pid}/limits", encoding="utf-8") as file:
                limits = {line[:26].strip(): line[26:].split() for line in file}
            assert limits["Max core file size"][:2] == ["0", "0"], limits
            assert os.stat(f"/proc/{process.pid}/mem").st_uid == 0
        finally:
            process.kill()
    os.close(lock)


def test_openssl_configuration(tree):
    """This one would load a module into every program that uses OpenSSL, and let none of them begin without it."""
    configuration = os.path.join(tree, "openssl.cnf")
    with open(configuration, "w", encoding="utf-8") as file:
        file.write("config_diagnostics = 1\nopenssl_conf = all\n[all]\nproviders = providers\n[providers]\nmissing = missing\n"
                   "[missing]\nmodule = /missing.so\nactivate = 1\n")
    environment = dict(os.environ, OPENSSL_CONF=configuration)
    openssl = subprocess.run(["openssl", "dgst", "-sha256", "/dev/null"], env=environment, capture_output=True, check=False)
    assert openssl.returncode != 0, openssl
    expect(run("create-keys", "--root", tree, env=environment), 0)


TESTS = [
    ("a result that cannot be written is a failure", test_full_output),
    ("closed descriptors are replaced", test_closed_descriptors),
    ("warnings go nowhere where standard error is closed", test_closed_error_output_is_nobodys_file),
    ("others than root are told so", test_other_users),
    ("private keys are in no core dump", test_no_core_dumps),
    ("the configuration of OpenSSL changes nothing", test_openssl_configuration),
]


def main():
    print(f"1..{len(TESTS)}")
    for number, (title, test) in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory(prefix="lanza-test-") as tree:
            try:
                test(tree)
                print(f"ok {number} /daemon/process/{title.replace(' ', '-')}")
            except Exception as error:  # whatever goes wrong is this test's failure, and the others still run
                print(f"not ok {number} /daemon/process/{title.replace(' ', '-')}\n# {type(error).__name__}: {error}")


main()
