#!/usr/bin/env python3
"""Runs the benchmarks and prints one table; bench.sh starts the fleet for it.

Ends with 1 when a target is missed, and with 2 when something could not be measured.
"""

import argparse
import json
import subprocess
import sys

from backup_bench import backup_rows
from fleet_bench import fleet_rows
from fleet_host import FleetHost
from load_bench import load_rows
from placement import placement_rows
from rollout_bench import rollout_rows
from table import print_table

# With the host on which each is done: the first one leaves 130 tenants there.
ON_A_FLEET = {"fleet": (fleet_rows, 0), "backup": (backup_rows, 1), "rollout": (rollout_rows, 1)}
LOAD = "load"
PLACEMENT = "placement"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--fleet", help="what `quickstart.sh --info` says of a running fleet; left out: what needs none")
    parser.add_argument("--work", help="a folder for what is done by hand; left out: placement only")
    parser.add_argument("--only", action="append", choices=[*ON_A_FLEET, LOAD, PLACEMENT], help="only these; may be repeated")
    parser.add_argument("--real", action="store_true", help="the fleet has the real OpenClaw; for --only backup")
    parser.add_argument("--samples", type=int, default=15, help="starts of each kind; 15")
    parser.add_argument("--small", type=int, default=5, help="tenants in the small project; 5")
    parser.add_argument("--large", type=int, default=130, help="tenants in the large project; 130")
    parser.add_argument("--idle-tenants", type=int, default=25, help="25")
    parser.add_argument("--idle-seconds", type=int, default=60, help="60")
    parser.add_argument("--backup-samples", type=int, default=5, help="tenants that are backed up twice and restored; 5")
    parser.add_argument("--megabytes", type=int, default=157, help="of session files in each of them; 157")
    parser.add_argument("--rollout-samples", type=int, default=4, help="rollouts over all tenants; 4")
    parser.add_argument("--rollout-tenants", type=int, default=10, help="10")
    parser.add_argument("--load-tenants", type=int, default=1000, help="on simulated engines; 1000")
    parser.add_argument("--parallel", type=int, default=2, help="tenants that a rollout may update at once; 2")
    options = parser.parse_args()
    if options.real and options.only != ["backup"]:
        parser.error("--real goes with --only backup: the others need more tenants than fit")
    return options


def main():
    options = parse()
    wanted = options.only or [*ON_A_FLEET, LOAD, PLACEMENT]
    rows = []
    if options.fleet:
        hosts = [FleetHost(f"{options.bin}/mtp-cli", json.loads(options.fleet), number, options.real) for number in (0, 1)]
        for name, (measure, number) in ON_A_FLEET.items():
            if name in wanted:
                rows += measure(hosts[number], options.work, options)
    if LOAD in wanted and options.work:
        rows += load_rows(options.work, options)
    if PLACEMENT in wanted:
        rows += placement_rows(f"{options.bin}/placement_bench")
    print_table(rows)
    targets = [row.met for row in rows if row.met is not None]
    print(f"{sum(targets)} of {len(targets)} targets met", flush=True)
    return 0 if all(targets) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        print(f"could not be measured: {error}", file=sys.stderr)
        sys.exit(2)
