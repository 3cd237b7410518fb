# SPDX-License-Identifier: LGPL-2.1-or-later
"""The source tree as lint sees it, and the table of who may use whom."""
import os
import re
import subprocess

# Rows that are no folder of daemon/, in the form of the table: what may be included and which libraries. A folder of
# daemon/ stands here for what is no folder of it.
ALL = "*"
OTHER_ROWS = {
    "stubs": ([], ["gnu-efi"]),
    "dbus": ([], []),
    "client": (["dbus"], ["libsystemd", "jansson"]),
    "daemon": ([ALL, "dbus"], ["jansson"]),
    "bus": (["dbus"], []),
}
# Files that may use more than their folder's row.
FILE_LIBRARIES = {"daemon/service.c": ["libsystemd"], "daemon/service.h": ["libsystemd"]}
# Folders that share the contract between images and stub.
STUB_ABI_USERS = ("pe", "boot", "esp", "ops")
NOUNS = ("pe", "keys", "firmware", "boot", "esp")


def parse_table(argument):
    table = {}
    for row in argument.replace("\n", " ").split(";"):
        if row.strip():
            folder, uses, libraries = row.strip().split(":")
            table[folder] = (uses.split(), libraries.split())
    return table


class Tree:
    def __init__(self, argument):
        self.table = parse_table(argument)
        self.build = os.environ.get("LANZA_BUILD", "build")
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], stdout=subprocess.PIPE, check=True
        ).stdout.decode()
        self.paths = sorted(path for path in listed.split("\0") if path and os.path.isfile(path))
        self.texts = {}

    def text(self, path):
        """The file's text; "" for one that is no text."""
        if path not in self.texts:
            with open(path, "rb") as file:
                data = file.read()
            try:
                self.texts[path] = "" if b"\0" in data else data.decode()
            except UnicodeDecodeError:
                self.texts[path] = ""
        return self.texts[path]

    def lines(self, path):
        return enumerate(self.text(path).splitlines(), 1)

    def c_files(self):
        return [path for path in self.paths if path.endswith((".c", ".h"))]

    def scripts(self, *interpreters):
        """Scripts, known by their first line or the end of their name."""
        ends = {"sh": ".sh", "bash": ".sh", "python3": ".py"}
        pattern = re.compile(r"#!.*[/ ](%s)\b" % "|".join(interpreters))
        suffixes = tuple(ends[name] for name in interpreters)
        return [path for path in self.paths if path.endswith(suffixes) or pattern.match(self.text(path))]

    def row(self, folder):
        """(folders that FOLDER may include, itself among them; libraries)"""
        if folder in self.table:
            uses, libraries = self.table[folder]
            more, more_libraries = OTHER_ROWS.get(folder, ([], []))
            return [folder] + uses + more, libraries + more_libraries
        uses, libraries = OTHER_ROWS[folder]
        if ALL in uses:
            uses = list(self.table) + [name for name in uses if name != ALL]
        return [folder] + uses, libraries
