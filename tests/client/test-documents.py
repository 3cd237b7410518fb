#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manual pages and completions name what there is."""
import os
import re
import subprocess
import sys
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
    assert len(verbs()) == 8
    for verb in verbs():
        assert re.search(rf"^     {verb}\b", text, re.MULTILINE), verb
        for option in options(verb):
            assert option in text, (verb, option)
    statuses = re.findall(r"^     (\d)  +\S", text, re.MULTILINE)
    assert statuses == [str(number) for number in range(8)], statuses


def test_daemon_page():
    text = page("units/lanzad.8")
    for verb in re.findall(r"^  ([a-z][a-z-]+)  ", output(LANZAD, "--oneshot", "--help"), re.MULTILINE):
        assert verb in text, verb
    for option in ("--oneshot", "--version", "--help", "--root=", "--config=", "--keys="):
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


TESTS = {
    "lanzactl-1-names-every-verb-option-and-status": test_client_page,
    "lanzad-8-names-every-verb": test_daemon_page,
    "lanzad-conf-5-names-every-setting": test_configuration_page,
    "bash-completes-what-help-names": test_bash,
}

run_tests("/client/documents", TESTS)
