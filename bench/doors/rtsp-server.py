"""An RTSP server (RFC 2326) by GStreamer for `npm run bench -- doors`: hands on the plain RTP that comes to two ports.

Arguments: the port of the picture (H.264) and of the sound (Opus). Says its own port on one line.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
video, sound = sys.argv[1:3]
RTP = "application/x-rtp,media={},encoding-name={},clock-rate={},payload={}"
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f'( udpsrc address=127.0.0.1 port={video} caps="{RTP.format("video", "H264", 90000, 96)}"'
    " ! rtph264depay ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 config-interval=-1"
    f' udpsrc address=127.0.0.1 port={sound} caps="{RTP.format("audio", "OPUS", 48000, 97)}"'
    " ! rtpopusdepay ! rtpopuspay name=pay1 pt=97 )"
)
factory.set_shared(True)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
server.get_mount_points().add_factory("/reel", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
