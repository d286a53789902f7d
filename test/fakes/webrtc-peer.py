"""A WHIP publisher or WHEP viewer made with aiortc: python3 webrtc-peer.py whip|whep URL [--token T] [--clip FILE --codec video/VP8]

Says one JSON object a line: "answered" with the status, then what was received or sent, twice a second. DELETEs and ends
when its standard input does.
"""

import asyncio
import sys
import urllib.parse

import aioice.ice
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError
from whip_client import arguments, request, say

# Loopback is all that a test may use.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


async def watch(track, seen):
    try:
        while True:
            frame = await track.recv()
            seen[track.kind] += 1
            if track.kind == "video":
                seen["size"] = f"{frame.width}x{frame.height}"
            else:
                seen["loudest"] = max(seen["loudest"], int(abs(frame.to_ndarray()).max()))
    except MediaStreamError:
        pass


async def sent(pc, seen):
    for row in (await pc.getStats()).values():
        if row.type == "outbound-rtp":
            seen[row.kind] = row.packetsSent


async def main():
    given = arguments()
    pc = RTCPeerConnection()
    seen = {"audio": 0, "video": 0, "loudest": 0, "size": None}
    watching = []
    if given.role == "whip":
        player = MediaPlayer(given.clip, loop=True)
        pc.addTrack(player.audio)
        pc.addTrack(player.video)
        known = RTCRtpSender.getCapabilities("video").codecs
        for transceiver in pc.getTransceivers():
            transceiver.direction = "sendonly"
            if transceiver.kind == "video":
                transceiver.setCodecPreferences([codec for codec in known if codec.mimeType == given.codec])
    else:
        pc.on("track", lambda track: watching.append(asyncio.ensure_future(watch(track, seen))))
        pc.addTransceiver("audio", direction="recvonly")
        pc.addTransceiver("video", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    bearer = given.token and f"Bearer {given.token}"
    loop = asyncio.get_running_loop()
    ask = lambda *args, **headers: loop.run_in_executor(
        None, lambda: request(*args, Authorization=bearer, **headers)
    )
    status, headers, body = await ask("POST", given.url, pc.localDescription.sdp, Content_Type="application/sdp")
    say(answered=status, body=body)
    if status != 201:
        return
    await pc.setRemoteDescription(RTCSessionDescription(sdp=body, type="answer"))
    ended = loop.run_in_executor(None, sys.stdin.read)
    while not ended.done():
        if given.role == "whip":
            await sent(pc, seen)
        say(state=pc.connectionState, **seen)
        await asyncio.wait([ended], timeout=0.5)
    status, _, _ = await ask("DELETE", urllib.parse.urljoin(given.url, headers["Location"]))
    say(deleted=status)
    await pc.close()


asyncio.run(main())
