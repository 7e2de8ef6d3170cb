"""What there is, looked at from outside: engines, folders, stores, repositories, processes.

A world is a flat dict from `what` to `how`, in words, so that two of them can be compared as a whole
and a difference can be read. Left out or masked is what differs between two runs that are equally
good: ids, times, secrets, records of operations.
"""

import hashlib
import hmac
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import urllib.request

SUBJECT = "subject"  # the tenant that cases are about
# In its workspace; written anew for each case, so that data that is mixed or from elsewhere is seen.
PULSE = "workspace/pulse"
HOMES = (".snapshots", ".restores", ".drills", ".set-aside")
_HEX = re.compile(rb"[0-9a-f]{32,}")
# As agent/backup/exclusions.h: what no backup holds.
_VOLATILE = re.compile(r"^\.openclaw/(cache|tmp|logs)(/|$)|^\.openclaw/.*\.lock$|-wal$|-shm$|-journal$")
_STORE_VALUES = ("/allocations/", "/bots/", "/env-prefixes/")
_STORE_KEYS = ("/locks/", "/tenants/", "/secrets/", "/next-secrets/")
_JOURNAL_KEYS = ("/tenants/", "/secrets/", "/action-secrets/", "/action-repositories/")
_RUNNING = 1  # ACTION_STATE_RUNNING


def _short(content):
    return hashlib.sha256(_HEX.sub(b"<hex>", content)).hexdigest()[:16]


def _rows(path):
    """Keys and values of one of our stores, which is in use."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return [(key.decode(), value) for key, value in database.execute("SELECT key, value FROM kv")]
    finally:
        database.close()


def _fields(message):
    """Numbers and values of the fields of a serialized message: varints and what has a length."""

    def varint(at):
        value = shift = 0
        while True:
            value |= (message[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not message[at - 1] & 0x80:
                return value, at

    at = 0
    while at < len(message):
        tag, at = varint(at)
        value, at = varint(at)
        if tag & 7 == 2:
            value, at = message[at : at + value], at + value
        yield tag >> 3, value


def _database_content(path):
    """Of a tenant's database, by a copy: looking at it must not change its folder."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy"
        for end in ("", "-wal"):
            if os.path.exists(f"{path}{end}"):
                shutil.copyfile(f"{path}{end}", f"{copy}{end}")
        database = sqlite3.connect(copy)
        try:
            version = database.execute("PRAGMA user_version").fetchone()
            return _short(("\n".join(database.iterdump()) + str(version)).encode())
        finally:
            database.close()


