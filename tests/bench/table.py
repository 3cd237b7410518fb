# SPDX-License-Identifier: LGPL-2.1-or-later
"""The form that every measurement has: a row of the table, what it is held against in the same run, and whether it holds."""
import os
import platform
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass

ROUNDS = int(os.environ.get("LANZA_ROUNDS", "9"))


@dataclass
class Row:
    """What lanzad takes (OURS) and what the same run found for something else (THEIRS), in the same UNIT. GOAL is the greatest
    OURS / THEIRS that will do: 0.1 reads "at least 10 times faster". None: there is no goal."""

    name: str
    ours: float
    other: str
    theirs: float
    goal: float | None = None
    unit: str = "ms"

    @property
    def ratio(self):
        return self.ours / self.theirs

    @property
    def holds(self):
        return self.goal is None or self.ratio <= self.goal

    def __str__(self):
        faster = self.ratio < 1 if self.goal is None else self.goal < 1
        ratio = f"{1 / self.ratio:.1f} times faster" if faster else f"{self.ratio:.2f} times"
        goal = "" if self.goal is None else f"at least {1 / self.goal:.3g}" if faster else f"at most {self.goal:.3g}"
        verdict = "" if self.goal is None else "holds" if self.holds else "MISSED"
        return (f"{self.name:44} {self.ours:8.1f} {self.unit:3}  {self.other:40} {self.theirs:8.1f} {self.unit:3}"
                f"  {ratio:17} {goal:13} {verdict}").rstrip()

    def as_json(self):
        return {**asdict(self), "ratio": self.ratio, "holds": self.holds}


def seconds(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def interleaved(*functions, before=lambda: None, rounds=ROUNDS):
    """The median of each function's time in milliseconds; they run in turn, each after BEFORE."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for taken, function in zip(times, functions):
            before()
            taken.append(seconds(function) * 1000)
    return [statistics.median(taken) for taken in times]


def compare(name, ours, other, theirs, goal=None, **options):
    """A row of what the functions OURS and THEIRS take."""
    mine, others = interleaved(ours, theirs, **options)
    return Row(name, mine, other, others, goal)


def machine(folder):
    """Without it no figure says anything. FOLDER: where files were written."""

    def output(*command):
        return " ".join(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split())

    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "file-system": output("findmnt", "-no", "FSTYPE,OPTIONS", "-T", str(folder)),
        "openssl": output("openssl", "version"),
        "load": os.getloadavg()[0],
        "rounds": ROUNDS,
    }
