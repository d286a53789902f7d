"""An RTSP server that plays a file to each client from its beginning, in its own time: GStreamer's gst-rtsp-server.

rtsp-server.py PORT FILE SOUND none|basic|digest [NAME PASSWORD]; SOUND is aac, opus or pcma. Port 0 is a free one.
The port is the first line of what it prints.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

port, path, sound, access, *login = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
payload = {
    "aac": "aacparse ! rtpmp4gpay",
    "opus": "opusparse ! rtpopuspay",
    "pcma": "decodebin ! audioconvert ! audioresample ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay",
}[sound]
factory.set_launch(
    f'( filesrc location="{path}" ! qtdemux name=d'
    " d.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1"
    f" d.audio_0 ! queue ! {payload} name=pay1 pt=97 )"
)
if access != "none":
    name, password = login
    auth = GstRtspServer.RTSPAuth()
    method = GstRtsp.RTSPAuthMethod
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if access == "digest":
        auth.set_supported_methods(method.DIGEST)
        auth.add_digest(name, password, token)
    else:
        auth.set_supported_methods(method.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/live", factory)
if not server.attach(None):
    sys.exit(f"port {port} is taken")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
