"""A plain HTTP proxy on loopback, such as stands in front of many controllers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

from tests.check.simulated import ESSENTIAL_HEADERS


@contextmanager
def plain_proxy(target: str, on_request: Callable[[str, str], None] = lambda method, path: None) -> Iterator[str]:
    """Run a proxy that forwards method, path, body, status and the essential headers; yield its URL.

    ``on_request`` is called with method and path of each request.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def forward(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            on_request(self.command, self.path)
            response = client.request(self.command, target + self.path, content=content)
            self.send_response_only(response.status_code)
            for name, value in response.headers.items():
                if name.lower() in ESSENTIAL_HEADERS:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.content)

        do_GET = do_POST = do_PUT = do_DELETE = forward

        def log_message(self, *_: object) -> None:
            pass

    with httpx.Client() as client, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
