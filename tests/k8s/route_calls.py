"""Sends calls through KServe's own router, in a network of its own, and counts where each one went.

    unshare --user --map-root-user --net python tests/k8s/route_calls.py ROUTER CALLS < GRAPH

The router listens on port 8080 of every address; here these are the loopback of a network namespace that nobody else
is in. The graph is what KServe's controller gave the router's Deployment, with names of services in the cluster; the
router reaches them through a proxy (``HTTP_PROXY``), which is this process: it sees the whole address, and answers.
"""

import fcntl
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def loopback_up() -> None:
    """What ``ip link set lo up`` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        asked = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(handle, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


class Services(BaseHTTPRequestHandler):
    """All services of the cluster: says which one was called, with which keys, and what it was sent."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one write per answer: two small ones wait 40 ms for each other
    called: ClassVar[Counter[str]] = Counter()
    lock: ClassVar = threading.Lock()

    def do_POST(self) -> None:
        """Answer a call."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.called[self.path] += 1
        answer = json.dumps({"service": self.path, "key": self.headers.get("X-Api-Key"), "got": json.loads(body)})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> int:
    """Print what was called how often, and one answer."""
    router, calls = sys.argv[1], int(sys.argv[2])
    loopback_up()
    services = ThreadingHTTPServer(("127.0.0.1", 0), Services)
    threading.Thread(target=services.serve_forever, daemon=True).start()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "HTTP_PROXY": f"http://127.0.0.1:{services.server_port}",
        "PROPAGATE_HEADERS": os.environ.get("PROPAGATE_HEADERS", ""),
    }
    process = subprocess.Popen([router, "--graph-json", sys.stdin.read()], env=environ, stderr=subprocess.DEVNULL)
    answer: object = None
    try:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", 8080), 1).close()
                break
            except OSError:
                if time.monotonic() > end or process.poll() is not None:
                    print("the router does not answer", file=sys.stderr)
                    return 1
                time.sleep(0.05)
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=10)
        for number in range(calls):
            headers = {"Content-Type": "application/json", "X-Api-Key": "tm_key"}
            connection.request("POST", "/", json.dumps({"user": str(number)}), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != 200:
                print(f"call {number} was answered {response.status}", file=sys.stderr)
                return 1
    finally:
        process.kill()  # on SIGTERM it would go on for 30 s
        process.wait()
    print(json.dumps({"called": Services.called, "answer": answer}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
