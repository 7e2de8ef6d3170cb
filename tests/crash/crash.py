#!/usr/bin/env python3
"""The crash matrix: a real fleet whose controller or agent is killed at each step boundary of each kind of operation,
started again, and held to the only two outcomes there may be: all of the operation, or nothing of it.

Prints a line for each case and ends in `N cases, F failed`; exit 1 when F is not 0. See docs/reliability.md.
"""

import argparse
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from cases import AGENT, CONTROLLER, TableError, make_cases, read_step_table, shown_point
from fleet import REPOSITORY, Fleet, FleetError
from kinds import KINDS
from plants import PLANTS
from runner import Runner


def parse():
    parser = argparse.ArgumentParser(
        prog="tests/run.sh crash", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", action="append", help="only this kind of operation; may be repeated")
    parser.add_argument("--party", choices=[CONTROLLER, AGENT], help="only deaths of this one")
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="N", help="from case N on")
    parser.add_argument("--only", type=int, action="append", metavar="N", help="only case N; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the table and run nothing; needs no root")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="a defect put in after each case: each must fail")
    parser.add_argument("--plants", action="store_true", help="say which defects can be planted")
    parser.add_argument("--keep", action="store_true", help="leave the fleet, for a look at what failed")
    parser.add_argument("--step-table", default=str(REPOSITORY / "build/bin/step_table"), help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen(cases, options):
    for kind in options.kind or []:
        if kind not in KINDS:
            raise TableError(f"there is no kind {kind}; there are {', '.join(KINDS)}")
    return [
        case
        for case in cases
        if case.number >= options.first
        and (not options.only or case.number in options.only)
        and (not options.kind or case.kind in options.kind)
        and (not options.party or case.party == options.party)
    ]


def print_table(cases):
    print(f"{'case':>4}  {'kind':16}  {'step':17}  {'party':10}  point")
    for case in cases:
        print(f"{case.number:>4}  {case.kind:16}  {case.step:17}  {case.party:10}  {shown_point(case)}")
    minutes = sum(KINDS[case.kind].seconds for case in cases) / 60
    print(f"{len(cases)} cases, about {minutes:.0f} minutes", flush=True)


def run(cases, everything, options):
    work = pathlib.Path(tempfile.mkdtemp(prefix="mtp-crash.", dir="/tmp"))
    fleet = Fleet(work)
    runner = Runner(fleet, everything, PLANTS.get(options.plant))
    try:
        fleet.up()
        runner.run(cases)
    except (FleetError, subprocess.CalledProcessError) as error:
        print(f"the run cannot go on: {error}", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    finally:
        if options.keep:
            print(f"the fleet is left in {fleet.folder}: deploy/quickstart.sh --fleet-dir {fleet.folder} --down")
        else:
            fleet.down()
            shutil.rmtree(work, ignore_errors=True)
        if runner.told < len(cases):
            print(f"{len(cases) - runner.told} cases were not tried, and count as failed")
        failed = len(cases) - runner.passed
        print(f"{len(cases)} cases, {failed} failed", flush=True)
    return 1 if failed else 0


def main():
    # Ended from outside, the fleet is taken down all the same.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parse()
    if options.plants:
        for name, plant in PLANTS.items():
            print(f"{name:12} {plant.__doc__}")
        return 0
    try:
        everything = make_cases(read_step_table(options.step_table), KINDS)
        cases = chosen(everything, options)
    except TableError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_table(cases)
    if options.list:
        return 0
    if not cases:
        print("error: no case is left to run", file=sys.stderr)
        return 2
    return run(cases, everything, options)


if __name__ == "__main__":
    sys.exit(main())
