# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about the text of files."""
import os
import re

SPDX = "SPDX-License-Identifier: LGPL-2.1-or-later"
SOURCE = re.compile(r"\.(c|h|S|py|sh|mk|nix|service|socket|policy|lds)$|(^|/)Makefile$")
DATA = re.compile(r"^tests/fuzz/corpus/")
MIRROR = re.compile(r"https?://[^\s\"'<>]*\b(debian|ubuntu)\b|\b[\w-]+\.(debian|ubuntu)\.(org|net|com)\b", re.IGNORECASE)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b:?(?!['\"])")
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
WHY_LONG = re.compile(r"Longer than \d+ lines: \w")


def sources(tree):
    for path in tree.paths:
        if not DATA.match(path) and (SOURCE.search(path) or tree.text(path).startswith("#!")):
            yield path


def check_licence(tree):
    """Every source names its licence in its first lines."""
    for path in sources(tree):
        if SPDX not in "\n".join(tree.text(path).splitlines()[:3]):
            yield path, 1, f"has no line '{SPDX}'"


def check_mirrors(tree):
    """No package mirror is written down: a machine's own are used."""
    for path in tree.paths:
        for line, text in tree.lines(path):
            if MIRROR.search(text):
                yield path, line, "names the host of a package mirror"


def check_unfinished(tree):
    for path in sources(tree):
        if path.startswith("tests/lint/"):
            continue
        for line, text in tree.lines(path):
            if UNFINISHED.search(text):
                yield path, line, "is marked as unfinished"


def check_file_length(tree):
    """Above 600 lines a file says why in a comment, 'Longer than 600 lines: …'."""
    for path in sources(tree):
        count = tree.text(path).count("\n")
        if count > FILE_LINES_MAX and not WHY_LONG.search(tree.text(path)):
            yield path, 1, f"has {count} lines, above {FILE_LINES_MAX}, and does not say why"


def check_function_length(tree):
    """Above 60 lines a C function says why, in the same way, inside it."""
    for path in tree.c_files():
        start, body = 0, []
        for line, text in tree.lines(path):
            if re.match(r"[A-Za-z_].*\) \{$|[A-Za-z_ ].*\) \{$", text) and not start and "=" not in text:
                start, body = line, []
            body.append(text)
            if text == "}" and start:
                if len(body) > FUNCTION_LINES_MAX + 2 and not WHY_LONG.search("\n".join(body)):
                    yield path, start, f"the function has {len(body)} lines, above {FUNCTION_LINES_MAX}, and does not say why"
                start = 0


def check_whitespace(tree):
    """Text files end with a newline, and no line with white space."""
    for path in sources(tree):
        if tree.text(path) and not tree.text(path).endswith("\n"):
            yield path, tree.text(path).count("\n") + 1, "does not end with a newline"
        for line, text in tree.lines(path):
            if text != text.rstrip():
                yield path, line, "ends with white space"


def check_executable(tree):
    """What begins with #! can be run, or is no program."""
    for path in tree.paths:
        if tree.text(path).startswith("#!") and not os.access(path, os.X_OK):
            yield path, 1, "begins with #! but is not executable"


RULES = [
    check_licence,
    check_mirrors,
    check_unfinished,
    check_file_length,
    check_function_length,
    check_whitespace,
    check_executable,
]
