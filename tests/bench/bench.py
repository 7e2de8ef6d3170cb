#!/usr/bin/env python3
"""Runs the benchmarks and prints one table; bench.sh starts the fleet for it.

Ends with 1 when something could not be measured. A missed target is marked and is no error.
"""

import argparse
import json
import subprocess
import sys

from fleet_bench import fleet_rows
from placement import placement_rows
from table import print_table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--fleet", help="what `quickstart.sh --info` says of a running fleet; left out: placement only")
    parser.add_argument("--work", help="a folder for the baseline's project")
    parser.add_argument("--samples", type=int, default=7, help="starts of each kind; 7")
    parser.add_argument("--small", type=int, default=5, help="tenants in the small project; 5")
    parser.add_argument("--large", type=int, default=130, help="tenants in the large project; 130")
    parser.add_argument("--idle-tenants", type=int, default=25, help="25")
    parser.add_argument("--idle-seconds", type=int, default=60, help="60")
    options = parser.parse_args()
    rows = placement_rows(f"{options.bin}/placement_bench")
    if options.fleet:
        rows = fleet_rows(f"{options.bin}/mtp-cli", json.loads(options.fleet), options.work, options) + rows
    print_table(rows)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        sys.exit(f"could not be measured: {error}")
