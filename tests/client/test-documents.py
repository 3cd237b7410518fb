#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manual pages and completions name what there is."""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from program_tests import BUILD, LANZAD, run_tests

SOURCE = Path(os.environ.get("LANZA_SOURCE", "."))
LANZACTL = BUILD / os.environ.get("LANZA_VARIANT", "san") / "lanzactl"


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


def page(name):
    """The page as a reader gets it."""
    command = ["man", "--warnings", "-E", "ascii", "-l", SOURCE / name]
    environment = dict(os.environ, MANWIDTH="1000", MANPAGER="cat", LC_ALL="C.UTF-8", GROFF_NO_SGR="1")
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert done.stderr == b"", done.stderr.decode()
    return re.sub(r".\x08", "", done.stdout.decode())


def verbs():
    return re.findall(r"^  ([a-z][a-z-]+)  ", output(LANZACTL, "--help"), re.MULTILINE)


def options(*verb):
    return sorted(set(re.findall(r"^  (--[a-z-]+)", output(LANZACTL, *verb, "--help"), re.MULTILINE)))


def test_client_page():
    text = page("client/lanzactl.1")
    assert len(verbs()) == 11
    for verb in verbs():
        assert re.search(rf"^ +{verb}\b", text, re.MULTILINE), verb
        for option in options(verb):
            assert option in text, (verb, option)
    statuses = re.findall(r"^ +(\d)  +\S", text, re.MULTILINE)
    assert statuses == [str(number) for number in range(8)], statuses


def test_daemon_page():
    text = page("units/lanzad.8")
    for verb in re.findall(r"^  ([a-z][a-z-]+)  ", output(LANZAD, "--oneshot", "--help"), re.MULTILINE):
        assert verb in text, verb
    for option in ("--oneshot", "--version", "--help", "--root=", "--config=", "--keys=", "--variables=", "--idle-timeout="):
        assert option in text, option


def test_configuration_page():
    """The page and the installed file name the same."""
    text = page("units/lanzad.conf.5")
    shown = re.findall(r"^#([A-Z]\w+)=|^(\[\w+\])", (SOURCE / "units/lanzad.conf").read_text(), re.MULTILINE)
    names = [key or section for key, section in shown]
    found = re.findall(r"\b([A-Z]\w+)=(?=,|\n|$| )|^(\[\w+\])", text.split("EXAMPLES")[0], re.MULTILINE)
    assert [key or section for key, section in found] == names, (found, names)


def complete(*words):
    """What bash offers for the last of WORDS, split as it splits them."""
    script = f"""source {SOURCE}/client/completions/lanzactl.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lanzactl; printf '%s\\n' "${{COMPREPLY[@]}}" """
    return output("bash", "-c", script, "bash", LANZACTL, *words).split()


def test_bash():
    assert complete("") == verbs()
    assert complete("li") == ["list", "list-enrolled-keys"]
    assert sorted(complete("--")) == options()
    for verb in verbs():
        assert sorted(complete(verb, "--")) == options(verb), verb
    assert complete("--json", "=", "short", "status", "--che") == ["--check"]
    assert complete("status", "--json", "=") == ["pretty", "short", "off"]
    assert complete("status", "--json", "=", "s") == ["short"]
    assert complete("enroll-keys", "--microsoft", "=", "w") == ["windows"]
    assert complete("gc", "") == []
    assert complete("sign", "--dry-run", f"{SOURCE}/client/lanzactl.") == [f"{SOURCE}/client/lanzactl.1"]


def complete_in_fish(line):
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(LANZACTL.resolve(), f"{folder}/lanzactl")
        environment = dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}", HOME=folder)
        script = f"source {SOURCE}/client/completions/lanzactl.fish; complete --do-complete '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", script], stdout=subprocess.PIPE, env=environment, check=True)
    return [shown.split("\t")[0] for shown in done.stdout.decode().splitlines()]


def test_fish():
    assert sorted(complete_in_fish("lanzactl ")) == sorted(verbs())
    assert sorted(complete_in_fish("lanzactl li")) == ["list", "list-enrolled-keys"]
    for verb in verbs():
        found = {word.rstrip("=") for word in complete_in_fish(f"lanzactl {verb} --")}
        assert sorted(found) == options(verb), (verb, found)
    assert complete_in_fish("lanzactl --json=short status --che") == ["--check"]
    assert complete_in_fish("lanzactl status --json=s") == ["--json=short"]
    assert complete_in_fish("lanzactl enroll-keys --microsoft=w") == ["--microsoft=windows"]
    assert complete_in_fish("lanzactl gc ") == []
    assert complete_in_fish(f"lanzactl sign {SOURCE}/client/lanzactl.") == [f"{SOURCE}/client/lanzactl.1"]
    assert complete_in_fish(f"lanzactl gc {SOURCE}/client/lanzactl.") == []


def complete_in_zsh(*words):
    """With the editor's builtins replaced by functions that show what they are given."""
    script = f"""
compset() {{ return 0 }}
compadd() {{ shift; print -l -- $@ }}
_files() {{ print files }}
words=("$@") CURRENT=$# PREFIX=$words[-1]
lanzactl_test() {{ source {SOURCE}/client/completions/_lanzactl }}
lanzactl_test "$@" """
    return output("zsh", "-f", "-c", script, "zsh", LANZACTL, *words).split()


def test_zsh():
    assert complete_in_zsh("") == verbs()
    assert sorted(complete_in_zsh("--")) == options()
    for verb in verbs():
        assert sorted(set(complete_in_zsh(verb, "--"))) == options(verb), verb
    assert complete_in_zsh("status", "--json=") == ["pretty", "short", "off"]
    assert "windows" in complete_in_zsh("enroll-keys", "--microsoft=w")
    assert complete_in_zsh("gc", "") == []
    assert complete_in_zsh("sign", "") == complete_in_zsh("sign", "--output=") == ["files"]


TESTS = {
    "lanzactl-1-names-every-verb-option-and-status": test_client_page,
    "lanzad-8-names-every-verb": test_daemon_page,
    "lanzad-conf-5-names-every-setting": test_configuration_page,
    "bash-completes-what-help-names": test_bash,
    "fish-completes-what-help-names": test_fish,
    "zsh-completes-what-help-names": test_zsh,
}

run_tests("/client/documents", TESTS)
