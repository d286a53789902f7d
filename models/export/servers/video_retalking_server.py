#!/usr/bin/env python3
"""VideoReTalking behind Livedub's driver protocol.

Run it in VideoReTalking's own environment, with its repository as the working directory and its checkpoints in place
(https://github.com/OpenTalker/video-retalking, made for d32e8e5):

  cd video-retalking
  python /path/to/livedub/models/export/servers/video_retalking_server.py

Every chunk of pictures is a run of its inference.py, which loads its networks anew: it is for recordings.
"""

import os
import subprocess
import sys
import tempfile
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import driver_server as server  # noqa: E402


class VideoReTalking(server.Driver):
    engine = "video-retalking"
    formats = ("rgb24",)

    def __init__(self, options):
        self.options = options
        self.chunk = options.chunk
        if not os.path.isfile("inference.py") or not os.path.isdir("third_part"):
            raise SystemExit("run this in VideoReTalking's repository")

    def drive(self, take, pictures):
        rate = server.frame_rate(pictures)
        name = uuid.uuid4().hex
        with tempfile.TemporaryDirectory(prefix="livedub") as place:
            # inference.py finds the type of a file by what follows the first dot of its path.
            video, sound, made = (os.path.join(place, each) for each in (name + ".mp4", "dub.wav", "made.mp4"))
            server.write_video(video, take, pictures, rate)
            # Its last mel windows need 0.2 s more than the pictures.
            server.write_sound(sound, take.heard(pictures[0].start, len(pictures) / rate + 0.4))
            command = [sys.executable, "inference.py", "--face", video, "--audio", sound, "--outfile", made]
            command += ["--re_preprocess", "--tmp_dir", name, "--LNet_batch_size", str(self.options.batch)]
            try:
                subprocess.run(command, check=True, timeout=self.options.limit)
                return server.at_times(pictures, *server.read_video(made, take))
            finally:
                for left in os.listdir("temp") if os.path.isdir("temp") else []:
                    if left.startswith(name) and os.path.isfile(os.path.join("temp", left)):
                        os.unlink(os.path.join("temp", left))


if __name__ == "__main__":
    parser = server.arguments(__doc__, 8652)
    parser.add_argument("--chunk", type=int, default=250, help="pictures of a run")
    parser.add_argument("--batch", type=int, default=16, help="pictures the network drives at once")
    parser.add_argument("--limit", type=float, default=590, help="seconds a run may take")
    chosen = parser.parse_args()
    server.main(VideoReTalking(chosen), chosen)
