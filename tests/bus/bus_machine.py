# SPDX-License-Identifier: LGPL-2.1-or-later
"""A system in a folder with a firmware in a file, and who can be asked about it: lanzad --oneshot, or lanzactl with a service."""
import json
import subprocess

from program_tests import LANZAD, Tree

LANZACTL = LANZAD.parent / "lanzactl"

# What lanzactl leaves to root's own program: it would run those that make initrd secrets. A tree has none.
NO_SECRETS = """#!/bin/sh\n[ "$2" = initrd-secrets ] && echo '{"secrets": [], "warnings": []}'\n"""


class Machine(Tree):
    def __init__(self):
        super().__init__()
        (self.root / "boot").chmod(0o700)
        self.program = self.top / "lanzad"
        self.program.write_text(NO_SECRETS)
        self.program.chmod(0o755)

    def variables(self):
        """The firmware's file, a line a variable."""
        path = self.top / "variables"
        return path.read_text().splitlines() if path.exists() else []

    def set_variables(self, lines):
        temporary = self.top / "variables.new"
        temporary.write_text("".join(f"{line}\n" for line in lines))
        temporary.rename(self.top / "variables")

    def options(self):
        return [self.option(), self.firmware()]

    def oneshot(self, verb, *options, program=LANZAD):
        """Exit status and result."""
        command = [program, "--oneshot", verb, *self.options(), *options]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        return done.returncode, json.loads(done.stdout)

    def prepare(self, *commands):
        for command in commands:
            status, result = self.oneshot(*command)
            assert status == 0, (command, result)

    def lanzactl(self, bus, *arguments, prefix=(), program=LANZACTL, **more):
        """Exit status and what is printed, by the service on BUS."""
        environment = {**bus.environment, "LANZACTL_LANZAD": str(self.program)}
        command = [*prefix, program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd="/", check=False, **more)
        assert "cannot be reached" not in done.stderr, done
        return done.returncode, done.stdout
