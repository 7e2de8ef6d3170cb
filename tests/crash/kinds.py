"""How each kind of operation is asked for, and what must be true before and after besides the world's comparison.

A kind of the programs that is not in KINDS makes the matrix fail.
"""

import os
import subprocess
import time

from fleet import HOST
from store_edit import age_backup
from world import PULSE, SUBJECT

ABSENT, STOPPED, RUNNING = "absent", "stopped", "running"
DAY_S = 24 * 3600


def write_pulse(fleet, text):
    """As the container's user would write it; two of the same length differ in no size, not even in a manifest's."""
    path = fleet.project(HOST) / "data" / SUBJECT / PULSE
    path.write_text(text)
    os.chown(path, 1000, 1000)
    now_s = int(time.time())
    os.utime(path, ns=(now_s * 10**9 + 123456789, now_s * 10**9 + 123456789))


def operation_id(operation):
    return operation["name"].removeprefix("operations/")


class Kind:
    """One kind. Attributes and methods here are what most have."""

    needs, leaves = RUNNING, RUNNING
    seconds = 4  # of a case, about, on two cores
    patience_s = 90  # for its end after a restart
    uses_repository = True
    # Of the operations that the request has begun, the first is waited for; traced are all of these kinds.
    traced = ()

    def prepare(self, fleet):
        """What has to be there before the operation, and is no part of it."""

    def words(self, fleet):
        """The command, without the flags of all commands."""
        raise NotImplementedError

    def may_be_done(self, operation):
        """Whether one that is called off may also have done all of it: nothing is undone then, it only ends."""
        return False

    def call_off(self, fleet, operations):
        """The exit code."""
        return fleet.try_cli("op", "cancel", operation_id(operations[0]))[0]

    def meanwhile(self, fleet, pulse):
        """What the tenant writes while a party is dead; its pulse from then on."""
        return pulse

    def check(self, fleet, observer, operation, attempt):
        """Sentences of what is wrong after a success."""
        return []


class Provision(Kind):
    needs = ABSENT
    uses_repository = False

    def words(self, fleet):
        return fleet.provision_words(SUBJECT, 1, HOST)


class Remove(Kind):
    leaves = ABSENT

    def words(self, fleet):
        return ["remove", SUBJECT, "--yes"]

    def check(self, fleet, observer, operation, attempt):
        return pulse_is_in(observer, operation_id(operation), attempt.pulses)


class Run(Kind):
    """start, stop, restart."""

    uses_repository = False

    def __init__(self, word, needs, leaves):
        self.word, self.needs, self.leaves = word, needs, leaves

    def may_be_done(self, operation):
        return True

    def words(self, fleet):
        return [self.word, SUBJECT]


class Set(Kind):
    """Between two sizes, so that each case changes something."""

    uses_repository = False

    def words(self, fleet):
        small = fleet.ask("tenant", "show", SUBJECT)["memory_limit_mib"] == 64
        limit, reservation = ("96", "24") if small else ("64", "16")
        return ["tenant", "set", SUBJECT, "--memory-limit", limit, "--memory-reservation", reservation]


class SetFailover(Kind):
    """Between the two policies, so that each case changes something."""

    uses_repository = False

    def words(self, fleet):
        stays = fleet.ask("tenant", "show", SUBJECT)["failover_policy"] == "stay"
        return ["tenant", "set", SUBJECT, "--failover", "failover" if stays else "stay"]


class Reconfigure(Kind):
    """Between two bots, so that each case changes something."""

    uses_repository = False
    seconds, patience_s = 6, 120

    def words(self, fleet):
        files = [
            fleet.secret_file(f"{SUBJECT}.bot-{number}", f"77709{number:04d}:{os.urandom(16).hex()}") for number in (1, 2)
        ]
        with open(files[0], encoding="utf-8") as first:
            has_first = first.read().strip() in (fleet.project(HOST) / ".env").read_text()
        return ["tenant", "set", SUBJECT, "--telegram-token-file", files[1 if has_first else 0], "--soak", "1s"]


class Backup(Kind):
    def words(self, fleet):
        return ["backup", SUBJECT]

    def meanwhile(self, fleet, pulse):
        # As long as before: a size must not be taken for the content.
        changed = pulse.swapcase()
        write_pulse(fleet, changed)
        return changed

    def check(self, fleet, observer, operation, attempt):
        backup = operation_id(operation)
        code, _, error = fleet.try_cli("backup", "verify", backup)
        said = [line for line in error.splitlines() if line.startswith("error: ")]
        wrong = [] if code == 0 else [f"the backup {backup} does not verify: {' '.join(said)}"]
        return wrong + pulse_is_in(observer, backup, attempt.pulses)


