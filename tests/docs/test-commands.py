#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the documents tell people to type is known to a test, and is typed: here what builds and installs, in a machine the rest
(tests/vm/test-documents.py). Commands in the middle of a sentence have words that there are.

`make check` runs this test, and continuous integration runs `make deps`, `make lint` and `make check`: of these only that they exist is
looked at, as of what takes long (`make demo` runs with LANZA_LONG).
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
for folder in ("lib", "vm"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / folder))

import images
from documents import DOCUMENTS, HERE, MACHINE, MIGRATION, OTHER_LANGUAGES, PLACES, SOURCE, Reader, all_blocks, blocks, prose
from program_tests import BUILD, LANZAD, run_tests

LANZACTL = BUILD / os.environ.get("LANZA_VARIANT", "san") / "lanzactl"

# Commands in sentences that are not lanzad's, or that nobody runs here: why.
ELSEWHERE = {
    "nix-build -A tests": "needs Nix and a network",
    "NIXPKGS_LIB=…/nixpkgs/lib tests/nixos/test-module.py": "what make check runs, with nixpkgs",
    "tests/bench/run NAME…": "what make bench runs",
    "fwupdmgr security": "tests/vm/test-fwupd.py",
    "systemd-cryptenroll --wipe-slot=tpm2": "needs an encrypted disk and a TPM",
    "systemd-pcrlock remove-policy": "needs a TPM",
    "bootctl set-default": "what somebody did before",
    "sbctl sign": "sbctl's",
    "sbctl sign-all": "sbctl's",
}
# What else has several words: settings, and examples of other texts.
NO_COMMAND = re.compile(r'[\w.-]+ = \S+|reboot-for-bitlocker yes|SUITES="[a-z ]+"|.* → .*|esp/plan: .*')


def output(*command, **more):
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(command, cwd=SOURCE, env={**environment, **more}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}: {done.stderr}"
    return done.stdout


def spans():
    """(document, what stands between backticks in its prose), those of several words that are commands."""
    for document in DOCUMENTS:
        for text in re.findall(r"`([^`\n]+)`", prose(document)):
            if " " in text and not NO_COMMAND.fullmatch(text):
                yield document, text


def test_places():
    """A block of which no test knows would be a failure here, and one that is gone, too."""
    found = Counter(block.place for document in DOCUMENTS for block in blocks(document))
    assert {place for known in PLACES.values() for place in known} == {HERE, MACHINE, MIGRATION}
    assert found == {place: len(known) for place, known in PLACES.items()}, (
        set(found.items()) ^ {(place, len(known)) for place, known in PLACES.items()})  # fmt: skip
    for document in DOCUMENTS:
        for block in all_blocks(document):
            assert block.language == "sh" or block.language in OTHER_LANGUAGES, (block.document, block.heading, block.language)
            assert block.language != "sh" or block.commands, block


def verbs():
    return re.findall(r"^  ([a-z-]+)  ", output(LANZACTL, "--help"), re.MULTILINE)


def is_target(name):
    rules = [SOURCE / "Makefile", *SOURCE.glob("*/build.mk"), *SOURCE.glob("tests/*/build.mk")]
    return any(re.search(rf"^{re.escape(name)}( [a-z -]+)?:", rule.read_text(), re.MULTILINE) for rule in rules)


def check_lanzad(words):
    """Verb and options of a command line of lanzactl or lanzad are ones that there are."""
    program, words = ([LANZACTL], words[1:]) if words[0] == "lanzactl" else ([LANZAD], words[1:])
    if words and words[0] == "--oneshot":
        program, words = program + ["--oneshot"], words[1:]
    texts = output(*program, "--help")
    if words and not words[0].startswith("-"):
        assert re.search(rf"^  {words[0]} ", texts, re.MULTILINE), words[0]
        texts += output(*program, words[0], "--help")
    for word in words:
        if word.startswith("-"):
            assert re.search(rf"^ *{re.escape(word.partition('=')[0])}\b", texts + "\n  --version\n", re.MULTILINE), word


def check_span(text):
    words = shlex.split(text.replace("…", ""))
    while re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if words[0] == "make":
        for word in words[1:]:
            assert "=" in word or is_target(word) or word.startswith("build/") or word in ("&&", ">"), word
    elif words[0] in ("lanzactl", "lanzad"):
        check_lanzad(words)
    elif words[0] == "man":
        assert list(SOURCE.glob(f"*/{words[1]}.[0-9]")), words[1]
    elif words[0] in verbs():
        check_lanzad(["lanzactl", *words])
    else:
        raise AssertionError("no test knows this command")


def test_sentences():
    typed = {command for document in DOCUMENTS for block in blocks(document) for command in block.commands}
    found = list(spans())
    assert len(found) > 20
    for document, text in found:
        if text in ELSEWHERE or any(command.startswith(text) for command in typed):
            continue
        try:
            check_span(text)
        except AssertionError as error:
            raise AssertionError(f"{document}: `{text}`: {error}") from None


def test_options():
    """An option that is named without its command is one of lanzactl or lanzad."""
    texts = "".join(output(LANZACTL, verb, "--help") for verb in verbs()) + output(LANZAD, "--help")
    known = set(re.findall(r"--[a-z-]+", texts))
    for document in DOCUMENTS:
        for text in re.findall(rf"`(?:(?:{'|'.join(verbs())}) )?(--[a-z-]+)[^`\n]*`", prose(document)):
            assert text in known, (document, text)


def packages_of_makefiles():
    texts = [(SOURCE / "Makefile").read_text(), (SOURCE / "stubs/build.mk").read_text()]
    return {word for text in texts for line in re.findall(r"^PACKAGES \+?:?= (.*)$", text, re.MULTILINE) for word in line.split()}


def build_and_install(reader):
    """Debian's packages are those that the Makefile names for building, and the one with the boot loader, which machines have."""
    install, *rest = reader.take("README.md", "Quick start on Debian").commands
    words = install.split()
    assert words[:3] == ["apt-get", "install", "--yes"] and rest == ["make all", "make install"], (install, rest)
    named = set(words[3:])
    assert named - {"systemd-boot"} == packages_of_makefiles(), named ^ packages_of_makefiles()
    assert "systemd-boot" in named and "systemd-boot" in images.PACKAGES
    with tempfile.TemporaryDirectory(prefix="lanza-test-") as folder:
        for command in rest:
            output(*command.split(), DESTDIR=folder)
        output(f"{folder}/usr/bin/lanzactl", "--version")
        output(f"{folder}/usr/sbin/lanzad", "--version")
        for name in ("/usr/lib/lanzad/lanzastubx64.efi", "/etc/lanza/lanzad.conf", "/usr/lib/systemd/system/lanzad.service"):
            assert Path(folder + name).is_file(), name


def test_here():
    reader = Reader(HERE)
    build_and_install(reader)
    demo, = reader.take("README.md", "See it work").commands
    assert demo == "make demo" and is_target("demo")
    if os.environ.get("LANZA_LONG"):
        output("make", "demo")
    helped, check = reader.take("README.md", "More").commands
    assert "check-unit" in output(*helped.split())
    assert check == "make check" and is_target("check")
    report, = reader.take("SECURITY.md", "Reporting").commands
    assert "@" in output(*report.split())
    assert reader.left() == [], reader.left()


TESTS = {
    "every-block-is-known-to-a-test": test_places,
    "commands-in-sentences-have-words-that-there-are": test_sentences,
    "options-in-sentences-are-there": test_options,
    "what-builds-and-installs-does": test_here,
}

run_tests("/docs/commands", TESTS)
