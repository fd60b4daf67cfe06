"""A local server that speaks the hub's protocol well enough for huggingface_hub, and serves plain URLs too.

    with hub({"dataset/owner/name": {"commit": "<40 hex>", "files": {"data/x.parquet": b"..."}}}) as server:
        HF_ENDPOINT = server.url

A repository is `model/<owner>/<name>` or `dataset/<owner>/<name>`; its files map a path to bytes or to a file; its card may
state a `licence`.
`server.repos`, `server.plain` (paths below /plain/ -> bytes) and `server.faults` may change while it runs.
faults: path's last part -> 'truncated' (half the body, announced as the whole), 'cut' (the connection ends in
mid-body), or an int (that HTTP status). `server.requests` lists (method, path).

As a program it serves a folder, for a run at paper scale without a network:
    python tests/hub_server.py FOLDER PORT     FOLDER/{model,dataset}/<owner>/<name>/<files>; one commit each
"""

import contextlib
import hashlib
import http.server
import json
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.requests.append((self.command, path))
        if path.startswith("plain/"):
            return self.plain(path.removeprefix("plain/"), body)
        if path.startswith("api/"):
            return self.api(path.removeprefix("api/"), body)
        kind, parts = "model", path.split("/")
        if parts[0] == "datasets":
            kind, parts = "dataset", parts[1:]
        # <owner>/<name>/resolve/<revision>/<file>; a legacy model repository has no owner.
        at = parts.index("resolve") if "resolve" in parts else None
        if at is None or len(parts) < at + 3:
            return self.send(404, b"not found", {}, body)
        repo = self.server.repos.get(f"{kind}/{'/'.join(parts[:at])}")
        revision, file = parts[at + 1], "/".join(parts[at + 2 :])
        if repo is None:
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
        if revision not in ("main", repo["commit"]):
            return self.send(404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
        commit = {"X-Repo-Commit": repo["commit"]}
        if file not in repo["files"]:
            return self.send(404, b"", commit | {"X-Error-Code": "EntryNotFound"}, body)
        content = content_of(repo["files"][file])
        digest = hashlib.sha256(content).hexdigest()
        headers = commit | {
            "ETag": f'"{digest}"',
            "X-Linked-ETag": f'"{digest}"',
            "X-Linked-Size": str(len(content)),
        }
        self.send(200, content, headers, body)

    def api(self, path, body):
        """/api/{models,datasets}/<repository>[/revision/<revision>]: the commit and the files' names."""
        kind, _, rest = path.partition("/")
        name, _, revision = rest.partition("/revision/")
        repo = self.server.repos.get(f"{kind.removesuffix('s')}/{name}")
        if repo is None:
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
        if revision not in ("", "main", repo["commit"]):
            return self.send(404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
        facts = {
            "id": name,
            "sha": repo["commit"],
            "siblings": [{"rfilename": file} for file in repo["files"]],
            "cardData": {"license": repo["licence"]} if "licence" in repo else None,
        }
        self.send(200, json.dumps(facts).encode(), {"Content-Type": "application/json"}, body)

    def plain(self, path, body):
        if path not in self.server.plain:
            return self.send(404, b"not found", {}, body)
        self.send(200, content_of(self.server.plain[path]), {}, body)

    def send(self, status, content, headers, body):
        fault = self.server.faults.get(self.path.rpartition("/")[2])
        if isinstance(fault, int):
            status, content, headers = fault, b"", {}
        start = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0]
        if status == 200 and int(start):
            status = 206
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            content = content[int(start) :]
        length = len(content)
        if body and fault == "truncated":
            content = content[: length // 2]
            length = len(content) if "X-Linked-Size" in headers else length
        if body and fault == "cut":
            content = content[: length // 2] if status == 200 else b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if body:
            self.wfile.write(content)
        self.close_connection = self.close_connection or len(content) < length


def content_of(value):
    return value if isinstance(value, bytes) else Path(value).read_bytes()


def folder_repos(folder):
    """The repositories of a folder {model,dataset}/<owner>/<name>/..., each at a commit made of its names."""
    repos = {}
    for place in sorted(Path(folder).glob("*/*/*")):
        name = place.relative_to(folder).as_posix()
        files = {
            path.relative_to(place).as_posix(): path for path in sorted(place.rglob("*")) if path.is_file()
        }
        repos[name] = {"commit": hashlib.sha1(name.encode()).hexdigest(), "files": files}
    return repos


def serve(repos, plain=None, port=0):
    """A server in a thread of its own; its `url` is the value for HF_ENDPOINT. End it with shutdown()."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.repos, server.plain, server.faults, server.requests = repos, plain or {}, {}, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@contextlib.contextmanager
def hub(repos, plain=None):
    server = serve(repos, plain)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    running = serve(folder_repos(sys.argv[1]), port=int(sys.argv[2]))
    print(f"HF_ENDPOINT={running.url}", flush=True)
    threading.Event().wait()
