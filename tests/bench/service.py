# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asking a running service, and what it takes up when it has answered."""
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("lib", "bus")]

from private_bus import NAME, OBJECT, PrivateBus
from table import ROUNDS, Row, compare
from tree import LANZACTL, LANZAD, MIB, Tree


def resident_mib(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


def status(folder):
    tree = Tree(folder, MIB)
    tree.add_generations(range(1, 21))
    tree.sync()
    with PrivateBus(tree.root, program=LANZAD) as bus:

        def run(*command):
            return subprocess.run(command, env=bus.environment, stdout=subprocess.PIPE, check=True).stdout

        def images():
            return json.loads(run(LANZACTL, "status", "--json=short"))["partitions"][0]["images"]

        assert images() == 20
        (tree.root / "boot/EFI/Linux/other.efi").write_bytes(b"")
        assert images() == 21, "what changed is not in the next status"
        (tree.root / "boot/EFI/Linux/other.efi").unlink()
        assert images() == 20, "what changed is not in the next status"
        yield compare("lanzactl status, 20 generations, service runs", lambda: run(LANZACTL, "status"), "busctl get-property",
                      lambda: run("busctl", "get-property", NAME, OBJECT, f"{NAME}.Manager", "Version"), goal=5, rounds=3 * ROUNDS)
        for interface, member in (("Esp", "Sync"), ("Esp", "CollectGarbage")):
            bus.call(interface, member, "a{sv}", "0")
        for interface, member in (("Esp", "ListGenerations"), ("Esp", "ListImages"), ("Security", "GetHostSecurityAttrs")):
            bus.call(interface, member)
        time.sleep(1)  # what it looks at once more after an operation
        yield Row("the idle service, resident", resident_mib(bus.service), "what it may take", 12, goal=1, unit="MiB")


BENCHES = (status,)
