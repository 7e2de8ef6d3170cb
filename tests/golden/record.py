#!/usr/bin/env python3
"""Records what one build speaks and keeps, for the tests of later ones (README.md here):

    tests/golden/record.py --binaries FOLDER --commit COMMIT --name NAME

FOLDER has that build's mtp-controller and mtp-cli, COMMIT is what it was made of. The controller runs for some seconds
on loopback, with a data folder of its own under /tmp; hosts that nobody answers for are put into its state, so that
operations of it begin and stay where they wait for a host. No agent and no engine is started.
"""

import argparse
import ctypes
import ctypes.util
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
# All that is sealed in what is recorded opens with it: it says itself that it keeps no secret.
KEY = b"golden-tests-only--not-a-secret-"
FLEET = "golden-tests-only"
IMAGE = "openclaw@sha256:" + "1" * 64
NEW_IMAGE = "openclaw@sha256:" + "2" * 64
LONG_AGO = "seconds: 1767323045"
# What an operator can begin while no host is there has a tenant each.
TENANTS = ["start", "stop", "restart", "cancelled", "set", "remove", "backup", "verify-backup", "drill", "restore", "prune",
           "update", "provision"]
# These need a host that answers and are put into the state as that build's code would make them.
PUT = {
    "provision": ["reserve", "start-container", "activate"],
    "prune": ["forget"],
    "update": ["pull", "backup", "rehearse", "stop", "final-backup", "start-container", "soak", "record"],
}


def ulid(number):
    return f"01J{number:023d}"


