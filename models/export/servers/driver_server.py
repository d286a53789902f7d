#!/usr/bin/env python3
"""A server of Livedub's driver protocol, version 1 (docs/driver-protocol.md), for a project that drives lips.

It needs nothing but Python 3.8, so that it runs in whatever environment the project has. A project's script hands a
Driver to main(). By itself it serves one that gives every crop back as it came, for trying out a connection:

  python3 models/export/servers/driver_server.py --echo --port 8650
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import queue
import socketserver
import struct
import subprocess
import threading
import time
import traceback
import wave

VERSION = 1
PATH = "/v1/drive"
RATE = 16000
LARGEST = 32 << 20
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
FORMATS = {1: "rgb24", 2: "i420"}
NUMBERS = {name: number for number, name in FORMATS.items()}


class Take:
    """What one face is to say. `sound` is 16 kHz mono, 16 bit little-endian; `sound_at` where its first sample is heard."""

    def __init__(self, word):
        self.number = int(word["take"])
        self.width, self.height = int(word["width"]), int(word["height"])
        self.format = word["format"]
        self.matrix, self.range = word.get("matrix", 2), word.get("range", "limited")
        self.samples = int(word["samples"])
        self.sound_at = int(word["soundAt"])
        self.language = word.get("language", "")
        self.phonemes = word.get("phonemes")
        self.sound = bytearray(2 * self.samples)
        if self.format not in NUMBERS or not 0 < self.width <= 4096 or not 0 < self.height <= 4096:
            raise ValueError("a take of no size or format that is known")
        if self.samples > 600 * RATE:
            raise ValueError("a take of more than ten minutes")

    @property
    def size(self):
        if self.format == "rgb24":
            return 3 * self.width * self.height
        return self.width * self.height + 2 * ((self.width + 1) // 2) * ((self.height + 1) // 2)

    def heard(self, start, seconds):
        """The sound from `start`, microseconds of programme, on; silence where there is none."""
        first = round((start - self.sound_at) * RATE / 1000000)
        count = round(seconds * RATE)
        before = min(count, max(0, -first))
        found = bytes(self.sound[2 * max(0, first) : 2 * max(0, first + count)])
        return (b"\0\0" * before + found).ljust(2 * count, b"\0")


class Picture:
    """A face crop of a take. `landmarks` are 68 pairs of pixels, `face` is left, top, width, height."""

    def __init__(self, number, start, within, face, landmarks, data):
        self.number, self.start, self.face, self.landmarks, self.data = number, start, face, landmarks, data
        self.wanted = time.monotonic() + within / 1000


class Driver:
    """What a project does. One call of `drive` runs at a time."""

    engine = "echo"
    formats = ("i420", "rgb24")
    """Pictures that are driven at once; fewer come at the end of a take."""
    chunk = 1
    phonemes = False

    def drive(self, take, pictures):
        """A driven crop for each picture, of the take's size and format, or why there is none: 'no-face' or 'failed'."""
        return [picture.data for picture in pictures]

    def end(self, take):
        """The take is over."""


class Lost(Exception):
    pass


class Misused(Exception):
    """Close codes of RFC 6455, section 7.4.1, with what was wrong."""

    def __init__(self, code, why):
        super().__init__(why)
        self.code = code


