"""What a process has and uses, in the kernel's words."""

import dataclasses
import os
import pathlib
import re
import statistics
import sys
import threading

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from usage import Usage, usage_of  # noqa: E402

MIB = 1 << 20


@dataclasses.dataclass
class Sample(Usage):
    phase: str
    threads: int
    descriptors: int
    written: int
    database: int
    log: int


def _number(text, name):
    return int(re.search(rf"(?m)^{name}:\s*(\d+)", text)[1])


def _size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Watched:
    """Looks at a process, and the store that it keeps, every second until `end`."""

    def __init__(self, pid, store):
        self.pid = pid
        self._store = store
        self.samples = []
        self.phase = "start"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def look(self):
        process = pathlib.Path(f"/proc/{self.pid}")
        status = (process / "status").read_text()
        return Sample(
            **vars(usage_of(self.pid)),
            phase=self.phase,
            threads=_number(status, "Threads"),
            descriptors=len(os.listdir(process / "fd")),
            written=_number((process / "io").read_text(), "write_bytes"),
            database=_size(self._store),
            log=_size(self._store.with_name(self._store.name + "-wal")),
        )

    def of(self, phase):
        return [sample for sample in self.samples if sample.phase == phase]

    def end(self):
        self._ending.set()
        self._thread.join()

    def _run(self):
        while not self._ending.wait(1):
            try:
                self.samples.append(self.look())
            except (FileNotFoundError, ProcessLookupError, TypeError):
                return  # it has ended


def median_rss(samples):
    return statistics.median(sample.rss for sample in samples) if samples else 0
