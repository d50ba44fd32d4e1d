"""A hub on this machine: as much of the Hugging Face hub's protocol as fetching and bringing a repository needs."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHA = "0123456789abcdef0123456789abcdef01234567"


class LoopbackHub:
    """Serves repositories while it is open.

    Args:
        repositories: Files by name, of each repository by its path, e.g. ``datasets/owner/name``; those of models
            begin with ``models/``. ``datasets/owner/gated`` asks for a login.
        token: Who brings something has to name it.
    """

    def __init__(self, repositories, token="hf_loopback"):
        self.repositories, self.token, self.private = repositories, token, {}

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *raised):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"{}", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path.startswith("/api/datasets/owner/gated"):
            self.answer(403, X_Error_Code="GatedRepo", X_Error_Message="gated")
            return
        for name, files in self.hub.repositories.items():
            resolve = f"/{name.removeprefix('models/')}/resolve/"
            if path.startswith(f"/api/{name}/tree/"):
                self.answer(
                    200,
                    [{"type": "file", "path": it, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                     for it, body in files.items()],
                    Content_Type="application/json",
                )  # fmt: skip
                return
            if path == f"/api/{name}" or path.startswith(f"/api/{name}/revision/"):
                info = {"id": name.partition("/")[2], "sha": SHA, "private": False, "gated": False,
                        "disabled": False, "downloads": 0, "likes": 0, "tags": [],
                        "siblings": [{"rfilename": it} for it in files]}  # fmt: skip
                self.answer(200, info, Content_Type="application/json")
                return
            if path.startswith(resolve):
                body = files.get(path.removeprefix(resolve).partition("/")[2])
                if body is not None:
                    tag = hashlib.sha1(body).hexdigest()
                    self.answer(200, body, ETag=f'"{tag}"', X_Repo_Commit=SHA)
                    return
        self.answer(404, X_Error_Code="RepoNotFound", X_Error_Message="not found")

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path, found = self.path.partition("?")[0], self.hub.repositories
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self.answer(401, X_Error_Message="Invalid username or password.")
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(it for it in ("models", asked.get("organization"), asked["name"]) if it)
            found.setdefault(name, {})
            self.hub.private[name] = asked.get("visibility") == "private" or asked.get("private")
            self.answer(200, {"url": f"{self.hub.address}/{name.removeprefix('models/')}"})
        elif path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [{"path": it["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for it in json.loads(body)["files"]]  # fmt: skip
            self.answer(200, {"files": files})
        elif "/commit/" in path:
            name = path.removeprefix("/api/").partition("/commit/")[0]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    found[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer(200, {"commitUrl": f"{self.hub.address}/{name}/commit/{SHA}", "commitOid": SHA})
        else:
            self.answer(404)

    def log_message(self, *args):
        pass
