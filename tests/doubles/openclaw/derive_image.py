#!/usr/bin/env python3
"""Derives images from an image archive: the same layers with other settings.

  derive_image.py --base IMAGE.tar --tag REF --out FILE.tar [--env K=V]... [--cmd WORD]...

FILE holds the settings alone, a few kilobytes. `docker load` takes it where the base image is loaded
already: it finds the layers there. The same input gives the same bytes, and so the same image id on
every host.
"""

import argparse
import hashlib
import io
import json
import os
import tarfile


def read_base(path):
    """The settings of the archive's image, and the names of its layers."""
    with tarfile.open(path) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        return json.load(archive.extractfile(manifest["Config"])), manifest["Layers"]


def derive(settings, env, cmd):
    run = settings["config"]
    names = {entry.split("=", 1)[0] for entry in env}
    run["Env"] = [old for old in run.get("Env") or [] if old.split("=", 1)[0] not in names] + env
    if cmd:
        run["Cmd"] = cmd
    return json.dumps(settings, sort_keys=True).encode()


def write(path, tag, settings, layers):
    config = hashlib.sha256(settings).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config, "RepoTags": [tag], "Layers": layers}]).encode()
    temporary = f"{path}.new.{os.getpid()}"
    with tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in (("manifest.json", manifest), (config, settings)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", required=True)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--cmd", action="append", default=[])
    options = parser.parse_args()
    settings, layers = read_base(options.base)
    write(options.out, options.tag, derive(settings, options.env, options.cmd), layers)


if __name__ == "__main__":
    main()
