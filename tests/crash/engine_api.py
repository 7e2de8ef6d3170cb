"""The Docker Engine API over its socket, as far as a judge needs it (Engine API 1.41)."""

import http.client
import json
import socket
import urllib.parse


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("engine", timeout=30)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class EngineApi:
    def __init__(self, path):
        self._path = path

    def call(self, method, path, body=None, **query):
        """The answer as text; an error of the engine is a RuntimeError."""
        connection = _Connection(self._path)
        try:
            text = None if body is None else json.dumps(body)
            target = f"/v1.41{path}?{urllib.parse.urlencode(query)}"
            connection.request(method, target, text, {"Content-Type": "application/json"} if text else {})
            answer = connection.getresponse()
            content = answer.read().decode()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]}")
            return content
        finally:
            connection.close()

    def get(self, path, **query):
        return json.loads(self.call("GET", path, **query))

    def containers(self):
        """Every container in full."""
        found = []
        for one in self.get("/containers/json", all="1"):
            try:
                found.append(self.get(f"/containers/{one['Id']}/json"))
            except RuntimeError:
                continue  # gone meanwhile
        return found

    def events(self, since, until, **filters):
        """Events between two times, in seconds since the epoch."""
        filters = json.dumps({name: [value] for name, value in filters.items()})
        lines = self.call("GET", "/events", since=f"{since:.6f}", until=f"{until:.6f}", filters=filters)
        return [json.loads(line) for line in lines.splitlines() if line.strip()]
