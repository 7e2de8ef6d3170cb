"""Session files in the form in which OpenClaw writes them, one JSON document a line. The same seed gives the same bytes.

What the lines say is made so that gzip takes the time and the bytes that it took for the set which the targets were written
for (157 MB, 15.1 s, 58 MB): chat text of a thousand different words, evenly used, and now and then something encoded.
"""

import base64
import json
import os
import pathlib
import random

SESSIONS = pathlib.Path(".openclaw/agents/main/sessions")
FILES = 300
CONTAINER_UID = 1000
WORDS = [f"w{number}" for number in range(1000)]
WORDS_A_LINE = (20, 180)
ENCODED_EVERY, ENCODED_BYTES = 18, 600


class Sessions:
    def __init__(self, seed):
        self._source = random.Random(seed)
        self._lines = 0

    def _id(self):
        return f"{self._source.getrandbits(32):08x}"

    def _content(self):
        if self._lines % ENCODED_EVERY == 0:
            return "toolResult", base64.b64encode(self._source.randbytes(ENCODED_BYTES)).decode()
        words = self._source.choices(WORDS, k=self._source.randint(*WORDS_A_LINE))
        return ("user", "assistant")[self._lines % 2], " ".join(words)

    def _line(self):
        self._lines += 1
        role, text = self._content()
        at = 1_790_000_000_000 + self._lines * 1_713
        return json.dumps({"type": "message", "id": self._id(), "parentId": self._id(), "timestamp": at,
                           "message": {"role": role, "content": [{"type": "text", "text": text}]}}).encode() + b"\n"

    def lines(self, count):
        """At least so many bytes of whole lines."""
        parts, size = [], 0
        while size < count:
            parts.append(self._line())
            size += len(parts[-1])
        return b"".join(parts)


def write_sessions(folder, seed, megabytes):
    """Makes `folder` a tenant's data with session files of so many MB, owned as in a container."""
    sessions, target = Sessions(seed), pathlib.Path(folder) / SESSIONS
    target.mkdir(parents=True)
    for number in range(FILES):
        (target / f"session-{number:04d}.jsonl").write_bytes(sessions.lines(megabytes * 1_000_000 // FILES))
    for path in (pathlib.Path(folder), *pathlib.Path(folder).rglob("*")):
        os.chown(path, CONTAINER_UID, CONTAINER_UID)


def added_lines(seed, megabytes):
    """What further conversations write: {name of the file: lines that are appended}, 1 % of the set in ten files."""
    sessions, names = Sessions(seed), [f"session-{number:04d}.jsonl" for number in range(0, FILES, FILES // 10)]
    return {name: sessions.lines(megabytes * 10_000 // len(names)) for name in names}


def append(folder, added):
    for name, lines in added.items():
        with open(pathlib.Path(folder) / SESSIONS / name, "ab") as file:
            file.write(lines)
