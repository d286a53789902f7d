"""A WHIP publisher or WHEP viewer made with GStreamer's webrtcbin: python3 gst-peer.py whip|whep URL [--token T] [--clip FILE --codec video/VP8]

Says what webrtc-peer.py says. Debian's GStreamer 1.22 has neither whipsink nor whepsrc, and its Python bindings do not know
webrtcbin's own types, which are therefore called by ctypes.
"""

import ctypes
import select
import sys
import urllib.parse

import gi
from whip_client import arguments, request, say

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

Gst.init(None)
library = lambda name, version=0: ctypes.CDLL(f"lib{name}.so.{version}")
gobject, core = library("gobject-2.0"), library("gstreamer-1.0")
sdp, webrtc = library("gstsdp-1.0"), library("gstwebrtc-1.0")
pointer = ctypes.c_void_p
for function in (core.gst_promise_new, core.gst_promise_get_reply, core.gst_structure_get_value):
    function.restype = pointer
for function in (gobject.g_value_get_boxed, webrtc.gst_webrtc_session_description_new, core.gst_caps_from_string):
    function.restype = pointer
sdp.gst_sdp_message_as_text.restype = ctypes.c_char_p
ANSWER, RECVONLY, COMPLETE = 3, 3, 2


class Description(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("sdp", pointer)]


class Bin:
    """webrtcbin, as far as it is used here."""

    def __init__(self, element):
        self.address = pointer(hash(element))
        ice = self.get("ice-agent", pointer)
        # Loopback is all that a test may use.
        known = ctypes.c_int()
        gobject.g_signal_emit_by_name(ice, b"add-local-ip-address", b"127.0.0.1", ctypes.byref(known))

    def get(self, name, kind):
        value = kind()
        gobject.g_object_get(self.address, name.encode(), ctypes.byref(value), None)
        return value

    def emit(self, name, *given):
        """Asks and waits for the answer, if there is one."""
        promise = pointer(core.gst_promise_new())
        gobject.g_signal_emit_by_name(self.address, name.encode(), *given, promise)
        core.gst_promise_wait(promise)
        return pointer(core.gst_promise_get_reply(promise))

    def receive(self, caps):
        made = pointer()
        wanted = pointer(core.gst_caps_from_string(caps.encode()))
        gobject.g_signal_emit_by_name(self.address, b"add-transceiver", RECVONLY, wanted, ctypes.byref(made))

    def offer(self):
        reply = self.emit("create-offer", None)
        offer = pointer(gobject.g_value_get_boxed(pointer(core.gst_structure_get_value(reply, b"offer"))))
        self.emit("set-local-description", offer)
        while self.get("ice-gathering-state", ctypes.c_int).value != COMPLETE:
            select.select([], [], [], 0.02)
        local = self.get("local-description", ctypes.POINTER(Description))
        return sdp.gst_sdp_message_as_text(pointer(local.contents.sdp)).decode()

    def answer(self, text):
        message = pointer()
        sdp.gst_sdp_message_new_from_text(text.encode(), ctypes.byref(message))
        self.emit("set-remote-description", pointer(webrtc.gst_webrtc_session_description_new(ANSWER, message)))

    @property
    def state(self):
        names = ["new", "connecting", "connected", "disconnected", "failed", "closed"]
        return names[self.get("connection-state", ctypes.c_int).value]


SENDING = {
    "video/VP8": "vp8enc deadline=1 cpu-used=8 keyframe-max-dist=30 ! rtpvp8pay ! "
    "application/x-rtp,media=video,encoding-name=VP8,payload=96",
    "video/H264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! video/x-h264,profile=constrained-baseline ! "
    "rtph264pay config-interval=-1 aggregate-mode=zero-latency ! "
    "application/x-rtp,media=video,encoding-name=H264,payload=96,packetization-mode=(string)1",
}


def main():
    given = arguments()
    seen = {"audio": 0, "video": 0, "loudest": 0, "size": None}
    text = "webrtcbin name=peer bundle-policy=max-bundle"
    if given.role == "whip":
        text += (
            f' filesrc location="{given.clip}" ! decodebin name=clip'
            " clip. ! queue ! audioconvert ! audioresample ! opusenc name=audio ! rtpopuspay !"
            " application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer."
            f" clip. ! queue ! videoconvert ! identity sync=true ! {SENDING[given.codec]} ! identity name=video ! peer."
        )
    made = Gst.parse_launch(text)
    # One element alone comes without a pipeline around it.
    pipeline = made if isinstance(made, Gst.Pipeline) else Gst.Pipeline()
    if made is not pipeline:
        pipeline.add(made)
    element = pipeline.get_by_name("peer")
    peer = Bin(element)

    def count(kind):
        def probe(_, info):
            seen[kind] += 1
            return Gst.PadProbeReturn.OK

        return probe

    def decoded(_, pad):
        caps = pad.get_current_caps().get_structure(0)
        kind = caps.get_name().split("/")[0]
        sink = Gst.ElementFactory.make("fakesink")
        pipeline.add(sink)
        sink.sync_state_with_parent()
        if kind == "video":
            seen["size"] = f"{caps.get_value('width')}x{caps.get_value('height')}"

        def probe(_, info):
            seen[kind] += 1
            if kind == "audio":
                buffer = info.get_buffer()
                samples = memoryview(buffer.extract_dup(0, buffer.get_size())).cast("h")
                seen["loudest"] = max(seen["loudest"], max(map(abs, samples), default=0))
            return Gst.PadProbeReturn.OK

        pad.add_probe(Gst.PadProbeType.BUFFER, probe)
        pad.link(sink.get_static_pad("sink"))

    def received(_, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        decoder = Gst.ElementFactory.make("decodebin")
        decoder.connect("pad-added", decoded)
        pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    if given.role == "whip":
        for name in ("audio", "video"):
            pad = pipeline.get_by_name(name).get_static_pad("src")
            pad.add_probe(Gst.PadProbeType.BUFFER, count(name))
        pipeline.set_state(Gst.State.PLAYING)
        # Offers are of what the encoders have said they send.
        pads = [pad for pad in element.pads if pad.direction == Gst.PadDirection.SINK]
        while not all(pad.get_current_caps() for pad in pads):
            select.select([], [], [], 0.02)
    else:
        element.connect("pad-added", received)
        peer.receive("application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2")
        peer.receive("application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000")
    pipeline.set_state(Gst.State.PLAYING)
    offer = peer.offer()
    bearer = given.token and f"Bearer {given.token}"
    status, headers, body = request("POST", given.url, offer, Content_Type="application/sdp", Authorization=bearer)
    say(answered=status, body=body, offer=offer)
    if status != 201:
        return
    peer.answer(body)
    bus = pipeline.get_bus()
    while not select.select([sys.stdin], [], [], 0.5)[0]:
        failed = bus.pop_filtered(Gst.MessageType.ERROR)
        if failed:
            print(failed.parse_error(), file=sys.stderr)
        say(state=peer.state, **seen)
    status, _, _ = request("DELETE", urllib.parse.urljoin(given.url, headers["Location"]), Authorization=bearer)
    say(deleted=status)
    pipeline.set_state(Gst.State.NULL)


main()
