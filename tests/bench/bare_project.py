"""The baseline: the folder that an operator would keep by hand, without MTP.

It is a copy of the agent's project folder, file for file: one `.env`, one `docker-compose.yml` (the admin instance), one
`docker-compose.override.yml` with every tenant. Only what two projects on one engine cannot share is another: project and
container names, ports, subnets, bots. So each tenant of MTP has a twin here, with the same settings.
"""

import os
import pathlib
import re
import shutil
import subprocess
import time

# Names of MTP's tenants begin with the first, those of their twins with the second: of equal length, so that the files are.
OURS, TWIN = "bench-", "twins-"
PROJECT = "twins"
PORT_OFFSET = 10_000
CONTAINER_UID = 1000
FILES = (".env", "docker-compose.yml", "docker-compose.override.yml")


def twin_of(tenant):
    return tenant.replace(OURS, TWIN, 1)


def twin_text(text):
    """A rendered file with everything renamed that two projects cannot share."""
    text = text.replace(OURS, TWIN).replace(OURS.upper().replace("-", "_"), TWIN.upper().replace("-", "_"))
    text = text.replace("name: mtp\n", f"name: {PROJECT}\n").replace("container_name: mtp-admin", "container_name: twins-admin")
    # The agent watches containers that carry its label; these are none of its own.
    text = text.replace("mtp.tenant", "twins.tenant").replace("mtp.admin", "twins.admin")
    text = re.sub(r"(subnet: 10\.)214\.", r"\g<1>215.", text)
    text = re.sub(r'(_PORT=")(\d+)"', lambda found: f'{found[1]}{int(found[2]) + PORT_OFFSET}"', text)
    return re.sub(r'(_TELEGRAM_TOKEN=")1', r"\g<1>2", text)


class BareProject:
    def __init__(self, original, folder, docker_host):
        self._original = pathlib.Path(original)
        self._folder = pathlib.Path(folder)
        self._environment = {**os.environ, "DOCKER_HOST": docker_host}
        self._folder.mkdir(parents=True)

    def copy(self, tenants):
        """Takes over the files as they are now, and makes the data folders of those twins that have none yet."""
        for name in FILES:
            target = self._folder / name
            target.touch(mode=0o600)
            target.write_text(twin_text((self._original / name).read_text()))
        for tenant in tenants:
            self._make_data(tenant)

    def _make_data(self, tenant):
        data = self._folder / "data" / twin_of(tenant)
        if data.exists():
            return
        for part in (".openclaw", "workspace"):
            (data / part).mkdir(parents=True)
        config = data / ".openclaw" / "openclaw.json"
        shutil.copyfile(self._original / "data" / tenant / ".openclaw" / "openclaw.json", config)
        for path in (data, data / ".openclaw", data / "workspace", config):
            os.chown(path, CONTAINER_UID, CONTAINER_UID)

    def _docker(self, *words):
        done = subprocess.run(["docker", *words], cwd=self._folder, env=self._environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(words[:3])}: {done.stderr.strip()[-500:]}")

    def up_one(self, tenant):
        """What is compared: prints nothing, returns when it was called and when it returned, in seconds since the epoch."""
        called = time.time()
        self._docker("compose", "up", "-d", "--no-deps", twin_of(tenant))
        return called, time.time()

    def up_many(self, tenants):
        if tenants:
            self._docker("compose", "up", "-d", "--no-deps", *[twin_of(tenant) for tenant in tenants])

    def remove_one(self, tenant):
        self._docker("compose", "rm", "--stop", "--force", twin_of(tenant))
        self._docker("network", "rm", f"{PROJECT}_{twin_of(tenant)}")
