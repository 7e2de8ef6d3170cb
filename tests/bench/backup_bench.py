"""Backups and restores of a tenant with many session files, against tar, restic and cp by hand.

Everything is measured from the start of the program to its end, in turns, on the same bytes, which are in the page cache. Each
sample has a tenant and repositories of its own, so that a first backup finds nothing that it could leave out; the repositories
are made before the clock starts.
"""

import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

from fleet_host import note
from sessions import SESSIONS, added_lines, append, write_sessions
from table import Row, limit_row, ratio_row, seconds

SEED = 20261124
PAUSE_LIMIT_MS = 300
READ_BYTES = 1 << 20
MB = 1_000_000
FULL, SECOND = "full", "second"


def timed(action, *arguments):
    begun = time.monotonic()
    result = action(*arguments)
    return time.monotonic() - begun, result


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words[:2]))}: {done.stderr.strip()[-500:]}")
    return done.stdout


def bytes_in(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def hashes(folder):
    """SHA-256 of every file by its path within the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest = hashlib.sha256()
            with open(path, "rb") as file:
                while piece := file.read(READ_BYTES):
                    digest.update(piece)
            found[path.relative_to(folder)] = digest.digest()
    return found


class ByHand:
    """The same work without MTP, on a tenant's data in `folder`."""

    def __init__(self, folder, work):
        self._folder = folder
        self._archive = work / "by-hand.tar.gz"
        self._copy = work / "copy"
        self._repository = work / "restic"
        self._password = work / "restic-password"
        self._password.write_text("by-hand\n")
        self._restic("init", "--repository-version", "2")

    def _restic(self, *words):
        return run("restic", "--quiet", "--repo", self._repository, "--password-file", self._password, *words)

    def tar(self):
        run("tar", "--directory", self._folder.parent, "--create", "--gzip", "--file", self._archive, self._folder.name)

    def archive_bytes(self):
        return self._archive.stat().st_size

    def restic_backup(self):
        self._restic("backup", self._folder)

    def verified_copy(self):
        """A copy that is on the disk and has been compared."""
        run("cp", "--archive", self._folder, self._copy)
        run("sync", "--file-system", self._copy)
        if hashes(self._folder) != hashes(self._copy):
            raise RuntimeError("the copy differs")

    def remove(self):
        for path in (self._copy, self._repository):
            shutil.rmtree(path)
        self._archive.unlink()


class BackupSamples:
    def __init__(self, fleet, work, options):
        self._fleet = fleet
        self._work = pathlib.Path(work)
        self._megabytes = options.megabytes
        self._master = self._work / "sessions"
        begun = time.monotonic()
        write_sessions(self._master, SEED, self._megabytes)
        note(f"{bytes_in(self._master) / MB:.1f} MB of session files after {time.monotonic() - begun:.0f} s")
        self.taken = {name: [] for name in ("tar", "restic", "mtp", "restic 2", "mtp 2", "copy", "restore")}
        self.sizes = []
        self.records = {FULL: [], SECOND: []}

    def _backup(self, tenant, kind):
        took, text = timed(self._fleet.run, "backup", tenant, "-o", "json")
        record = json.loads(text)["backups"][0]
        self.records[kind].append(record)
        return took, record["id"]

    def _make_tenant(self, tenant, source):
        """Provisioned, with a repository that is made and has nothing of the session files."""
        self._fleet.provision(tenant)
        self._fleet.run("backup", tenant)
        target = self._fleet.data_folder(tenant) / SESSIONS
        for parent in reversed(target.relative_to(self._fleet.data_folder(tenant)).parents):
            folder = self._fleet.data_folder(tenant) / parent
            if not folder.is_dir():
                folder.mkdir()
                os.chown(folder, 1000, 1000)
        run("cp", "--archive", source / SESSIONS, target.parent)

    def _same(self, tenant, source):
        restored = hashes(self._fleet.data_folder(tenant) / SESSIONS)
        for path, digest in hashes(source / SESSIONS).items():
            if restored.get(path) != digest:
                raise RuntimeError(f"{path} is not what was backed up")

    def measure(self, number):
        tenant = f"backup-{number}"
        work = self._work / tenant
        source = work / "data"
        work.mkdir()
        run("cp", "--archive", self._master, source)
        self._make_tenant(tenant, source)
        repository = self._fleet.folder / "backups" / tenant
        empty = bytes_in(repository)
        by_hand = ByHand(source, work)
        run("sync")
        taken = {"tar": timed(by_hand.tar)[0], "restic": timed(by_hand.restic_backup)[0]}
        taken["mtp"], first = self._backup(tenant, FULL)
        self.sizes.append((bytes_in(repository) - empty) / by_hand.archive_bytes())

        added = added_lines(SEED + 1 + number, self._megabytes)
        append(source, added)
        append(self._fleet.data_folder(tenant), added)
        taken["restic 2"] = timed(by_hand.restic_backup)[0]
        taken["mtp 2"], second = self._backup(tenant, SECOND)
        if first == second:
            raise RuntimeError("the second backup is the first one")

        # A plain copy neither stops nor starts anybody.
        self._fleet.run("stop", tenant)
        shutil.rmtree(self._fleet.data_folder(tenant) / SESSIONS)
        run("sync")
        taken["copy"] = timed(by_hand.verified_copy)[0]
        taken["restore"] = timed(self._fleet.run, "backup", "restore", tenant, "--from", second, "--yes")[0]
        self._same(tenant, source)
        by_hand.remove()
        shutil.rmtree(work)
        for name, took in taken.items():
            self.taken[name].append(took)
        note(f"backups, {number}: " + ", ".join(f"{name} {took:.2f} s" for name, took in taken.items()))


def against(what, ours, bare, named, most):
    """Of two lists of times, taken in turns."""
    return ratio_row(what, seconds(ours), f"{named} {seconds(bare)}", statistics.median(ours) / statistics.median(bare), most)


def backup_rows(fleet, work, options):
    samples = BackupSamples(fleet, work, options)
    for number in range(1, options.backup_samples + 1):
        samples.measure(number)
    taken, tenant = samples.taken, "the real OpenClaw" if options.real else "the double"
    pauses = [record["pause_ms"] for record in samples.records[FULL] + samples.records[SECOND]]
    size = statistics.median(samples.sizes)
    scanned = statistics.median(record["bytes_scanned"] for record in samples.records[FULL])
    return [
        against(f"backup of {scanned / MB:.0f} MB", taken["mtp"], taken["tar"], "tar | gzip", 0.1),
        against(f"backup of {scanned / MB:.0f} MB", taken["mtp"], taken["restic"], "restic", 1.1),
        ratio_row("bytes stored by it", f"{size:.2f} of those of", "tar | gzip", size, 1.1),
        against("backup after a change of 1 %", taken["mtp 2"], taken["mtp"], "the first", 0.2),
        Row("backup after a change of 1 %", seconds(taken["mtp 2"]), f"restic {seconds(taken['restic 2'])}",
            statistics.median(taken["mtp 2"]) / statistics.median(taken["restic 2"])),
        limit_row(f"pause of {tenant}", max(pauses), "ms", PAUSE_LIMIT_MS,
                  f"{statistics.median(pauses):.0f} ms, at most {max(pauses)} ms"),
        against("restore of it", taken["restore"], taken["copy"], "cp, sync, SHA-256", 1.3),
    ]
