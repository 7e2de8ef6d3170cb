#!/usr/bin/env python3
"""A controller under load and under attack: 20 hosts with simulated engines and 1,000 tenants.

What must stay within bounds is checked; how long things took is only printed. The last line is
`N checks, F failed`. Needs no Docker, but root: nobody else may look at the controller's descriptors.
"""

import argparse
import json
import pathlib
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import attacks
from fleet import FleetError, LoadFleet, wait_for
from process import MIB, Watched, median_rss
from usage import percent_of_core

STRANGER = "127.0.0.2"
# docs/reliability.md, "Load and limits".
MAX_LOG_MIB = 64
MAX_OPERATIONS = 10_000
# Beyond them: what has ended since the last look at it, a minute ago, and what waits for its turn.
RECENT_OPERATIONS = 64 + 50
MAX_AUDIT = 100_000
MAX_STREAMS_PER_CALLER = 256
MAX_CONNECTIONS_PER_STRANGER = 2048
HANDSHAKE_S = 10
# Descriptors that come and go by themselves: connections to agents that are made anew.
SLACK_DESCRIPTORS = 8
BACK_S = 45


def note(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


class Checks:
    def __init__(self):
        self._all = []

    def expect(self, what, well, seen):
        self._all.append((what, bool(well), seen))
        note(f"{'ok    ' if well else 'FAILED'} {what}: {seen}")

    @property
    def failed(self):
        return [one for one in self._all if not one[1]]

    def summary(self):
        print()
        for what, _, seen in self.failed:
            print(f"FAILED {what}: {seen}")
        print(f"{len(self._all)} checks, {len(self.failed)} failed")


class LoadRun:
    def __init__(self, fleet, options):
        self._fleet = fleet
        self._options = options
        self._checks = Checks()
        self._watched = None

    def run(self):
        self._watched = Watched(self._fleet.controller.pid, self._fleet.store)
        base = self._watched.look()
        note(f"{self._options.hosts} hosts: {base.descriptors} descriptors, {base.rss / MIB:.0f} MiB")
        self._provision()
        self._idle()
        self._at_once("64 at once")
        self._watching(base)
        if self._options.share > 0:
            self._week(base)
        if not self._options.no_attacks:
            self._attack(base)
        self._back_to("at the end", base)
        self._restart()
        self._checks.summary()
        return not self._checks.failed

    # --- Load

    def _provision(self):
        self._watched.phase = "provision"
        begun = time.monotonic()
        self._caller("provision", "--tenants", self._options.tenants, "provision")
        note(f"{self._options.tenants} tenants in {time.monotonic() - begun:.0f} s")
        ready = wait_for(30, lambda: self._fleet.ready_tenants() == self._options.tenants)
        self._checks.expect("tenants that are ready", ready, self._fleet.ready_tenants())

    def _idle(self):
        time.sleep(5)
        before = self._watched.look()
        time.sleep(15)
        after = self._watched.look()
        note(f"idle: {percent_of_core(before, after):.1f} % of a core, {after.rss / MIB:.0f} MiB, {after.threads} threads")
        self._status("idle")

    def _status(self, when):
        """End to end, as a person waits for it."""
        took = []
        failed = 0
        for _ in range(5):
            begun = time.monotonic()
            code, _, _ = self._fleet.try_cli("status", "-o", "json")
            took.append((time.monotonic() - begun) * 1000)
            failed += code != 0
        took.sort()
        self._checks.expect(f"status answers, {when}", failed == 0, f"median {took[2]:.0f} ms, most {took[-1]:.0f} ms")

    def _at_once(self, what):
        self._caller(what, "--parallel", 64, "at-once")

    def _watching(self, base):
        self._watched.phase = "watching"
        watchers = [self._fleet.begin_cli("status", "--watch", "-o", "json") for _ in range(self._options.watchers)]
        wanted = base.descriptors + len(watchers)
        connected = wait_for(120, lambda: self._watched.look().descriptors >= wanted)
        self._checks.expect("watching CLIs are connected", connected, self._watched.look().descriptors)
        before = self._watched.look()
        self._at_once(f"64 at once, {len(watchers)} watching")
        operation = json.loads(self._fleet.cli("op", "list", "--limit", "1", "-o", "json"))["operations"][0]["name"]
        code, _, error = self._fleet.try_cli("op", "watch", operation.removeprefix("operations/"))
        self._checks.expect("op watch", code == 0, error.strip()[-200:] or operation)
        time.sleep(10)
        self._status(f"{len(watchers)} watching")
        after = self._watched.look()
        percent = (after.cpu_s - before.cpu_s) / (after.at - before.at) * 100
        note(f"{len(watchers)} watching: {percent:.0f} % of a core, {after.rss / MIB:.0f} MiB")
        alive = sum(process.poll() is None for process in watchers)
        self._checks.expect("watching CLIs still watch", alive == len(watchers), f"{alive} of {len(watchers)}")
        self._fleet.end_cli(watchers)
        self._back_to("without watchers", base)

    def _week(self, base):
        self._watched.phase = "week"
        options = ["--tenants", self._options.tenants, "--share", self._options.share, "--seconds", self._options.seconds]
        begun = time.monotonic()
        figures = self._caller("week", *options, "week")
        done = sum(row["calls"] for what, row in figures.items() if not what.startswith("call "))
        took = time.monotonic() - begun
        note(f"week: {done} operations in {took:.0f} s, {done / took:.0f} a second")
        self._caller("updates", "--tenants", min(50, self._options.tenants), "--parallel", 8, "update")
        samples = self._watched.of("week")
        fifth = max(1, len(samples) // 5)
        first, last = samples[:fifth], samples[-fifth:]
        grown = median_rss(last) - median_rss(first)
        kept = last[-1].database - first[0].database
        # What is kept is held in memory, too: its keys twice, and the history of changes.
        most = 3 * kept + 24 * MIB
        self._checks.expect(
            "memory grows by no more than what is kept", grown <= most,
            f"{median_rss(first) / MIB:.0f} to {median_rss(last) / MIB:.0f} MiB, the store by {kept / MIB:.1f} MiB",
        )  # fmt: skip
        threads = {sample.threads for sample in samples}
        self._checks.expect("threads", max(threads) - min(threads) <= 16, f"{min(threads)} to {max(threads)}")
        written = last[-1].written - first[0].written
        note(f"week: {written / MIB:.0f} MiB written, {written / 1024 / max(1, done):.0f} KiB an operation")
        self._back_to("after the week", base)

    # --- Attacks

    def _attack(self, base):
        before = self._watched.look()
        rounds = []
        for number in (1, 2):
            self._watched.phase = f"attacks {number}"
            self._strangers(base)
            self._callers()
            self._back_to(f"after attacks, round {number}", base)
            rounds.append(median_rss(self._watched.samples[-3:]))
        self._checks.expect(
            "attacks leave no memory behind", rounds[1] <= rounds[0] + 16 * MIB,
            f"{before.rss / MIB:.0f} MiB before, {rounds[0] / MIB:.0f} and {rounds[1] / MIB:.0f} MiB after",
        )  # fmt: skip

    def _strangers(self, base):
        api, joins = self._fleet.api_port, self._fleet.join_port
        for what, make, port in (
            ("2,000 silent connections", lambda port: attacks.silent(port, 2000), api),
            ("garbage before TLS", lambda port: attacks.garbage(port, 500), api),
            ("garbage before TLS at enrolment", lambda port: attacks.garbage(port, 500), joins),
            ("half a TLS handshake", lambda port: attacks.half_handshakes(port, 500), api),
            ("half a TLS handshake at enrolment", lambda port: attacks.half_handshakes(port, 500), joins),
            ("silence after TLS at enrolment", lambda port: attacks.silent_after_tls(port, 300), joins),
            ("silence after TLS without a certificate", lambda port: attacks.silent_after_tls(port, 300), api),
        ):
            connections = make(port)
            self._status(what)
            closed = attacks.count_closed(connections, 2.5 * HANDSHAKE_S)
            well = closed == len(connections)
            self._checks.expect(f"{what}: closed within the handshake's time", well, f"{closed} of {len(connections)}")
            attacks.close(connections)
        self._too_many(base)

    def _too_many(self, base):
        connections = attacks.silent(self._fleet.api_port, 5000, STRANGER)
        most = base.descriptors + MAX_CONNECTIONS_PER_STRANGER + 64
        seen = self._watched.look().descriptors
        self._checks.expect("a stranger has no more than half the connections", seen <= most, f"{seen} descriptors")
        self._status(f"{len(connections)} connections of a stranger")
        attacks.close(connections)
        self._back_to("after a stranger's connections", base)
        self._status("after a stranger's connections")

    def _callers(self):
        _, codes = self._fleet.caller("oversized", identity=self._fleet.viewer)
        beyond = [codes[str(size << 20)] for size in (3, 64)]
        self._checks.expect("messages beyond the limit", set(beyond) == {"RESOURCE_EXHAUSTED"}, codes)
        within = {codes["1024"], codes[str(1 << 20)]}
        self._checks.expect("messages within the limit are answered", within <= {"NOT_FOUND", "INVALID_ARGUMENT"}, codes)

        slow = self._fleet.begin_caller("--parallel", 300, "--seconds", 15, "slow-readers", identity=self._fleet.viewer)
        time.sleep(5)
        self._at_once("64 at once, 300 slow readers")
        self._status("300 slow readers")
        _, seen = self._fleet.end_caller(slow)
        # Not for longer: who does not read answers no ping either, and after 20 s takes its connections for dead.
        self._checks.expect("a caller's streams beyond its places are refused", seen["refused"] == 300 - MAX_STREAMS_PER_CALLER, seen)

        flood = self._fleet.begin_caller("--parallel", 32, "--seconds", 10, "joins")
        time.sleep(2)
        self._status("a flood of joins")
        _, seen = self._fleet.end_caller(flood)
        well = seen["calls"] > 0 and set(seen["codes"]) <= {"RESOURCE_EXHAUSTED", "PERMISSION_DENIED"}
        self._checks.expect("a flood of joins is refused", well, seen)

    # --- At the end

    def _restart(self):
        """What is kept is counted while nobody has the store; then everything is true again."""
        peak = max(self._watched.samples, key=lambda sample: sample.rss)
        log = max(sample.log for sample in self._watched.samples)
        self._watched.end()
        self._checks.expect("the store's log", log <= MAX_LOG_MIB * MIB, f"at most {log / MIB:.1f} MiB")
        note(f"at most {peak.rss / MIB:.0f} MiB resident ({peak.phase})")
        self._fleet.stop_controller()
        rows = self._rows()
        self._checks.expect("operations kept", rows.get("operations", (0, 0))[0] <= MAX_OPERATIONS + RECENT_OPERATIONS, rows["operations"])
        self._checks.expect("audit entries kept", rows["audit"][0] <= MAX_AUDIT, rows["audit"])
        self._checks.expect("no lock is left", "locks" not in rows, rows.get("locks", "none"))
        content = sum(size for _, size in rows.values())
        database = self._fleet.store.stat().st_size
        detail = f"{database / MIB:.1f} MiB for {content / MIB:.1f} MiB"
        self._checks.expect("the store is no larger than what it holds", database <= 4 * content + 8 * MIB, detail)
        for name, (count, size) in sorted(rows.items()):
            note(f"  /{name}/: {count} records, {size / max(1, count):.0f} bytes each")
        begun = time.monotonic()
        self._fleet.start_controller()
        ready = wait_for(60, lambda: self._fleet.ready_tenants() == self._options.tenants, pause=0.05)
        took = time.monotonic() - begun
        self._checks.expect("all tenants are seen again after a restart", ready, f"{took:.1f} s")

    def _rows(self):
        """Records and their bytes, by the first part of the key."""
        rows = {}
        # Whoever opens it makes a log beside it.
        copy = self._fleet.work / "count.db"
        for end in ("", "-wal"):
            path = pathlib.Path(f"{self._fleet.store}{end}")
            if path.exists():
                shutil.copy(path, f"{copy}{end}")
        database = sqlite3.connect(copy)
        try:
            for key, size in database.execute("SELECT key, length(key) + length(value) FROM kv"):
                text = key.decode() if isinstance(key, bytes) else key
                name = text.split("/")[1]
                count, total = rows.get(name, (0, 0))
                rows[name] = (count + 1, total + size)
        finally:
            database.close()
        return rows

    # --- Within

    def _caller(self, what, *words):
        well, figures = self._fleet.caller(*words)
        for name, row in sorted(figures.items()):
            times = ", ".join(f"{part} {row[part + '_ms']:.0f} ms" for part in ("p50", "p99", "max"))
            note(f"  {name}: {row['calls']}, {times}{'; ' + row['error'] if row['error'] else ''}")
        failed = sum(row["failed"] for row in figures.values())
        self._checks.expect(f"every call and operation succeeds: {what}", well, f"{failed} failed")
        return figures

    def _back_to(self, when, base):
        most = base.descriptors + SLACK_DESCRIPTORS
        wait_for(BACK_S, lambda: self._watched.look().descriptors <= most, pause=0.5)
        seen = self._watched.look().descriptors
        self._checks.expect(f"descriptors, {when}", seen <= most, f"{seen}; {base.descriptors} at the start")


def parse():
    parser = argparse.ArgumentParser(prog="tests/run.sh load", description=__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--watchers", type=int, default=100, help="CLIs that watch at the same time")
    parser.add_argument("--share", type=float, default=1.0, help="of the operations of a week")
    parser.add_argument("--seconds", type=float, default=240, help="after which no operation of the week is begun")
    parser.add_argument("--work-ms", type=int, default=200, help="what an action of a simulated engine takes")
    parser.add_argument("--no-attacks", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and state")
    return parser.parse_args()


def main():
    options = parse()
    # More connections than the controller takes.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    work = pathlib.Path(tempfile.mkdtemp(prefix="mtp-load-"))
    fleet = LoadFleet(work, options.hosts, options.work_ms)
    well = False
    try:
        fleet.up()
        well = LoadRun(fleet, options).run()
    except (FleetError, subprocess.TimeoutExpired) as error:
        print(f"load: {error}", file=sys.stderr)
    finally:
        fleet.down()
        if well and not options.keep:
            shutil.rmtree(work)
        else:
            print(f"logs and state: {work}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
