#!/usr/bin/env python3
"""Logs in to a Pointsman over a STOMP broker, drains a host, and waits until it is drained.

    control_over_stomp.py HOST:PORT NODE NODE_KEY USER web/blue/w1

NODE_KEY is what `pointsman pubkey` prints on the node's machine. The broker's user and password
are in BUS_LOGIN and BUS_PASSCODE, the user's password is in PASSWORD.
Needs stomp.py, PyJWT and PyNaCl (Debian: python3-stomp python3-jwt python3-nacl).
"""

import base64, json, os, queue, sys, time, uuid
import jwt, nacl.public, stomp

broker, node, node_key, user, host = sys.argv[1:]
key = os.urandom(32)  # ours from now on; the node learns it with the log-in
arrived = {"answers": queue.Queue(), "events": queue.Queue()}


class Listener(stomp.ConnectionListener):
    def on_message(self, frame):
        arrived[frame.headers["subscription"]].put(frame)


# 1.2 only: older versions let a sender forge headers.
connection = stomp.Connection12([tuple(broker.rsplit(":", 1))])
connection.set_listener("", Listener())
connection.connect(os.environ["BUS_LOGIN"], os.environ["BUS_PASSCODE"], wait=True)
connection.subscribe("/temp-queue/answers", id="answers")
connection.subscribe("/topic/pointsman.events.host", id="events")


def claims(**more):
    now = int(time.time())
    return dict(aud=node, iat=now, exp=now + 30, jti=str(uuid.uuid4()), **more)


def ask(where, content_type, body, jti):
    connection.send(f"/queue/pointsman.{where}.{node}", body, content_type,
                    **{"reply-to": "/temp-queue/answers", "persistent": "true"})
    while True:
        try:  # only what the node has signed, for this question, is an answer
            text = arrived["answers"].get(timeout=30).body
            answer = jwt.decode(text, key, ["HS256"], issuer=node)
            if answer["sub"] == jti:
                break
        except jwt.InvalidTokenError:
            pass
    if not answer["res"]["ok"]:
        sys.exit(answer["res"]["error"]["message"])
    return answer["res"].get("data")


def log_in():
    said = claims(user=user, password=os.environ["PASSWORD"],
                  key=base64.urlsafe_b64encode(key).rstrip(b"=").decode())
    box = nacl.public.SealedBox(nacl.public.PublicKey(base64.b64decode(node_key)))
    sealed = base64.b64encode(box.encrypt(json.dumps(said).encode())).decode()
    return ask("logins", "application/vnd.pointsman.login+sealed", sealed, said["jti"])


def command(login, **cmd):
    said = claims(cmd=cmd)
    token = jwt.encode(said, key, "HS256", headers={"kid": login})
    return ask("commands", "application/jwt", token, said["jti"])


login = log_in()
print(f"logged in as {login['user']}: {login['role']}")
command(login["login"], command="drain-host", host=host)
while True:
    event = json.loads(arrived["events"].get(timeout=60).body)
    if event["source"] == f"/pointsman/{node}" and event["subject"] == host:
        print(event["type"], json.dumps(event["data"]))
        if event["type"] == "pointsman.host.drained":
            break
connection.disconnect()