class Observer:
    """Looks at a fleet. One that stands still looks the same each time."""

    def __init__(self, fleet):
        self._fleet = fleet
        kit = fleet.ask("recovery-kit")["repositories"][0]
        self._url, self._root_key = kit["url"], kit["root_key"]

    def look(self, pulse):
        """The world; `pulse` is what was last written as the pulse."""
        world = {}
        for host, engine in self._fleet.engines.items():
            self._engine(world, host, engine)
            self._project(world, host, pulse)
            self._journal(world, host)
        self._store(world)
        self._bots(world)
        self._processes(world)
        return world

    # --- Engines

    def _engine(self, world, host, engine):
        for one in engine.containers():
            name = one["Name"].lstrip("/")
            facts = {
                "state": one["State"]["Status"],
                "image": one["Image"],
                "memory": one["HostConfig"]["Memory"],
                "mounts": sorted(f"{m.get('Source')}:{m['Destination']}:{m['RW']}" for m in one["Mounts"]),
                "ports": one["HostConfig"]["PortBindings"],
                "networks": sorted(one["NetworkSettings"]["Networks"]),
                "restart": one["HostConfig"]["RestartPolicy"]["Name"],
                "environment": _short("\n".join(sorted(one["Config"]["Env"] or [])).encode()),
            }
            if name != f"mtp-{SUBJECT}":  # a bystander is not even started again
                facts["life"] = f"{one['Id']} {one['State']['StartedAt']}"
            world[f"{host} container {name}"] = ""
            world.update({f"{host} container {name} {what}": json.dumps(how) for what, how in facts.items()})
        for network in engine.get("/networks"):
            world[f"{host} network {network['Name']}"] = network["Driver"]
        for volume in engine.get("/volumes")["Volumes"] or []:
            world[f"{host} volume {volume['Name']}"] = volume["Driver"]

    def starts(self, host, since, until):
        """How often the subject's container was started meanwhile."""
        events = self._fleet.engines[host].events(since, until, type="container", event="start")
        return sum(event["Actor"]["Attributes"].get("name") == f"mtp-{SUBJECT}" for event in events)

    # --- Folders

    def _project(self, world, host, pulse):
        project = self._fleet.project(host)
        for folder, folders, files in os.walk(project):
            relative = os.path.relpath(folder, project)
            if relative == ".":
                folders[:] = [name for name in folders if name != "data"]
            for name in files:
                path = pathlib.Path(folder) / name
                world[f"{host} file {os.path.normpath(os.path.join(relative, name))}"] = self._file(path)
        data = project / "data"
        for entry in sorted(os.listdir(data)):
            if entry in HOMES:
                for left in os.listdir(data / entry):
                    world[f"{host} left data/{entry}/{left}"] = ""
            elif entry != ".quarantine":
                world[f"{host} folder data/{entry}"] = ""
        if (data / SUBJECT).exists():
            self._data(world, f"{host} data", data / SUBJECT, pulse)

    @staticmethod
    def _file(path):
        try:
            info = path.lstat()
            content = _short(path.read_bytes()) if path.is_file() and not path.is_symlink() else ""
        except FileNotFoundError:
            return "gone meanwhile"
        return f"{info.st_mode:o} {info.st_uid}:{info.st_gid} {content}"

    def _data(self, world, what, root, pulse):
        for folder, _, files in os.walk(root):
            for path in [pathlib.Path(folder), *(pathlib.Path(folder) / name for name in files)]:
                relative = os.path.relpath(path, root)
                if _VOLATILE.search(relative):
                    continue
                how = self._file(path)
                if relative == PULSE:
                    text = path.read_text()
                    how = "as written for this case" if text == pulse else f"other: {text}"
                elif relative.endswith(".sqlite"):
                    how = _database_content(path)
                world[f"{what} {relative}"] = how

    def quarantined(self, host):
        """How many folders of the subject are kept aside."""
        folder = self._fleet.project(host) / "data/.quarantine"
        return sum(name.startswith(f"{SUBJECT}-") for name in os.listdir(folder)) if folder.exists() else 0

    # --- Stores

    def _store(self, world):
        for key, value in _rows(self._fleet.folder / "controller/state.db"):
            if key.startswith(_STORE_VALUES):
                world[f"store {key}"] = repr(value)
            elif key.startswith(_STORE_KEYS):
                world[f"store {key}"] = ""

    def _journal(self, world, host):
        for key, value in _rows(self._fleet.folder / f"hosts/{host}/agent/journal.sqlite"):
            if key.startswith(_JOURNAL_KEYS):
                world[f"{host} journal {key}"] = ""
            elif key.startswith("/actions/"):
                # AgentActionRecord.action.state (proto/mtp/state/v1/state.proto, proto/mtp/v1/agent.proto).
                state = dict(_fields(dict(_fields(value)).get(1, b""))).get(3)
                if state == _RUNNING:
                    world[f"{host} running action {key}"] = ""

    # --- The Bot API

    def _bots(self, world):
        """Two copies of a tenant would ask for the messages of one bot at the same time."""
        with urllib.request.urlopen(f"{self._fleet.info['telegram_api']}/control/bots", timeout=10) as answer:
            bots = json.load(answer)
        world["pollers of a bot at most"] = str(max((bot["pollers_max"] for bot in bots["bots"]), default=0))

    # --- Repositories

    def repository(self):
        """What is wrong between the catalogue and the subject's repository; empty when nothing is."""
        held = {}
        for snapshot in self._restic("snapshots", "--json"):
            tag = next((t.partition("=")[2] for t in snapshot.get("tags") or [] if t.startswith("backup=")), "?")
            held.setdefault(tag, []).append(snapshot["id"])
        known = {backup["id"] for backup in self._fleet.backups(SUBJECT)}
        wrong = {f"snapshot of no backup {tag}": "" for tag in held if tag not in known}
        wrong.update({f"backup without a snapshot {tag}": "" for tag in known if tag not in held})
        wrong.update({f"backup with {len(ids)} snapshots {tag}": "" for tag, ids in held.items() if len(ids) > 1})
        locks = pathlib.Path(self._url) / SUBJECT / "locks"
        wrong.update({f"lock of the repository {name}": "" for name in (os.listdir(locks) if locks.exists() else [])})
        return wrong

    def pulse_in(self, backup):
        """The pulse in the newest snapshot of a backup, by restic alone."""
        return self._restic("dump", "--tag", f"backup={backup}", "latest", f"/data/{PULSE}", parse=False)

    def _restic(self, *words, parse=True):
        password = hmac.new(bytes.fromhex(self._root_key), f"mtp-repository/{SUBJECT}".encode(), hashlib.sha256)
        repository = pathlib.Path(self._url) / SUBJECT
        if not repository.exists():
            return [] if parse else ""
        done = subprocess.run(
            ["restic", "--no-cache", "--no-lock", "--repo", str(repository), *words],
            env={**os.environ, "RESTIC_PASSWORD": password.hexdigest()}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout) if parse else done.stdout

    # --- Processes

    def _processes(self, world):
        """Helpers that have outlived the program which began them."""
        running = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            folder = pathlib.Path("/proc") / entry
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                whose = " ".join(words) + (folder / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue  # it ended meanwhile
            running[entry] = os.path.basename(words[0]), parent, words, str(self._fleet.folder) in whose
        for name, parent, words, ours in running.values():
            while parent in running and running[parent][0] not in ("mtp-agent", "mtp-controller"):
                parent = running[parent][1]
            if ours and name in ("restic", "docker", "docker-compose", "ssh") and parent not in running:
                world[f"process {' '.join(words[:6])}"] = ""


def differences(expected, found):
    """Sentences, at most a screen full."""
    lines = [f"missing: {what}" for what in sorted(expected.keys() - found.keys())]
    lines += [f"too many: {what}" for what in sorted(found.keys() - expected.keys())]
    for what in sorted(expected.keys() & found.keys()):
        if expected[what] != found[what]:
            lines.append(f"changed: {what}: {expected[what][:400]} is now {found[what][:400]}")
    return lines[:20] + ([f"and {len(lines) - 20} more"] if len(lines) > 20 else [])
