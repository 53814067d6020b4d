"""A client of the open room, as anybody could write it: client.py HOST PORT"""

import socket
import sys
import threading

room = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
room.connect((sys.argv[1], int(sys.argv[2])))
room.send(b"GREETING")
print("greeted", flush=True)


def hear():
    while True:
        word, sender, text = room.recv(65536).decode().split(" ", 2)
        assert word == "INCOMING"
        print(f"<From {sender}>: {text}", flush=True)


threading.Thread(target=hear, daemon=True).start()
for line in sys.stdin:
    room.send(b"MESSAGE " + line.rstrip("\n").encode())
