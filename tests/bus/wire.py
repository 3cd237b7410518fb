# SPDX-License-Identifier: LGPL-2.1-or-later
"""A D-Bus connection by hand, little-endian, for what busctl cannot do: calls without an interface, leaving in the middle,
playing polkit, handing over what is no sealed memory. Dictionaries are a{sv} with values (signature, value); an h is an index of
the message's descriptors."""
import os
import select
import socket
import struct
import time

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
NO_REPLY, ALLOW_INTERACTIVE = 1, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE, UNIX_FDS = 1, 2, 3, 4, 5, 6, 7, 8, 9
FIELD_SIGNATURES = {PATH: "o", REPLY_SERIAL: "u", SIGNATURE: "g", UNIX_FDS: "u"}
NUMBERS = {"y": "<B", "n": "<h", "q": "<H", "i": "<i", "x": "<q", "d": "<d", "h": "<I", "b": "<I", "u": "<I", "t": "<Q"}
ALIGNMENTS = {"s": 4, "o": 4, "a": 4, "(": 8, "{": 8, "g": 1, "v": 1, **{kind: struct.calcsize(form) for kind, form in NUMBERS.items()}}


def pad(data, alignment):
    data += bytes(-len(data) % alignment)


def first_type(signature):
    """The length of the first complete type."""
    if signature[0] == "a":
        return 1 + first_type(signature[1:])
    if signature[0] not in "({":
        return 1
    depth = 0
    for index, letter in enumerate(signature):
        depth += (letter in "({") - (letter in ")}")
        if depth == 0:
            return index + 1
    raise ValueError(signature)


def types(signature):
    while signature:
        length = first_type(signature)
        yield signature[:length]
        signature = signature[length:]


def put(data, kind, value):
    pad(data, ALIGNMENTS[kind[0]])
    if kind in NUMBERS:
        data += struct.pack(NUMBERS[kind], value)
    elif kind in "so":
        data += struct.pack("<I", len(value.encode())) + value.encode() + b"\0"
    elif kind == "g":
        data += bytes([len(value)]) + value.encode() + b"\0"
    elif kind == "v":
        put(data, "g", value[0])
        put(data, value[0], value[1])
    elif kind[0] in "({":
        for part, item in zip(types(kind[1:-1]), value):
            put(data, part, item)
    else:
        place = len(data)
        data += bytes(4)
        pad(data, ALIGNMENTS[kind[1]])
        start = len(data)
        if isinstance(value, bytes):
            data += value
            value = ()
        for item in value.items() if isinstance(value, dict) else value:
            put(data, kind[1:], item)
        data[place : place + 4] = struct.pack("<I", len(data) - start)


def marshal(signature, values):
    data = bytearray()
    for kind, value in zip(types(signature), values):
        put(data, kind, value)
    return bytes(data)


class Reader:
    def __init__(self, data):
        self.data, self.place = data, 0

    def get(self, kind):
        self.place += -self.place % ALIGNMENTS[kind[0]]
        if kind in NUMBERS:
            self.place += ALIGNMENTS[kind]
            return struct.unpack_from(NUMBERS[kind], self.data, self.place - ALIGNMENTS[kind])[0]
        if kind in ("s", "o", "g"):
            length = self.get("y" if kind == "g" else "u")
            self.place += length + 1
            return self.data[self.place - length - 1 : self.place - 1].decode()
        if kind == "v":
            return self.get(self.get("g"))
        if kind[0] in "({":
            return tuple(self.get(part) for part in types(kind[1:-1]))
        length = self.get("u")
        self.place += -self.place % ALIGNMENTS[kind[1]]
        end, items = self.place + length, []
        while self.place < end:
            items.append(self.get(kind[1:]))
        return dict(items) if kind[1] == "{" else items


def header_fields(header):
    reader = Reader(header)
    reader.place = 12
    return dict(reader.get("a(yv)"))


class Message:
    def __init__(self, header, fields, body):
        self.type, self.flags, self.serial = header[1], header[2], header[5]
        self.fields, self.body = fields, body

    def values(self):
        reader = Reader(self.body)
        return [reader.get(kind) for kind in types(self.fields.get(SIGNATURE, ""))]


class Wire:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.data, self.serial, self.kept, self.fds = b"", 0, [], []
        uid = str(os.geteuid()).encode().hex()
        self.socket.sendall(b"\0AUTH EXTERNAL " + uid.encode() + b"\r\n")
        assert self.socket.recv(1000).startswith(b"OK "), "not authenticated"
        self.socket.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        assert self.socket.recv(1000).startswith(b"AGREE_UNIX_FD"), "no descriptors on this bus"
        self.socket.sendall(b"BEGIN\r\n")
        self.name = self.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "Hello").values()[0]

    def close(self):
        self.socket.close()

    def send(self, kind, fields, signature="", values=(), flags=0, fds=()):
        body = marshal(signature, values)
        if signature:
            fields = {**fields, SIGNATURE: signature}
        if fds:
            fields = {**fields, UNIX_FDS: len(fds)}
        self.serial += 1
        data = bytearray(struct.pack("<BBBBII", ord("l"), kind, flags, 1, len(body), self.serial))
        put(data, "a(yv)", [(code, (FIELD_SIGNATURES.get(code, "s"), value)) for code, value in fields.items()])
        pad(data, 8)
        data += body
        sent = socket.send_fds(self.socket, [data], fds) if fds else 0
        self.socket.sendall(data[sent:])
        return self.serial

    def send_call(self, destination, path, interface, member, signature="", values=(), flags=0, fds=()):
        fields = {DESTINATION: destination, PATH: path, MEMBER: member}
        if interface:
            fields[INTERFACE] = interface
        return self.send(CALL, fields, signature, values, flags, fds)

    def call(self, *arguments, **more):
        serial = self.send_call(*arguments, **more)
        return self.wait(lambda message: message.fields.get(REPLY_SERIAL) == serial)

    def wait(self, wanted, seconds=60):
        """The first message that is WANTED; the others are kept for later."""
        deadline = time.monotonic() + seconds
        seen = 0
        while True:
            for index in range(seen, len(self.kept)):
                if wanted(self.kept[index]):
                    return self.kept.pop(index)
            seen = len(self.kept)
            self.kept.append(self.receive(deadline))

    def receive(self, deadline):
        header = self.take(16, deadline)
        parts = struct.unpack("<BBBBII", header[:12])
        length = struct.unpack("<I", header[12:])[0]
        rest = self.take(length + -length % 8 + parts[4], deadline)
        fields = header_fields(header + rest[:length])
        return Message(parts, fields, rest[length + -length % 8 :])

    def take(self, size, deadline):
        while len(self.data) < size:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.socket], [], [], left)[0], "no such message came in time"
            data, fds, _, _ = socket.recv_fds(self.socket, 65536, 16)
            assert data, "the bus closed the connection"
            self.fds += fds  # of whichever message: who expects some has no other under way
            self.data += data
        data, self.data = self.data[:size], self.data[size:]
        return data
