# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the compiled folders call, by nm: a call needs no #include to be wrong."""
import os
import re
import subprocess

# Of the C library and of what every program is linked with.
BASE_LIBRARIES = ("libc.so.6", "ld-linux-x86-64.so.2", "libgcc.a")
LINKER_SYMBOLS = {"_GLOBAL_OFFSET_TABLE_", "_DYNAMIC", "__dso_handle"}


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()


def library_files(package):
    names = re.findall(r"-l(\S+)", run("pkg-config", "--libs", package))
    return [run("gcc", f"-print-file-name=lib{name}.so").strip() for name in names]


def defined_in(path, *options):
    """The symbols that an archive or a shared library offers, without versions."""
    symbols = set()
    for line in run("nm", *options, "--defined-only", "--format=posix", path).splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[1] in "TDBRVWiu":
            symbols.add(fields[0].split("@")[0])
    return symbols


def undefined_in(archive):
    """(source file's name, symbol) of each symbol that a member of ARCHIVE needs."""
    member = ""
    for line in run("nm", "--undefined-only", "--format=posix", archive).splitlines():
        if line.endswith(":"):
            member = re.sub(r".*\[(.*)\.o\]:$", r"\1.c", line)
        elif line:
            yield member, line.split()[0]


def line_of(tree, path, symbol):
    for line, text in tree.lines(path) if os.path.isfile(path) else []:
        if re.search(rf"\b{re.escape(symbol)}\b", text):
            return line
    return 1


def check_calls(tree):
    """An undefined symbol of a folder's archive is one of the folders and libraries in its row, or of libc."""
    archives = {folder: os.path.join(tree.build, "release/daemon", f"{folder}.a") for folder in tree.table}
    missing = [folder for folder, path in archives.items() if not os.path.isfile(path)]
    if missing:
        yield "daemon/build.mk", 1, f"there is no archive of {' '.join(missing)} to examine: run make all"
        return
    own = {folder: defined_in(path) for folder, path in archives.items()}
    packages = sorted({library for _, libraries in tree.table.values() for library in libraries})
    foreign = {p: set().union(*(defined_in(f, "--dynamic") for f in library_files(p))) for p in packages}
    base = set(LINKER_SYMBOLS)
    for name in BASE_LIBRARIES:
        path = run("gcc", f"-print-file-name={name}").strip()
        if os.path.isfile(path):
            base |= defined_in(path, *(["--dynamic"] if ".so" in name else []))

    for folder, (uses, libraries) in tree.table.items():
        allowed = base.union(*(own[name] for name in [folder] + uses), *(foreign[name] for name in libraries))
        for source, symbol in undefined_in(archives[folder]):
            if symbol in allowed:
                continue
            owners = [f"daemon/{name}/" for name in own if symbol in own[name]]
            owners += [name for name in packages if symbol in foreign[name]]
            path = f"daemon/{folder}/{source}"
            of = f"of {owners[0]}" if owners else "of nobody it may use"
            yield path, line_of(tree, path, symbol), f"daemon/{folder}/ may not use {symbol} {of}"


RULES = [check_calls]
