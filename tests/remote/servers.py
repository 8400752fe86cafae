"""Small servers on loopback that are not controllers, or not working ones."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

CERTIFICATE = Path(__file__).parent / "self_signed.pem"
"""A self-signed certificate of localhost and 127.0.0.1, with its key."""
STATUS_ENVELOPE = b'{"status":"OK","message":"","body":{"version":"1.43.0-24e848a5"}}\n'
COMPLETE_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(STATUS_ENVELOPE),
    STATUS_ENVELOPE,
)


@contextmanager
def listening(
    respond: Callable[[socket.socket], None],
    tls: bool = False,
    on_request: Callable[[bytes], None] = lambda content: None,
) -> Iterator[str]:
    """Accept one connection, pass what it sends first to ``on_request``, and let ``respond`` write; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    if tls:
                        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                        context.load_cert_chain(CERTIFICATE)
                        connection = context.wrap_socket(connection, server_side=True)
                    with connection:
                        on_request(connection.recv(65536))
                        respond(connection)
            except OSError:
                pass  # the client closed the connection, which some tests are about

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextmanager
def web_server(status: int, content: bytes, **headers: str) -> Iterator[str]:
    """Run a web server with one response to every GET; yield its URL. Underscores in names stand for hyphens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
