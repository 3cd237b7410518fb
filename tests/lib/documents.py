# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the documents tell people to type, block by block, and where it is run: PLACES knows each, and a test holds it against the text.

A block is fenced as "sh", or indented. Each of its lines is a command.
"""
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(os.environ.get("LANZA_SOURCE", ".")).resolve()
DOCUMENTS = ("README.md", "GUIDE.md", "SECURITY.md", "CONTRIBUTING.md")

# Languages of blocks that are no commands: nix-instantiate reads the first in tests/nixos, and the second is a listing.
OTHER_LANGUAGES = ("nix", "")

HERE, MACHINE, MIGRATION, FWUPD = "here", "machine", "migration", "fwupd"

# Under which heading there are how many blocks, and where they run: tests/docs/test-commands.py here, tests/vm/test-documents.py in a machine,
# tests/vm/test-migration.py in machines that others looked after before.
PLACES = {
    ("README.md", "See it work"): [HERE],
    ("README.md", "Quick start on NixOS"): [MACHINE, MACHINE, MACHINE],
    ("README.md", "Quick start on Debian"): [HERE, MACHINE],
    ("README.md", "More"): [HERE],
    ("GUIDE.md", "Setting up"): [MACHINE, MACHINE, MACHINE],
    ("GUIDE.md", "Step by step"): [MACHINE, MACHINE],
    ("GUIDE.md", "A copy of the keys"): [MACHINE],
    ("GUIDE.md", "Microsoft's certificates"): [MACHINE],
    ("GUIDE.md", "Firmware that takes keys only in its own menu"): [MACHINE],
    ("GUIDE.md", "Without anybody's doing"): [MACHINE, MACHINE],
    ("GUIDE.md", "Every day"): [MACHINE] * 6,
    ("GUIDE.md", "When a machine does not boot"): [MACHINE] * 5,
    ("GUIDE.md", "Several ESPs, and XBOOTLDR"): [MACHINE],
    ("GUIDE.md", "Fleets"): [MACHINE, MACHINE],
    ("GUIDE.md", "Firmware updates"): [MACHINE],
    ("GUIDE.md", "Device Security in GNOME"): [MACHINE],
    ("GUIDE.md", "Coming from lanzaboote"): [MIGRATION] * 3,
    ("GUIDE.md", "Coming from sbctl"): [MIGRATION] * 3,
    ("GUIDE.md", "Coming from systemd-boot without Secure Boot"): [MIGRATION] * 2,
    ("SECURITY.md", "Reporting"): [HERE],
}

# Commands in the middle of a sentence that are not lanzad's: where they run, here or in tests/vm/test-*.py of that name.
IN_SENTENCES = {
    ("GUIDE.md", "fwupdmgr security"): FWUPD,
    ("GUIDE.md", "bootctl set-default"): MIGRATION,
    ("CONTRIBUTING.md", "tests/bench/run NAME…"): HERE,
}


@dataclass(frozen=True)
class Block:
    """What stands between two fences, below which heading; INDEX counts the blocks of commands below that heading."""

    document: str
    heading: str
    index: int
    language: str
    text: str

    @property
    def place(self):
        return (self.document, self.heading)

    @property
    def commands(self):
        joined = self.text.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")]


def read(document):
    return (SOURCE / document).read_text()


def all_blocks(document):
    """Every block of DOCUMENT, of whatever language. What is indented without being part of a list is a block of commands."""
    heading, language, lines, counts, found = "", None, [], Counter(), []

    def end(kind):
        nonlocal lines
        found.append(Block(document, heading, counts[heading], kind, "".join(lines)))
        counts[heading] += kind == "sh"
        lines = []

    previous = ""
    for line in read(document).splitlines(keepends=True) + ["\n"]:
        fence = re.match(r"```(\S*)$", line)
        if fence and language is None:
            language = fence[1]
        elif fence:
            end(language)
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("    ") and (lines or previous.strip() == ""):
            lines.append(line[4:])
        elif lines and line.strip():
            end("sh")
        if language is None and not fence and (title := re.match(r"#+ (.*)$", line)):
            heading = title[1]
        previous = line
    assert language is None and not lines, f"{document}: a block is not closed"
    return found


def blocks(document):
    """The blocks of commands."""
    return [block for block in all_blocks(document) if block.language == "sh"]


def prose(document):
    """DOCUMENT without its blocks."""
    text = re.sub(r"^```.*?^```$", "", read(document), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def spans(document):
    """What stands between backticks in the prose of DOCUMENT."""
    return re.findall(r"`([^`\n]+)`", prose(document))


class Reader:
    """Hands out the blocks that run in PLACE, and its commands in sentences, each once."""

    def __init__(self, place):
        found = {(block.place, block.index): block for document in DOCUMENTS for block in blocks(document)}
        wanted = {(key, index) for key, places in PLACES.items() for index, where in enumerate(places) if where == place}
        self.blocks = {key: block for key, block in found.items() if key in wanted}
        self.sentences = {key for key, where in IN_SENTENCES.items() if where == place}

    def take(self, document, heading, index=0):
        return self.blocks.pop(((document, heading), index))

    def take_from_sentence(self, document, command):
        """COMMAND, which must stand in the text of DOCUMENT."""
        self.sentences.remove((document, command))
        assert command in spans(document), f"{document} does not say `{command}`"
        return command

    def left(self):
        blocks_left = [f"{document}, {heading}, block {index + 1}" for (document, heading), index in self.blocks]
        return sorted(blocks_left + [f"{document}, `{command}`" for document, command in self.sentences])
