"""Stand-in of a log store: writes down every body that it is sent, unpacked."""

import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BODIES = Path("/srv/store/bodies")


class Store(BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self):
        """Keep it, then say so."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        with BODIES.open("ab") as file:
            file.write(body + b"\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 3100), Store).serve_forever()
