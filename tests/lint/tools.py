# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules that other programs check."""
import re
import subprocess

FINDING = re.compile(r"^(?P<path>[^\s:][^:]*):(?P<line>\d+):(?:\d+:)? *(?P<what>.*)$")


def findings_of(command, paths):
    """Runs COMMAND on PATHS, in two processes side by side, and takes the findings from its lines."""
    halves = [half for half in (paths[::2], paths[1::2]) if half]
    running = [
        subprocess.Popen(command + half, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for half in halves
    ]
    for process in running:
        output = process.communicate()[0]
        found = [match for match in map(FINDING.match, output.splitlines()) if match]
        for match in found:
            yield match["path"], int(match["line"]), f"{command[0]}: {match['what']}"
        if process.returncode != 0 and not found:
            yield command[0], 1, f"failed: {output.strip()[:500]}"


def check_format(tree):
    """make format changes nothing."""
    yield from findings_of(["clang-format", "--dry-run", "-Werror"], tree.c_files())


def check_shell(tree):
    yield from findings_of(["shellcheck", "--format=gcc"], tree.scripts("sh", "bash"))


def check_python(tree):
    yield from findings_of(["pyflakes3"], tree.scripts("python3"))


RULES = [check_format, check_shell, check_python]
