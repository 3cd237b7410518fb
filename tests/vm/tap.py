# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP for scenarios: each step is one test, named by a sentence about what is seen.

    def scenario(plan):
        with plan.step("keys-are-made"):
            ...

    tap.run("slice", scenario)

A step that raises is "not ok", with the reason; the steps after it, which would find a machine in an unknown state, are
not run. A step with independent=True lets the scenario go on.
"""
import contextlib
import signal
import sys
import time
import traceback


class Abandoned(Exception):
    """A step failed, and what follows depends on it."""


class Plan:
    def __init__(self, prefix):
        self.prefix = prefix
        self.number = 0
        self.failed = 0

    def report(self, good, name, comment=""):
        self.number += 1
        self.failed += not good
        self.say(comment)
        print(f"{'ok' if good else 'not ok'} {self.number} /{self.prefix}/{name}", flush=True)

    def say(self, comment):
        for line in str(comment).splitlines():
            print(f"# {line}", flush=True)

    @contextlib.contextmanager
    def step(self, name, independent=False):
        start = time.monotonic()
        try:
            yield
        except Abandoned:
            raise
        except Exception:
            self.report(False, name, traceback.format_exc())
            if not independent:
                raise Abandoned(name) from None
        else:
            self.report(True, name, f"{time.monotonic() - start:.1f} s")


def run(prefix, scenario):
    """Runs SCENARIO(plan), prints the closing count, and exits: 0 if every step was good. Asked to end (SIGTERM), it still
    cleans up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    plan = Plan(prefix)
    try:
        scenario(plan)
    except Abandoned as name:
        plan.say(f"abandoned after {name}")
    except BaseException:
        plan.report(False, "ends-by-itself", traceback.format_exc())
    if plan.number == 0:
        plan.report(False, "has-steps")
    print(f"1..{plan.number}", flush=True)
    sys.exit(1 if plan.failed else 0)
