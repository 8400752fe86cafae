"""Program that sends requests with requests, by one session.

Each line of the standard input is a method, a URL, a timeout in seconds and a body, with tabs between them; each line
of the output is a status or an error.
"""

import sys

import requests


def serve() -> None:
    """Send a request for each line of the standard input."""
    with requests.Session() as session:
        for line in sys.stdin:
            method, url, seconds, body = line.rstrip("\n").split("\t")
            try:
                response = session.request(method, url, data=body or None, timeout=float(seconds))
                result = str(response.status_code)
            except requests.RequestException as error:
                result = f"error: {type(error).__name__}"
            print(result, flush=True)


if __name__ == "__main__":
    serve()
