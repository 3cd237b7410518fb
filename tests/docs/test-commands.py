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
from documents import (DOCUMENTS, HERE, IN_SENTENCES, MACHINE, MIGRATION, OTHER_LANGUAGES, PLACES, SOURCE, Reader, all_blocks, blocks, prose,
                       spans)
from program_tests import BUILD, LANZAD, run_tests

LANZACTL = BUILD / os.environ.get("LANZA_VARIANT", "san") / "lanzactl"

# For people who change lanzad, and run by no test: why.
ELSEWHERE = {
    ("CONTRIBUTING.md", "nix-build -A tests"): "needs Nix and a network",
    ("CONTRIBUTING.md", "NIXPKGS_LIB=…/nixpkgs/lib tests/nixos/test-module.py"): "make check runs it without nixpkgs, which is no package",
}
# What else has several words: settings, and examples of other texts.
NO_COMMAND = re.compile(r'[\w.-]+ = \S+|reboot-for-bitlocker yes|SUITES="[a-z ]+"|.* → .*|esp/plan: .*')


def output(*command, **more):
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(command, cwd=SOURCE, env={**environment, **more}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}: {done.stderr}"
    return done.stdout


def commands_in_sentences():
    """(document, what stands between backticks in its prose), those of several words that are commands."""
    return [(document, text) for document in DOCUMENTS for text in spans(document) if " " in text and not NO_COMMAND.fullmatch(text)]


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


def read_page(*command):
    """Types COMMAND where lanzad's manual pages are the only ones."""
    with tempfile.TemporaryDirectory(prefix="lanza-test-") as folder:
        for page in SOURCE.glob("*/lanza*.[0-9]"):
            section = Path(folder, "man" + page.suffix[1:])
            section.mkdir(exist_ok=True)
            (section / page.name).symlink_to(page)
        assert command[1].upper() in output(*command, MANPATH=folder).upper()


def check_span(text, for_developers):
    """What is in no block: who uses lanzad is told to type nothing else of lanzad's than this."""
    words = shlex.split(text.replace("…", ""))
    while re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if words[0] == "make":
        for word in words[1:]:
            assert "=" in word or is_target(word) or word.startswith("build/") or word in ("&&", ">"), word
    elif words == ["lanzactl", "--version"]:
        assert output(LANZACTL, "--version").startswith("lanzactl ")
    elif words[0] in ("lanzactl", "lanzad") and for_developers:
        check_lanzad(words)
    elif words[0] == "man":
        read_page(*words)
    elif words[0] in verbs() and for_developers:
        check_lanzad(["lanzactl", *words])
    else:
        raise AssertionError("no test knows this command")


def test_sentences():
    typed = {command for document in DOCUMENTS for block in blocks(document) for command in block.commands}
    found = commands_in_sentences()
    assert len(found) > 20
    known = {*ELSEWHERE, *IN_SENTENCES}
    assert known <= set(found), known - set(found)
    for document, text in found:
        if (document, text) in known or any(set(text.split()) <= set(command.split()) for command in typed):
            continue
        try:
            check_span(text, document == "CONTRIBUTING.md")
        except AssertionError as error:
            raise AssertionError(f"{document}: `{text}`: {error}") from None


def test_sentences_elsewhere():
    """A test in a machine runs what IN_SENTENCES says of it: it takes the command from the text, and at its end nothing is left."""
    for (document, command), place in IN_SENTENCES.items():
        if place == HERE:
            continue
        text = (SOURCE / f"tests/vm/test-{place}.py").read_text()
        assert f'take_from_sentence("{document}", "{command}")' in text, (place, command)
        assert ".left() == []" in text, place


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


def measure(reader):
    """What takes the least time, once; the results of a whole measurement stay as they are."""
    command = reader.take_from_sentence("CONTRIBUTING.md", "tests/bench/run NAME…")
    with tempfile.TemporaryDirectory(prefix="lanza-test-") as folder:
        for path in BUILD.resolve().iterdir():
            if path.name != "bench.json":
                Path(folder, path.name).symlink_to(path)
        assert "lanzactl status" in output(*command.replace("NAME…", "status").split(), LANZA_BUILD=folder, LANZA_ROUNDS="1")
        assert Path(folder, "bench.json").is_file()


def test_here():
    reader = Reader(HERE)
    build_and_install(reader)
    measure(reader)
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
    "other-programs'-commands-in-sentences-run-in-a-machine": test_sentences_elsewhere,
    "options-in-sentences-are-there": test_options,
    "what-builds-and-installs-does": test_here,
}

run_tests("/docs/commands", TESTS)
