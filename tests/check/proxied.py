"""A plain proxy on loopback, as it stands in front of many a controller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

from tests.check.simulated import KEPT


@contextmanager
def plain_proxy(target: str, hear: Callable[[str, str], None] = lambda method, path: None) -> Iterator[str]:
    """A proxy that passes on method, path, body, status and two headers; its URL. ``hear`` is told of each request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hear(self.command, self.path)
            got = client.request(self.command, target + self.path, content=sent)
            self.send_response_only(got.status_code)
            for name, value in got.headers.items():
                if name.lower() in KEPT:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(got.content)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    with httpx.Client() as client, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
