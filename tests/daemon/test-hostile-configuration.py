#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configuration that is none, in the main file, a drop-in and the file that --config names: BadConfiguration with the file and
where there is one the line, whatever the verb, and nothing starts. What is not known is a warning, and the rest counts."""
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from hostile import INSTALLED, MIB, fifo, folder, link_to, run_table, sparse

HINT = "Mend the configuration; nothing was changed."
# Where it stands, and the arguments that lead there.
PLACES = {
    "main": ("etc/lanza/lanzad.conf", []),
    "drop-in": ("etc/lanza/lanzad.conf.d/50-more.conf", []),
    "other": ("nix/store/other.conf", ["--config=/nix/store/other.conf"]),
}
VERBS = [("create-keys", []), ("sync", []), ("gc", []), ("enroll-keys", ["--microsoft"]), ("list-enrolled-keys", []), ("status", []),
         ("list", []), ("security", [])]  # fmt: skip

PATHS = ["relative", "./x", "/a/../b", "/a/.", "~/x"]
NUMBERS = ["-1", "+1", "1.5", "0x10", "many", "1 2", "1000001", "18446744073709551617", "9" * 100]
VALUES = {
    "Keys": {name: PATHS for name in ("Directory", "DatabaseKey", "DatabaseCertificate", "KeyExchangeKey", "KeyExchangeCertificate",
                                      "PlatformKey", "PlatformCertificate")},
    "Boot": {"Profiles": [*PATHS, "/good bad"], "Limit": NUMBERS, "Tries": NUMBERS, "Stub": PATHS, "Loader": PATHS, "LoaderConfig": PATHS,
             "SortKey": ["two words", "ä", "a/b", "x" * 65], "EntryToken": ["two words", "a-b", "../x", "x" * 17],
             "AllowUnsigned": ["yes", "AUTO", "1"]},
    "Esp": {"Path": PATHS, "ExtraPaths": PATHS, "XbootldrPath": PATHS, "BootEntry": ["yes", "1"], "StrictPermissions": ["maybe", "2", "auto"]},
}  # fmt: skip

# Title, what stands in the file's place, and what is said besides the file's name.
FILES = [
    ("no assignment", "[Boot]\nLimit\n", [":2: neither a comment nor [Section] nor Key=value"]),
    ("JSON", '{"Boot": {"Limit": 1}}\n', [":1: neither a comment nor [Section] nor Key=value"]),
    ("section without end", "[Boot\nLimit=1\n", [":1: a section's name ends with ']'"]),
    ("NUL", "[Boot]\nLimit=1\0\n", [":2: a control character (byte 0x00)"]),
    ("NUL in a comment", "# \0\n", [":1: a control character (byte 0x00)"]),
    ("escape sequence", "[Boot]\nSortKey=\x1b[2J\n", [":2: a control character (byte 0x1b)"]),
    ("carriage return within", "[Boot]\nSortKey=a\rb\n", [":2: a control character (byte 0x0d)"]),
    ("not UTF-8", b"[Boot]\nSortKey=\xff\xfe\n", [":2: the line is no UTF-8 text"]),
    ("UTF-16", "[Boot]\nLimit=1\n".encode("utf-16"), [":1: "]),
    ("random bytes", bytes(range(256)), [":1: a control character"]),
    ("value of 1 MB minus", "[Boot]\nSortKey=" + "x" * (MIB - 100) + "\n", [":2: SortKey=xxxxx"]),
    ("more than 1 MB", b"#" * (MIB + 1), ["File too large"]),
    ("10 GB", sparse(10 << 30), ["File too large"]),
    ("folder", folder, ["Is a directory"]),
    ("FIFO", fifo, ["It is no regular file"]),
    ("device", link_to("/dev/zero"), []),
    ("dangling link", link_to("/nix/store/gone"), ["No such file"]),
    ("looping link", lambda path: path.symlink_to(path.name), ["symbolic links"]),
]


def refused(place, make, words, verbs=(("sync", []),)):
    def row(system):
        path, arguments = PLACES[place]
        system.put(path, make)
        for verb, more in verbs:
            system.refuses(verb, "BadConfiguration", f"/{path}", *words, hint=HINT, arguments=[*arguments, *more])

    return row


def bad_values(section, name, values):
    def row(system):
        for value in values:
            system.put("etc/lanza/lanzad.conf", f"[{section}]\n{name}={value}\n")
            system.refuses("sync", "BadConfiguration", f"/etc/lanza/lanzad.conf:2: {name}={value[:200]} is not ", hint=HINT)

    return row


def unknown(place):
    """Said on standard error; what is known beside it counts."""

    def row(system):
        path, arguments = PLACES[place]
        text = f"Early=1\n[Boot]\nSurprise=yes\nLimit=1\n{'k' * 100000}=1\n[{'s' * 100000}]\nKey=1\n[boot]\nLimit=7\n"
        system.put(path, text)
        status, result, errors, _ = system.run("sync", "--dry-run", *arguments)
        assert status == 0 and result["partitions"][0]["images-kept"] == 1, (result, errors)
        for words in (":1: Early= stands before any section", ":3: unknown key Surprise= in section [Boot]", ":5: unknown key kkk", ":6: unknown section [sss",
                      ":8: unknown section [boot]"):  # fmt: skip
            assert f"/{path}{words}" in errors, (words, errors[:2000])
        assert len(errors) < 2000, len(errors)

    return row


def long_lines(system):
    """A megabyte that means nothing does no harm."""
    for text in ("# " + "x" * (MIB - 100), "[Boot]" + " " * (MIB - 100) + "\nLimit=2", "[Boot]\n" + "\n" * (MIB - 100), "[Boot]\nLimit=" + " " * (MIB - 100) + "2"):
        system.put("etc/lanza/lanzad.conf", text + "\n")
        system.expect("sync", program=INSTALLED)
        assert system.peak < 24, system.peak


def many_warnings(system):
    system.put("etc/lanza/lanzad.conf", "[Boot]\n" + "a=\n" * 300000)
    status, _, errors, _ = system.run("sync", "--dry-run")
    assert status == 0 and len(errors.splitlines()) == 65 and errors.endswith("not shown\n"), errors


def drop_ins(system):
    """The folder itself."""
    for make, words in ((b"x", "Not a directory"), (fifo, "Not a directory"), (link_to("/gone"), "No such file"), (link_to("lanzad.conf.d"), "symbolic links")):
        system.put("etc/lanza/lanzad.conf.d", make)
        system.refuses("sync", "BadConfiguration", "/etc/lanza/lanzad.conf.d", words, hint=HINT)
    system.remove("etc/lanza/lanzad.conf.d")
    for number in range(2000):
        system.put(f"etc/lanza/lanzad.conf.d/{number}.conf", "")
    system.refuses("sync", "BadConfiguration", "/etc/lanza/lanzad.conf.d holds more than 1024 names", hint=HINT)


def loader_config(system):
    """The administrator's lines for loader.conf."""
    system.put("etc/lanza/lanzad.conf", "[Boot]\nLoaderConfig=/etc/lines\n")
    for make, words in (
        (None, "No such file"), (folder, "Is a directory"), (fifo, "It is no regular file"), (sparse(10 << 30), "File too large"),
        (link_to("/gone"), "No such file"), (link_to("lines"), "symbolic links"), (b"timeout 3\0\n", "control characters"),
        (b"timeout \x1b[2J\n", "control characters"),
    ):  # fmt: skip
        if make is not None:
            system.put("etc/lines", make)
        for verb in ("sync", "gc"):
            system.refuses(verb, "BadConfiguration", "LoaderConfig=/etc/lines", words, hint=HINT)


def named(system):
    """--config itself."""
    for value, words in (("", ""), ("/gone", "No such file"), ("/nix", "Is a directory"), ("../../../../gone", "No such file"), ("x" * 5000, "name too long")):
        system.refuses("sync", "BadConfiguration", value, words, hint="", arguments=[f"--config={value}"])


ROWS = [
    *[(f"{place}: {title}", refused(place, make, words)) for title, make, words in FILES for place in PLACES],
    *[(f"{place}: a bad value, with every verb", refused(place, "[Boot]\nLimit=many\n", [":2: Limit=many is not a number"], VERBS)) for place in PLACES],
    *[(f"bad values of {name}", bad_values(section, name, values)) for section, names in VALUES.items() for name, values in names.items()],
    *[(f"{place}: what is not known", unknown(place)) for place in PLACES],
    ("lines of a megabyte", long_lines),
    ("300,000 warnings", many_warnings),
    ("folder of drop-ins", drop_ins),
    ("loader configuration", loader_config),
    ("--config", named),
]
run_table("/daemon/hostile/configuration", [(title.replace(" ", "-"), row) for title, row in ROWS])
