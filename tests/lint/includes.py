# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about #include: layers, libraries, paths."""
import os
import re

from tree import FILE_LIBRARIES, NOUNS, OTHER_ROWS, STUB_ABI_USERS

INCLUDE = re.compile(r'\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')

# Headers of each library. What is in no row counts as libc's.
LIBRARY_HEADERS = {
    "libcrypto": r"openssl/",
    "efivar": r"efivar/|efivar\.h$|efiboot\.h$",
    "jansson": r"jansson",
    "libsystemd": r"systemd/",
    "glib": r"(glib|gio|gobject|gmodule)([./-]|$)",
    "gnu-efi": r"efi\.h$|efilib\.h$|efi[a-z_]+\.h$|(x86_64|aarch64)/",
}
# What a freestanding compiler brings itself.
FREESTANDING = re.compile(r"(std(arg|bool|def|int|noreturn|align)|limits|float|cpuid|[a-z]*intrin|arm_neon)\.h$")


def library_of(header):
    for library, pattern in LIBRARY_HEADERS.items():
        if re.match(pattern, header):
            return library
    return None


def folder_of(path):
    """The row that PATH belongs to, and whether it is a test; (None, …) for what has no row."""
    parts = path.split("/")
    if parts[0] == "tests":
        return (parts[1] if len(parts) > 2 else None), True
    if parts[0] == "daemon" and len(parts) > 2:
        return parts[1], False
    return parts[0], False


def folder_prefix(folder):
    return f"{folder}/" if folder in ("stubs", "dbus", "client", "daemon") else f"daemon/{folder}/"


def fuzzed_folder(tree, path):
    found = re.search(r"^/\* fuzzes: ([a-z]*) \*/$", tree.text(path), re.MULTILINE)
    return found.group(1) if found else None


def may_include(tree, path):
    """(prefixes of headers, libraries) for the file PATH; None if there is no rule for it."""
    folder, is_test = folder_of(path)
    if is_test and folder == "lib":
        return ["tests/lib/"], ["glib"]
    if is_test and folder == "fuzz":
        folder = fuzzed_folder(tree, path) or "fuzz"
    if folder == "bench":
        folder = "daemon"
    if folder not in tree.table and folder not in OTHER_ROWS:
        return (["tests/fuzz/", "tests/lib/"], ["glib"]) if is_test else None

    folders, libraries = tree.row(folder)
    prefixes = [folder_prefix(name) for name in folders]
    if folder in STUB_ABI_USERS:
        prefixes.append("stubs/stub-abi.h")
    libraries = libraries + FILE_LIBRARIES.get(path, [])
    if is_test:
        prefixes += ["tests/lib/", os.path.dirname(path) + "/"]
        libraries = libraries + ["glib"] + [library for name in folders for library in tree.table.get(name, ([], []))[1]]
    return prefixes, libraries


def check_layers(tree):
    """A file includes its own folder, and those that its row of the table allows."""
    for path in tree.c_files():
        allowed = may_include(tree, path)
        if not allowed:
            yield path, 1, "stands in a folder without a rule about what it may include"
            continue
        for line, text in tree.lines(path):
            found = INCLUDE.match(text)
            if found and found.group(1):
                yield from check_own_header(path, line, found.group(1), allowed[0])
            elif found:
                yield from check_system_header(path, line, found.group(2), allowed[1])


def check_own_header(path, line, header, prefixes):
    if not os.path.isfile(header):
        yield path, line, f'"{header}" is no path from the root of the tree'
    elif path.startswith("daemon/") and path.count("/") == 1:
        # daemon/*.c may include all of daemon/
        if not header.startswith(("daemon/", "dbus/")):
            yield path, line, f"daemon/*.c may not include {header}"
    elif not any(header.startswith(prefix) for prefix in prefixes):
        yield path, line, f"{os.path.dirname(path)}/ may not include {header}"


def check_system_header(path, line, header, libraries):
    library = library_of(header)
    if library and library not in libraries:
        yield path, line, f"{os.path.dirname(path)}/ may not include <{header}> of {library}"
    if not library and path.startswith("stubs/") and not FREESTANDING.match(header):
        yield path, line, f"stubs/ has no libc, but includes <{header}>"


def check_table(tree):
    """The nouns never include each other, and nobody includes upwards."""
    for folder, (uses, _) in tree.table.items():
        for used in uses:
            if folder in NOUNS and used in NOUNS:
                yield "daemon/build.mk", 1, f"USES_{folder} names its sibling {used}"
            if folder in tree.table.get(used, ([], []))[0]:
                yield "daemon/build.mk", 1, f"USES_{folder} names {used}, which uses {folder}"


def check_pragma_once(tree):
    for path in tree.c_files():
        if path.endswith(".h") and "\n#pragma once\n" not in tree.text(path):
            yield path, 1, "has no #pragma once"


RULES = [check_layers, check_table, check_pragma_once]
