"""Checks how the job makes etcd's certificates (deploy/etcd-certificates.sh), against a made-up API server: once, whole, and never over others'."""
import base64
import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading

script = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "etcd-certificates.sh")
member = "keelson-etcd-0.keelson-etcd.keelson.svc"
secrets, asked = {}, []
refusal = None


class API(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def check(self):
        asked.append((self.command, self.path, self.headers["Authorization"]))
        if refusal == self.command:
            self.answer(403, {"message": "not for you"})
        return refusal != self.command

    def do_GET(self):
        if self.check():
            name = self.path.rsplit("/", 1)[1]
            self.answer(200 if name in secrets else 404, secrets.get(name, {}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.check():
            name = body["metadata"]["name"]
            is_there = name in secrets
            secrets.setdefault(name, body)
            self.answer(409 if is_there else 201, {})

    def log_message(self, *_):
        pass


def run(*arguments, environment=None):
    return subprocess.run([script, *arguments], env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=120)


with tempfile.TemporaryDirectory() as folder:
    # The API server's own certificate, and an account's folder.
    made = run(folder + "/api", "localhost")
    assert made.returncode == 0, made.stderr
    account = folder + "/account"
    os.mkdir(account)
    os.rename(folder + "/api/ca.crt", account + "/ca.crt")
    for name, text in (("token", "secret-token"), ("namespace", "keelson")):
        with open(f"{account}/{name}", "w") as file:
            file.write(text)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), API)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/api/server.crt", folder + "/api/server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pod = {
        "KUBERNETES_SERVICE_HOST": "localhost", "KUBERNETES_SERVICE_PORT": str(server.server_address[1]), "KUBERNETES_ACCOUNT": account,
        "TMPDIR": folder,
    }

    def job():
        return run("--secret", "keelson-etcd-tls", member, environment=pod)

    result = job()
    assert result.returncode == 0 and "is made" in result.stdout, result
    place = "/api/v1/namespaces/keelson/secrets"
    bearer = "Bearer secret-token"
    assert asked == [("GET", place + "/keelson-etcd-tls", bearer), ("POST", place, bearer)], asked
    first = secrets["keelson-etcd-tls"]
    files = {name: base64.b64decode(text) for name, text in first["data"].items()}
    assert set(files) == {"ca.crt", "server.crt", "server.key", "client.crt", "client.key"}, files.keys()
    for name, data in files.items():
        with open(f"{folder}/{name}", "wb") as file:
            file.write(data)

    def openssl(*arguments):
        return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True).stdout

    for side in ("server", "client"):
        purpose = "sslserver" if side == "server" else "sslclient"
        assert "OK" in openssl("verify", "-purpose", purpose, "-CAfile", "ca.crt", f"{side}.crt"), side
        assert openssl("x509", "-in", f"{side}.crt", "-pubkey", "-noout") == openssl("pkey", "-in", f"{side}.key", "-pubout"), side
    assert "does match" in openssl("x509", "-in", "server.crt", "-noout", "-checkhost", member)
    assert "OK" not in openssl("verify", "-purpose", "sslserver", "-CAfile", "ca.crt", "client.crt"), "a client could be a server"

    # Again: what is there stays.
    result = job()
    assert result.returncode == 0 and "is there" in result.stdout and asked[2:] == [asked[0]], (result, asked)
    # Somebody else is faster between looking and making.
    API.do_GET = lambda self: self.answer(404, {})
    result = job()
    assert result.returncode == 0 and "is there" in result.stdout and secrets["keelson-etcd-tls"] is first, result
    # What the API server refuses is told, and the job tries again.
    secrets.clear()
    refusal = "POST"
    result = job()
    assert result.returncode != 0 and "403" in result.stderr and "not for you" in result.stderr, result
    # Nothing of a key is left in the pod.
    assert sorted(os.listdir(folder)) == sorted(["api", "account", *files]), os.listdir(folder)

    for arguments in ([], [folder + "/new"], [folder + "/new", "a;b"], [folder, member], ["--secret", "x"]):
        assert run(*arguments).returncode != 0, arguments
print("the certificates are right", file=sys.stdout)