class Socket:
    """The server's end of a WebSocket (RFC 6455), without extensions."""

    def __init__(self, connection):
        self.connection = connection
        self.lock = threading.Lock()

    def exactly(self, count):
        pieces = bytearray()
        while len(pieces) < count:
            piece = self.connection.recv(min(1 << 20, count - len(pieces)))
            if not piece:
                raise Lost()
            pieces += piece
        return bytes(pieces)

    def frame(self):
        first, second = self.exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.exactly(8))
        if first & 0x70 or not second & 0x80:
            raise Misused(1002, "a frame with reserved bits or without a mask")
        if length > LARGEST:
            raise Misused(1009, "a message that is too large")
        mask = self.exactly(4)
        payload = self.exactly(length)
        # The exclusive or of two large integers is the fast way without numpy.
        key = (mask * (length // 4 + 1))[:length]
        plain = (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(length, "little")
        return first & 0x80, first & 0x0F, plain

    def receive(self):
        """The next message, text or bytes; None when the client closes."""
        kind, whole = None, b""
        while True:
            last, code, payload = self.frame()
            if code == 8:
                self.send(8, payload[:2])
                return None
            if code == 9:
                self.send(10, payload)
                continue
            if code == 10:
                continue
            if (code == 0) == (kind is None) or code not in (0, 1, 2):
                raise Misused(1002, "a frame out of turn")
            kind = kind or code
            whole += payload
            if len(whole) > LARGEST:
                raise Misused(1009, "a message that is too large")
            if last:
                return whole.decode("utf-8") if kind == 1 else whole

    def send(self, code, payload):
        length = len(payload)
        if length < 126:
            head = struct.pack(">BB", 0x80 | code, length)
        elif length < 1 << 16:
            head = struct.pack(">BBH", 0x80 | code, 126, length)
        else:
            head = struct.pack(">BBQ", 0x80 | code, 127, length)
        with self.lock:
            self.connection.sendall(head + payload)

    def say(self, **word):
        self.send(1, json.dumps(word).encode("utf-8"))

    def close(self, code, why=""):
        self.send(8, struct.pack(">H", code) + why.encode("utf-8")[:100])


class Conversation:
    """One client's takes, driven in the order in which their pictures came."""

    def __init__(self, socket, driver, turn):
        self.socket, self.driver, self.turn = socket, driver, turn
        self.takes, self.waiting = {}, {}
        self.work = queue.Queue()
        self.credits = max(2, 2 * driver.chunk)

    def run(self):
        word = self.word(self.socket.receive())
        if word is None:
            return
        if word.get("type") != "hello" or word.get("version") != VERSION:
            self.socket.say(type="error", code="unsupported", message="this is version %d" % VERSION)
            self.socket.close(1002)
            return
        driver = self.driver
        self.socket.say(
            type="hello",
            version=VERSION,
            engine=driver.engine,
            formats=list(driver.formats),
            credits=self.credits,
            chunk=driver.chunk,
            phonemes=driver.phonemes,
        )
        worker = threading.Thread(target=self.drive, daemon=True)
        worker.start()
        try:
            while True:
                message = self.socket.receive()
                if message is None:
                    return
                if isinstance(message, bytes):
                    self.binary(message)
                else:
                    self.control(self.word(message))
        finally:
            self.work.put(None)

    def word(self, message):
        if message is None:
            return None
        if isinstance(message, bytes):
            raise Misused(1003, "bytes where a word was due")
        word = json.loads(message)
        if not isinstance(word, dict):
            raise ValueError("a word that is no object")
        return word

    def control(self, word):
        if word.get("type") == "begin":
            take = Take(word)
            if take.number in self.takes or len(self.takes) >= 64 or take.format not in self.driver.formats:
                raise ValueError("a take that cannot be begun")
            self.takes[take.number], self.waiting[take.number] = take, []
        elif word.get("type") == "end":
            take = self.takes.pop(int(word["take"]))
            self.work.put((take, self.waiting.pop(take.number), True))
        else:
            raise ValueError("a word that is not known")

    def binary(self, message):
        kind, form, landmarks, number = struct.unpack_from("<BBHI", message)
        take = self.takes[number]
        if kind == 1 and form == 1:
            (offset,) = struct.unpack_from("<I", message, 8)
            sound = message[12:]
            if len(sound) % 2 or 2 * offset + len(sound) > len(take.sound):
                raise ValueError("sound outside of its take")
            take.sound[2 * offset : 2 * offset + len(sound)] = sound
        elif kind == 2:
            picture, width, height, start, within = struct.unpack_from("<IHHqI", message, 8)
            face = struct.unpack_from("<4f", message, 28)
            points = struct.unpack_from("<%df" % (2 * landmarks), message, 44)
            data = message[44 + 8 * landmarks :]
            if (width, height, FORMATS.get(form)) != (take.width, take.height, take.format) or len(data) != take.size:
                raise ValueError("a picture that is not as its take said")
            waiting = self.waiting[number]
            pairs = list(zip(points[::2], points[1::2]))
            waiting.append(Picture(picture, start, within, face, pairs, data))
            if len(waiting) >= self.driver.chunk:
                self.work.put((take, waiting[:], False))
                waiting.clear()
        else:
            raise ValueError("a binary message of no known kind")

    def drive(self):
        try:
            while True:
                job = self.work.get()
                if job is None:
                    return
                take, pictures, last = job
                wanted = [picture for picture in pictures if picture.wanted > time.monotonic()]
                answers = dict(zip([id(picture) for picture in wanted], self.driven(take, wanted)))
                for picture in pictures:
                    answer = answers.get(id(picture), "late")
                    if isinstance(answer, str):
                        self.socket.say(type="none", take=take.number, number=picture.number, reason=answer)
                    else:
                        head = struct.pack(
                            "<BBHIIHH", 3, NUMBERS[take.format], 0, take.number, picture.number, take.width, take.height
                        )
                        self.socket.send(2, head + answer)
                if pictures:
                    self.socket.say(type="credit", count=len(pictures))
                if last:
                    self.driver.end(take)
                    self.socket.say(type="ended", take=take.number)
        except OSError:
            pass

    def driven(self, take, pictures):
        if not pictures:
            return []
        done = threading.Event()

        def tell():
            while not done.wait(1):
                try:
                    self.socket.say(type="working")
                except OSError:
                    return

        threading.Thread(target=tell, daemon=True).start()
        try:
            with self.turn:
                answers = self.driver.drive(take, pictures)
            right = [isinstance(answer, str) or len(answer) == take.size for answer in answers]
            if len(answers) != len(pictures) or not all(right):
                raise RuntimeError("the driver made something else than it was asked for")
            return [answer if isinstance(answer, str) else bytes(answer) for answer in answers]
        except Exception:
            traceback.print_exc()
            return ["failed"] * len(pictures)
        finally:
            done.set()


def handler(driver, key):
    turn = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        rbufsize = 0

        def handle(self):
            head = bytearray()
            while not head.endswith(b"\r\n\r\n"):
                byte = self.connection.recv(1)
                if not byte or len(head) > 16384:
                    return
                head += byte
            lines = head.decode("latin-1").split("\r\n")
            fields = {}
            for line in lines[1:]:
                name, _, value = line.partition(":")
                fields[name.strip().lower()] = value.strip()
            wanted = lines[0].split(" ")
            if key and not hmac.compare_digest(fields.get("authorization", ""), "Bearer " + key):
                return self.refuse("401 Unauthorized")
            if len(wanted) != 3 or wanted[0] != "GET" or wanted[1].split("?")[0].rstrip("/") != PATH:
                return self.refuse("404 Not Found")
            if fields.get("upgrade", "").lower() != "websocket" or "sec-websocket-key" not in fields:
                return self.refuse("426 Upgrade Required")
            digest = hashlib.sha1(fields["sec-websocket-key"].encode("latin-1") + GUID).digest()
            accept = base64.b64encode(digest).decode("ascii")
            self.connection.sendall(
                (
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: %s\r\n\r\n" % accept
                ).encode("latin-1")
            )
            socket = Socket(self.connection)
            try:
                Conversation(socket, driver, turn).run()
            except Misused as wrong:
                self.try_close(socket, wrong.code, str(wrong))
            except (ValueError, KeyError, TypeError, struct.error) as wrong:
                try:
                    socket.say(type="error", code="invalid", message=str(wrong)[:200])
                except OSError:
                    pass
                self.try_close(socket, 1007, "")
            except (Lost, OSError):
                pass

        def try_close(self, socket, code, why):
            try:
                socket.close(code, why)
            except OSError:
                pass

        def refuse(self, status):
            self.connection.sendall(("HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status).encode())

    return Handler


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def write_sound(path, sound):
    """Samples as a WAV file."""
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound)


def frame_rate(pictures):
    """Pictures a second, by their times; 25 where one picture tells nothing."""
    if len(pictures) < 2:
        return 25.0
    return (len(pictures) - 1) * 1000000 / max(1, pictures[-1].start - pictures[0].start)


def write_video(path, take, pictures, rate):
    """Crops of an `rgb24` take as H.264, hardly compressed."""
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", "%dx%d" % (take.width, take.height), "-r", "%.6f" % rate, "-i", "-"]
    command += ["-c:v", "libx264", "-crf", "4", "-preset", "veryfast", "-pix_fmt", "yuv420p", path]
    subprocess.run(command, input=b"".join(picture.data for picture in pictures), check=True)


def read_video(path, take):
    """A video's pictures as RGB bytes of the take's size, and how many there are a second."""
    asked = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=avg_frame_rate", "-of", "csv=p=0"]
    over, _, under = subprocess.run(asked + [path], stdout=subprocess.PIPE, check=True).stdout.decode().strip().partition("/")
    command = ["ffmpeg", "-loglevel", "error", "-i", path, "-vf", "scale=%d:%d" % (take.width, take.height)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    pictures = [data[at : at + take.size] for at in range(0, len(data) - take.size + 1, take.size)]
    return pictures, float(over) / float(under or 1)


def at_times(pictures, made, rate):
    """For each picture the made one that is shown when it is, or why there is none."""
    if not made:
        return ["failed"] * len(pictures)
    first = pictures[0].start
    places = [round((picture.start - first) * rate / 1000000) for picture in pictures]
    return [made[place] if place < len(made) else "failed" for place in places]


def arguments(description, port):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; another than this machine's wants a key")
    parser.add_argument("--port", type=int, default=port, help="TCP port; 0 for any free one")
    parser.add_argument("--key-from", metavar="VARIABLE", help="environment variable with the key that clients must have")
    return parser


def main(driver, options):
    key = os.environ.get(options.key_from, "") if options.key_from else ""
    if options.key_from and not key:
        raise SystemExit("there is nothing in %s" % options.key_from)
    if options.host not in ("127.0.0.1", "::1", "localhost") and not key:
        raise SystemExit("faces would be taken from anybody: give --key-from, or listen on 127.0.0.1")
    with Server((options.host, options.port), handler(driver, key)) as server:
        print("%s listens at http://%s:%d" % (driver.engine, options.host, server.server_address[1]), flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    parser = arguments(__doc__, 8650)
    parser.add_argument("--echo", action="store_true", required=True, help="give every crop back as it came")
    parser.add_argument("--chunk", type=int, default=1, help="pictures to wait for before answering")
    parser.add_argument("--format", choices=sorted(NUMBERS), help="take this format alone")
    options = parser.parse_args()
    echo = Driver()
    echo.chunk = options.chunk
    if options.format:
        echo.formats = (options.format,)
    main(echo, options)