def seal(plain, context):
    """As common/base/secret_box.h."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    assert sodium.sodium_init() >= 0
    nonce = os.urandom(24)
    sealed = ctypes.create_string_buffer(len(plain) + 16)
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        sealed, None, plain, ctypes.c_ulonglong(len(plain)), context, ctypes.c_ulonglong(len(context)), None, nonce, KEY)
    return nonce + sealed.raw


def escaped(content):
    return "".join(f"\\{byte:03o}" for byte in content)


class Protos:
    """The protos of the recorded commit."""

    def __init__(self, commit, folder):
        archive = subprocess.run(["git", "-C", REPOSITORY, "archive", commit, "proto"], stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        self.root = pathlib.Path(folder) / "proto"

    def describe(self, path):
        files = sorted(str(file.relative_to(self.root)) for file in self.root.rglob("*.proto"))
        subprocess.run(["protoc", "-I", self.root, "--include_imports", f"--descriptor_set_out={path}", *files], check=True)

    def encode(self, message, text):
        file = "mtp/state/v1/state.proto"
        return subprocess.run(["protoc", f"--encode={message}", "-I", self.root, file], input=text.encode(),
                              stdout=subprocess.PIPE, check=True).stdout

    def state(self, message, text):
        return self.encode("mtp.state.v1." + message, text)


def put(database, key, value):
    """The layout of common/kv/sqlite_store.cc."""
    key = key.encode()
    revision = database.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()[0] + 1
    digest = hashlib.sha256(b"%d:%s%d:%s" % (len(key), key, revision, value)).digest()[:8]
    database.execute("REPLACE INTO kv VALUES(?, ?, ?, ?)", (key, value, revision, digest))
    database.execute("UPDATE meta SET value = ? WHERE name = 'revision'", (revision,))


def spec(number):
    return (f'memory_reservation_mib: 64 memory_limit_mib: 128 image: "{IMAGE}" labels {{ key: "number" value: "{number}" }}'
            f' telegram_api_root: "http://127.0.0.1:1" run_policy: RUN_POLICY_RUN')


def tenant_secrets(protos, number):
    return protos.encode("mtp.v1.TenantSecrets", f'telegram_token: "71000{number:04d}:not-a-secret-of-golden-tests" '
                         f'anthropic_key: "not-a-secret-{number}" gateway_token: "{number:064x}"')


def backup(tenant, number, host="h1"):
    return (f'name: "backups/{ulid(number)}" tenant: "{tenant}" host: "{host}" repository: "local" start_time {{ {LONG_AGO} }} '
            f'duration {{ seconds: 4 }} bytes_scanned: 4096 files: 3 databases: 1 image_digest: "sha256:{"1" * 64}" '
            f'spec {{ {spec(number)} }} reason: "manual" manifest_sha256: "{"a" * 64}" snapshot: "{"b" * 64}"')


def add_fleet(database, protos):
    """Hosts, tenants and backups, with all that belongs to them."""
    shares = {"h1": "", "h2": ""}
    for number, name in enumerate(TENANTS, 1):
        host = "h1" if number % 2 else "h2"
        port = 18800 + number
        shares[host] += f'allocations {{ tenant: "{name}" memory_mib: 64 port: {port} }} '
        put(database, f"/tenants/{name}", protos.state("TenantRecord", (
            f'name: "{name}" spec {{ {spec(number)} }} resolved {{ {spec(number)} }} host: "{host}" epoch: {number} port: {port} '
            f'bot_fingerprint: "{number:064x}" env_prefix: "{name.upper().replace("-", "_")}" create_time {{ {LONG_AGO} }} '
            f'provisioned: {"false" if name == "provision" else "true"} last_backup_time {{ {LONG_AGO} }}')))
        put(database, f"/bots/{number:064x}", protos.state("ClaimRecord", f'tenant: "{name}"'))
        put(database, f"/env-prefixes/{name.upper().replace('-', '_')}", protos.state("ClaimRecord", f'tenant: "{name}"'))
        put(database, f"/epochs/{name}", protos.state("EpochRecord", f"epoch: {number}"))
        plain = tenant_secrets(protos, number)
        for key, record in ((f"/secrets/{name}", "SecretsRecord"), (f"/backups/{ulid(number)}", "BackupRecord")):
            sealed = escaped(seal(plain, key.encode()))
            text = f'sealed: "{sealed}"'
            if record == "BackupRecord":
                text = f'backup {{ {backup(name, number)} }} sealed_secrets: "{sealed}"'
            put(database, key, protos.state(record, text))
    for host, allocations in shares.items():
        put(database, f"/allocations/{host}", protos.state("AllocationsRecord", allocations))
        put(database, f"/hosts/{host}", protos.state("HostRecord", (
            f'name: "{host}" agent_address: "127.0.0.1:1" create_time {{ {LONG_AGO} }} certificate_serial: "0a" '
            f'allocatable_mib: 16384 memory_total_mib: 20480 labels {{ key: "zone" value: "{host}" }}')))


def facts_of(kind, protos):
    number = TENANTS.index(kind) + 1
    if kind == "provision":
        return {"kept_data": "0"}, b""
    if kind == "prune":
        plan = protos.encode("mtp.v1.PruneBackupsResponse", f"backups {{ {backup(kind, number)} }}")
        return {"epoch": str(number), "pruner local/h1": "h1"}, plan
    return {"repository": "local", "to_image": NEW_IMAGE, "from_image": IMAGE, "spec_image": NEW_IMAGE,
            "online_backup": ulid(901), "final_backup": ulid(902), "rehearse": "true", "soak_s": "60",
            "idle_wait_s": "300"}, b""


def add_operation(database, protos, kind, request):
    """One of whose steps the second is being carried out, or the only one."""
    identity = ulid(800 + list(PUT).index(kind))
    facts, given = facts_of(kind, protos)
    at = min(1, len(PUT[kind]) - 1)
    steps = ""
    for place, step in enumerate(PUT[kind]):
        state = "DONE" if place < at else "RUNNING" if place == at else "PENDING"
        steps += (f'steps {{ name: "{step}" state: STEP_STATE_{state} attempts: {1 if place <= at else 0} '
                  + (f"start_time {{ {LONG_AGO} }} " if place <= at else "") + "} ")
    host = "h1" if (TENANTS.index(kind) + 1) % 2 else "h2"
    put(database, f"/operations/{identity}", protos.state("OperationRecord", (
        f'operation {{ name: "operations/{identity}" kind: "{kind}" target: "tenants/{kind}" host: "{host}" '
        f'state: OPERATION_STATE_RUNNING {steps} message: "recorded" request_id: "{request}" created_by: "operator/admin" '
        f'create_time {{ {LONG_AGO} }} update_time {{ {LONG_AGO} }} }} input: "{escaped(given)}" step: {at} '
        f'locks: "/locks/tenants/{kind}" '
        + " ".join(f'facts {{ key: "{name}" value: "{value}" }}' for name, value in facts.items()))))
    put(database, f"/locks/tenants/{kind}", protos.state("LockRecord", f'operation: "{identity}"'))
    put(database, f"/requests/operator/admin/{request}", protos.state("RequestRecord", (
        f'operation: "{identity}" request_hash: "{escaped(hashlib.sha256(request.encode()).digest())}"')))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Controller:
    """That build's controller; ended by its process id."""

    def __init__(self, binaries, folder):
        self.binaries = binaries
        self.data = folder / "controller"
        self.operator = folder / "operator"
        self.home = folder / "home"
        self.home.mkdir()
        self.port, self.enroll = free_port(), free_port()
        self.process = None

    def init(self):
        self.data.mkdir(mode=0o700)
        (self.data / "master.key").write_bytes(KEY)
        (self.data / "master.key").chmod(0o600)
        subprocess.run([self.binaries / "mtp-controller", "init", "--data-dir", self.data, "--fleet", FLEET,
                        "--listen", f"127.0.0.1:{self.port}", "--enroll-listen", f"127.0.0.1:{self.enroll}",
                        "--default-image", IMAGE, "--min-memory-limit-mib", "64", "--operator-dir", self.operator],
                       check=True, stdout=subprocess.DEVNULL)

    def start(self):
        with open(self.data.parent / "controller.log", "ab") as log:
            self.process = subprocess.Popen([self.binaries / "mtp-controller", "run", "--data-dir", self.data], stdout=log,
                                            stderr=log)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        sys.exit(f"the controller did not start; its log: {self.data.parent}/controller.log")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)

    def cli(self, *words):
        command = [self.binaries / "mtp-cli", "--controller", f"127.0.0.1:{self.port}", "--identity", self.operator, *words]
        done = subprocess.run(command, env={**os.environ, "HOME": str(self.home)}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{words}: exit {done.returncode}: {done.stdout.decode()}")
        return done.stdout.decode()


def begin_operations(controller):
    waits = ["--no-wait"]
    number = TENANTS.index("verify-backup") + 1
    controller.cli("start", "start", *waits)
    controller.cli("stop", "stop", *waits)
    controller.cli("restart", "restart", "--request-id", "remembered", *waits)
    controller.cli("restart", "cancelled", "--request-id", "called-off", *waits)
    controller.cli("tenant", "set", "set", "--memory-limit", "256", "--label", "set=yes", *waits)
    controller.cli("remove", "remove", "--yes", *waits)
    controller.cli("backup", "backup", *waits)
    controller.cli("backup", "verify", ulid(number), *waits)
    controller.cli("backup", "drill", ulid(TENANTS.index("drill") + 1), *waits)
    controller.cli("backup", "restore", "restore", "--from", ulid(TENANTS.index("restore") + 1), "--yes", *waits)
    controller.cli("repository", "check", "local", *waits)
    controller.cli("update", "backup", "--image", NEW_IMAGE, "--yes", *waits)
    controller.cli("authority", "rotate", "--yes")
    time.sleep(2)
    for operation in json.loads(controller.cli("op", "list", "-o", "json"))["operations"]:
        if operation["target"] == "tenants/cancelled":
            controller.cli("op", "cancel", operation["id"] if "id" in operation else operation["name"].split("/")[-1])
    time.sleep(2)


def settings(controller):
    controller.cli("operator", "add", "watcher", "--role", "viewer", "--out", str(controller.home / "watcher"))
    controller.cli("repository", "add", "local", "/srv/golden-tests-only")
    controller.cli("backup", "schedule", "--off")
    controller.cli("host", "token", "h3")
    controller.cli("host", "cordon", "h2")


ACCESS = 'repository { url: "/srv/golden/repository" }'


def reference(action):
    """To the newest backup of the action's tenant, and the repository that has it."""
    return f'{ACCESS} backup {{ backup_id: "{ulid(1)}" fleet: "{FLEET}" tenant: "on-{action}" manifest_sha256: "{"a" * 64}" }}'


ACTIONS = {
    "apply": (f"spec {{ {spec(1)} }} port: 18801", {"container": "mtp-apply", "image_id": "sha256:11"}),
    "start": ("", {}),
    "stop": ("idle_wait { seconds: 30 }", {"stopping": "true"}),
    "restart": ("", {}),
    "backup": ('backup_id: "01J"', {"backup_file": "backup-01J.tar.gz", "backup_sha256": "aa", "backup_bytes": "4096"}),
    "remove": ("keep_data: true", {}),
    "snapshot": (f'{ACCESS} backup_id: "{ulid(1)}" fleet: "{FLEET}"', {"snapshot": "5a5a", "manifest_sha256": "aa"}),
    "verify": (reference("verify"), {}),
    "restore": (reference("restore"), {"previous_data": ".quarantine/restore-1"}),
    "forget": (f'{ACCESS} fleet: "{FLEET}" backup_ids: "{ulid(1)}"', {"removed": "1", "freed_bytes": "4096"}),
    "pull": (f'image: "{IMAGE}"', {"pinned": IMAGE, "image_id": "sha256:11"}),
    "drill": (f"{reference('drill')} spec {{ {spec(1)} }}", {"ready_ms": "1200"}),
    "soak": ("duration { seconds: 60 }", {}),
    "limit": ("memory_limit_mib: 256", {}),
    "check": (ACCESS, {"snapshots": "3"}),
}


def add_journal(database, protos):
    """An agent's: of each action one that runs and one that has ended, each with a tenant of its own."""
    for number, (name, (body, result)) in enumerate(ACTIONS.items(), 1):
        tenant = "" if name == "pull" else f"on-{name}"
        if tenant:
            put(database, f"/tenants/{tenant}", protos.state("AgentTenantRecord", (
                f'name: "{tenant}" epoch: {number} spec {{ {spec(number)} }} port: {18800 + number} subnet_index: {number} '
                f"run_policy: RUN_POLICY_RUN last_backup_time {{ {LONG_AGO} }}"
                + (' parked_reason: "it ended 5 times" last_log_lines: "the last line"' if name == "soak" else ""))))
            put(database, f"/epochs/{tenant}", protos.state("EpochRecord", f"epoch: {number}"))
            key = f"/secrets/{tenant}"
            put(database, key, protos.state("SecretsRecord",
                                            f'sealed: "{escaped(seal(tenant_secrets(protos, number), key.encode()))}"'))
        for state in ("DONE", "RUNNING"):
            key = f"{ulid(number)}/{state.lower()}-{name}"
            ended = f'end_time {{ {LONG_AGO} }} ' if state == "DONE" else ""
            facts = " ".join(f'result {{ key: "{fact}" value: "{value}" }}' for fact, value in result.items())
            put(database, f"/actions/{key}", protos.state("AgentActionRecord", (
                f'action {{ key: "{key}" tenant: "{tenant}" state: ACTION_STATE_{state} message: "recorded" '
                f'start_time {{ {LONG_AGO} }} {ended} {facts if state == "DONE" else ""} }} '
                f'request {{ key: "{key}" tenant: "{tenant}" epoch: {0 if name == "pull" else number} {name} {{ {body} }} }} '
                f'request_hash: "{escaped(hashlib.sha256(key.encode()).digest())}"')))


def keep(path, target):
    """One file without a log beside it."""
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    shutil.copyfile(path, target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--name", required=True, help="folder beside this script")
    options = parser.parse_args()
    # Ended early, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    target = HERE / options.name
    target.mkdir()
    with tempfile.TemporaryDirectory(prefix="mtp-golden.") as scratch:
        folder = pathlib.Path(scratch)
        protos = Protos(options.commit, folder)
        protos.describe(target / "protocol.binpb")
        controller = Controller(options.binaries, folder)
        controller.init()
        # The agent's journal is the same kind of file; nothing of the controller's is in it.
        shutil.copyfile(controller.data / "state.db", folder / "journal.db")
        with sqlite3.connect(folder / "journal.db") as database:
            database.execute("DELETE FROM kv")
            add_journal(database, protos)
        with sqlite3.connect(folder / "journal.db", isolation_level=None) as database:
            database.execute("VACUUM")
        keep(folder / "journal.db", target / "journal.db")
        with sqlite3.connect(controller.data / "state.db") as database:
            add_fleet(database, protos)
        controller.start()
        try:
            settings(controller)
            begin_operations(controller)
        finally:
            controller.stop()
        with sqlite3.connect(controller.data / "state.db") as database:
            for kind in PUT:
                add_operation(database, protos, kind, f"put-{kind}")
        (target / "controller").mkdir()
        keep(controller.data / "state.db", target / "controller" / "state.db")
        for name in ("controller.yaml", "master.key"):
            shutil.copyfile(controller.data / name, target / "controller" / name)
        shutil.copytree(controller.data / "pki", target / "controller" / "pki")
    print(f"recorded in {target}; look at it before it is committed")


if __name__ == "__main__":
    main()
