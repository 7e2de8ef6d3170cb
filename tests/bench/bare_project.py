"""The baseline: the folder that an operator would keep by hand, without MTP.

It is a copy of the agent's project folder, file for file, and the same Compose project: one `.env`, one `docker-compose.yml`
(the admin instance), one `docker-compose.override.yml` with every tenant, whose containers run. Its last tenant is another: the
twin of one that MTP just started, with the same settings, and a name, port, subnet and bot of its own.
"""

import ipaddress
import os
import pathlib
import re
import shutil
import subprocess
import time

# How names of MTP's tenants begin, and those of their twins: of equal length, so that the files are.
OURS, TWIN = "bench-", "twins-"
PROJECT = "mtp"
# Beyond those of any tenant of MTP.
TWIN_PORT = 28801
TWIN_SUBNETS = ipaddress.ip_network("10.215.0.0/16")
CONTAINER_UID = 1000
OVERRIDE = "docker-compose.override.yml"


def twin_of(tenant):
    return tenant.replace(OURS, TWIN, 1)


def subnet_of(number):
    first = TWIN_SUBNETS.network_address + 8 * (number + 1)
    return f"{first}/29"


def prefix_of(tenant):
    return tenant.replace("-", "_").upper() + "_"


def twin_variables(text, tenant, number=0):
    """`.env` with the twin's variables in the place of the tenant's. Twins that run at once have different numbers."""
    text = re.sub(rf"^# {tenant}$", f"# {twin_of(tenant)}", text, flags=re.M)
    text = text.replace(prefix_of(tenant), prefix_of(twin_of(tenant)))
    text = re.sub(rf'^({prefix_of(twin_of(tenant))}PORT=")\d+', rf"\g<1>{TWIN_PORT + number}", text, flags=re.M)
    return re.sub(rf'^({prefix_of(twin_of(tenant))}TELEGRAM_TOKEN=")1', r"\g<1>2", text, flags=re.M)


def twin_services(text, tenant, number=0):
    """The tenants' Compose file with the twin's service and network in the place of the tenant's."""
    text = re.sub(rf'(\n  "{tenant}":\n    driver: bridge\n    ipam: .*subnet: )[0-9./]+', rf"\g<1>{subnet_of(number)}", text)
    # The agent watches what carries its label; this is none of its own.
    text = text.replace(f'mtp.tenant: "{tenant}"', f'own.tenant: "{tenant}"')
    return text.replace(prefix_of(tenant), prefix_of(twin_of(tenant))).replace(tenant, twin_of(tenant))


class BareProject:
    def __init__(self, original, folder, docker_host):
        self._original = pathlib.Path(original)
        self._folder = pathlib.Path(folder)
        self._environment = {**os.environ, "DOCKER_HOST": docker_host}
        self._folder.mkdir(parents=True)

    def copy(self, *tenants):
        """Takes over the files as they are now, with the tenants' twins in their place."""
        for name, change in ((".env", twin_variables), ("docker-compose.yml", None), (OVERRIDE, twin_services)):
            text = (self._original / name).read_text()
            for number, tenant in enumerate(tenants if change else ()):
                text = change(text, tenant, number)
            target = self._folder / name
            target.touch(mode=0o600)
            target.write_text(text)
        for tenant in tenants:
            self._make_data(tenant)

    def _make_data(self, tenant):
        data = self._folder / "data" / twin_of(tenant)
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

    def set_image(self, image):
        """Whoever is started from now on has it."""
        override = self._folder / OVERRIDE
        override.write_text(re.sub(r'^( +image: )"[^"]*"', rf'\g<1>"{image}"', override.read_text(), flags=re.M))

    def stop_and_start(self, tenant):
        self._docker("compose", "stop", twin_of(tenant))
        self.up_one(tenant)

    def remove_one(self, tenant):
        self._docker("compose", "rm", "--stop", "--force", twin_of(tenant))
        self._docker("network", "rm", f"{PROJECT}_{twin_of(tenant)}")
