#!/usr/bin/env python3
"""Speaks OpenClaw's WebSocket RPC, for the contract test: standard library only.

  gateway_client.py HOST PORT < {"token": T, "calls": [[method, params], …]}

Prints JSON: {"challenge", "connect", "answers": [frame, …], "close": [code, reason] or null}. To be
run inside a container's network namespace (nsenter --net), where the caller is a loopback one.
"""

import base64
import json
import os
import socket
import struct
import sys

SCOPES = ["operator.read", "operator.write", "operator.admin"]


class WebSocket:
    def __init__(self, host, port):
        self._socket = socket.create_connection((host, port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self._bytes = b""
        while b"\r\n\r\n" not in self._bytes:
            self._receive()
        head, self._bytes = self._bytes.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.decode("latin-1"))
        self.close = None

    def _receive(self):
        data = self._socket.recv(65536)
        if not data:
            raise EOFError("the gateway closed the connection")
        self._bytes += data

    def _take(self, count):
        while len(self._bytes) < count:
            self._receive()
        taken, self._bytes = self._bytes[:count], self._bytes[count:]
        return taken

    def receive(self):
        """The next frame's JSON, or None after a close."""
        while True:
            first, second = self._take(2)
            size = second & 127
            if size == 126:
                size = struct.unpack(">H", self._take(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self._take(8))[0]
            data = self._take(size)
            if first & 15 == 8:
                self.close = [struct.unpack(">H", data[:2])[0], data[2:].decode()] if data else [1005, ""]
                return None
            if first & 15 == 1:
                return json.loads(data)

    def send(self, value):
        data = json.dumps(value).encode()
        size = bytes([128 | len(data)]) if len(data) < 126 else bytes([254]) + struct.pack(">H", len(data))
        mask = os.urandom(4)
        self._socket.sendall(b"\x81" + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def call(self, number, method, params):
        self.send({"type": "req", "id": str(number), "method": method, "params": params})
        while (frame := self.receive()) is not None:
            if frame.get("type") == "res" and frame.get("id") == str(number):
                return frame
        return None


def main():
    wanted = json.load(sys.stdin)
    stream = WebSocket(sys.argv[1], int(sys.argv[2]))
    result = {"challenge": stream.receive(), "answers": []}
    result["connect"] = stream.call(1, "connect", {
        "minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": SCOPES, "caps": [],
        "client": {"id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend"},
        "auth": {"token": wanted["token"]}})
    if result["connect"] and result["connect"]["ok"]:
        for number, (method, params) in enumerate(wanted.get("calls", []), start=2):
            result["answers"].append(stream.call(number, method, params))
    else:
        stream.receive()
    result["close"] = stream.close
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