class OfNewestBackup(Kind):
    """verify and drill."""

    def __init__(self, word, field):
        self.word, self.field = word, field
        self.backup = None

    def prepare(self, fleet):
        if not fleet.backups(SUBJECT):
            fleet.cli("backup", SUBJECT)
        self.backup = fleet.backups(SUBJECT)[0]["id"]

    def words(self, fleet):
        return ["backup", self.word, self.backup]

    def check(self, fleet, observer, operation, attempt):
        begun = attempt.begun_text()
        at = fleet.ask("backup", "show", self.backup)[self.field] or ""
        return [] if at[:19] >= begun[:19] else [f"{self.field} of the backup is {at or 'not set'}, before {begun}"]


class Restore(Kind):
    def __init__(self):
        self.backup = None

    def prepare(self, fleet):
        if self.backup not in [backup["id"] for backup in fleet.backups(SUBJECT)]:
            write_pulse(fleet, "as it was backed up")
            fleet.cli("backup", SUBJECT)
            self.backup = fleet.backups(SUBJECT)[0]["id"]

    def words(self, fleet):
        return ["backup", "restore", SUBJECT, "--from", self.backup, "--yes"]

    def may_be_done(self, operation):
        # Called off after the exchange; then it says where the data is that was there before.
        return "is in place and stays; what was there before is kept aside" in (operation["error"] or {}).get("message", "")


class Prune(Kind):
    """Of the oldest backup alone. Only what is older than a day goes, so it is made to look so."""

    def __init__(self):
        self.keep_last = 1

    def prepare(self, fleet):
        while len(fleet.backups(SUBJECT)) < 3:
            fleet.cli("backup", SUBJECT)
        # The newest and the newest that was verified stay whatever their age.
        known = fleet.backups(SUBJECT)
        verified = next((backup["id"] for backup in known if backup["verified_at"]), None)
        oldest = [backup for backup in known[1:] if backup["id"] != verified][-1]
        fleet.with_stopped_controller(lambda: age_backup(fleet.folder / "controller/state.db", oldest["id"], 2 * DAY_S))
        for self.keep_last in range(len(known) - 1, 0, -1):
            if len(fleet.ask(*self.words(fleet), "--dry-run")["removed"]) == 1:
                return
        raise AssertionError("no backup can be pruned")

    def words(self, fleet):
        return ["backup", "prune", SUBJECT, "--keep-last", str(self.keep_last), "--keep-days", "1", "--yes"]


class CheckRepository(Kind):
    def prepare(self, fleet):
        if not fleet.backups(SUBJECT):
            fleet.cli("backup", SUBJECT)

    def words(self, fleet):
        return ["repository", "check", fleet.ask("repository", "list")["repositories"][0]["name"]]


class Update(Kind):
    """To the other one of two images, as a rollout over one tenant."""

    seconds, patience_s = 8, 180
    traced = ("update", "rollout")

    def prepare(self, fleet):
        # An update pins its tenant for good, also one that is taken back (docs/decisions/0010-updates.md), so it begins pinned.
        subject = next(tenant for tenant in fleet.ask("status")["tenants"] if tenant["name"] == SUBJECT)
        if subject["pinned_image"] is None:
            fleet.cli(*self.words(fleet))

    def call_off(self, fleet, operations):
        return fleet.try_cli("rollout", "abort", operation_id(operations[0]))[0]

    def words(self, fleet):
        running = fleet.engines[HOST].get(f"/containers/mtp-{SUBJECT}/json")["Image"]
        first = fleet.engines[HOST].get(f"/images/{fleet.images[0]}/json")["Id"]
        image = fleet.images[1 if running == first else 0]
        return ["update", SUBJECT, "--image", image, "--no-pull", "--yes", "--soak", "1s", "--idle-wait", "1s"]


def pulse_is_in(observer, backup, pulses):
    try:
        found = observer.pulse_in(backup)
    except subprocess.CalledProcessError as error:
        return [f"restic does not find the backup {backup}: {error.stderr.strip()[-200:]}"]
    return [] if found in pulses else [f"the backup {backup} holds {found!r}, not {pulses!r}"]


KINDS = {
    "provision": Provision(),
    "remove": Remove(),
    "start": Run("start", STOPPED, RUNNING),
    "stop": Run("stop", RUNNING, STOPPED),
    "restart": Run("restart", RUNNING, RUNNING),
    "set": Set(),
    "set-failover": SetFailover(),
    "reconfigure": Reconfigure(),
    "backup": Backup(),
    "verify-backup": OfNewestBackup("verify", "verified_at"),
    "drill": OfNewestBackup("drill", "proven_at"),
    "restore": Restore(),
    "prune": Prune(),
    "check-repository": CheckRepository(),
    "update": Update(),
    "rollout": Update(),
}
