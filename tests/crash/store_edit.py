"""Changes of the controller's store behind its back, while it does not run: for a start state that takes days by
itself, and for planted defects. The layout is that of common/kv/sqlite_store.cc, the records' that of
proto/mtp/state/v1/state.proto."""

import hashlib
import re
import sqlite3
import subprocess

from fleet import REPOSITORY


def _protoc(way, message, content):
    command = ["protoc", f"--{way}={message}", "-I", str(REPOSITORY / "proto"), "mtp/state/v1/state.proto"]
    return subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout


def _put(database, key, value):
    revision = database.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()[0] + 1
    whole = b"%d:%s%d:%s" % (len(key), key, revision, value)
    digest = hashlib.sha256(whole).digest()[:8]
    database.execute("REPLACE INTO kv VALUES(?, ?, ?, ?)", (key, value, revision, digest))
    database.execute("UPDATE meta SET value = ? WHERE name = 'revision'", (revision,))


def put_record(path, key, message, text):
    """Puts a record, given in protobuf's text format."""
    with sqlite3.connect(path) as database:
        _put(database, key.encode(), _protoc("encode", message, text.encode()))
    database.close()


def age_backup(path, backup, seconds):
    """Lets a backup of the catalogue have begun so much earlier."""
    key = f"/backups/{backup}".encode()
    with sqlite3.connect(path) as database:
        value = database.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()[0]
        text = _protoc("decode", "mtp.state.v1.BackupRecord", value).decode()
        began = re.search(r"(?m)^  start_time \{\n\s+seconds: (\d+)", text)
        aged = text[: began.start(1)] + str(int(began[1]) - seconds) + text[began.end(1) :]
        _put(database, key, _protoc("encode", "mtp.state.v1.BackupRecord", aged.encode()))
    database.close()
