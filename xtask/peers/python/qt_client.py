"""qt_client.py PORT COMMAND …: Qt 5's QNetworkAccessManager, a client of SPDY/3.

  get PATH            prints `STATUS LENGTH SHA256`
  post PATH FILE      the same, of the response to FILE as the request body
  parallel N PATH     N requests at once: `N STATUS LENGTH SHA256` if all agree

Always over TLS; Qt offers spdy/3 and http/1.1. What it did not get over
SPDY is an error.

Qt itself stops after the first 64 KiB of an upload, and loses track of the
frames of a connection on which it has aborted a request: against any server.
"""

import hashlib
import os
import sys

from PyQt5.QtCore import QCoreApplication, QFile, QIODevice, QTimer, QUrl
from PyQt5.QtNetwork import QNetworkAccessManager, QNetworkRequest

port, command, *args = sys.argv[1:]
app = QCoreApplication(sys.argv[:1])
manager = QNetworkAccessManager()
manager.sslErrors.connect(lambda reply, errors: reply.ignoreSslErrors())
pending = set()
answers = []


def fail(message):
    print("FAIL", message, flush=True)
    # Not by sys.exit, which Qt's callbacks swallow.
    os._exit(1)


def finish(*words):
    print(*words, flush=True)
    os._exit(0)


def request(path):
    request = QNetworkRequest(QUrl(f"https://127.0.0.1:{port}{path}"))
    request.setAttribute(QNetworkRequest.SpdyAllowedAttribute, True)
    request.setAttribute(QNetworkRequest.HTTP2AllowedAttribute, False)
    request.setRawHeader(b"x-test", b"a value")
    return request


def take(reply, done):
    pending.add(reply)
    digest, length = hashlib.sha256(), 0

    def read():
        nonlocal length
        data = bytes(reply.readAll())
        digest.update(data)
        length += len(data)

    def finished():
        read()
        if reply.error():
            fail(f"{reply.error()} {reply.errorString()}")
        if not reply.attribute(QNetworkRequest.SpdyWasUsedAttribute):
            fail("not over SPDY")
        status = reply.attribute(QNetworkRequest.HttpStatusCodeAttribute)
        pending.discard(reply)
        done(f"{status} {length} {digest.hexdigest()}")

    reply.readyRead.connect(read)
    reply.finished.connect(finished)


def get(path):
    take(manager.get(request(path)), finish)


def post(path, name):
    file = QFile(name)
    if not file.open(QIODevice.ReadOnly):
        fail("cannot open " + name)
    reply = manager.post(request(path), file)
    file.setParent(reply)
    take(reply, finish)


def parallel(count, path):
    def done(answer):
        answers.append(answer)
        if answer != answers[0]:
            fail(f"{answer} differs from {answers[0]}")
        if len(answers) == int(count):
            finish(count, answer)

    for _ in range(int(count)):
        take(manager.get(request(path)), done)


QTimer.singleShot(int(os.environ.get("PEER_TIMEOUT", "60")) * 1000, lambda: fail("timed out"))
commands = {"get": get, "post": post, "parallel": parallel}
if command not in commands:
    fail("no such command")
commands[command](*args)
app.exec_()
