#!/usr/bin/env python3
"""SadTalker behind Livedub's driver protocol.

Run it in SadTalker's own environment, with its repository as the working directory and its checkpoints in place
(https://github.com/OpenTalker/SadTalker, made for cd4c046):

  cd SadTalker
  python /path/to/livedub/models/export/servers/sadtalker_server.py

SadTalker makes a still picture speak. The picture in the middle of a chunk is animated to the chunk's sound, and each
result is moved to where the face is in its own picture, by eyes and nose; Livedub takes the mouth from it.
"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import driver_server as server  # noqa: E402

sys.path.insert(0, os.getcwd())

# Of iBUG's 68 points, those that speech does not move: nose and eyes.
STEADY = range(27, 48)


class SadTalker(server.Driver):
    engine = "sadtalker"
    formats = ("rgb24",)

    def __init__(self, options):
        from src.gradio_demo import SadTalker as Project

        self.options = options
        self.chunk = options.chunk
        self.project = Project(checkpoint_path=options.checkpoints, config_path="src/config", lazy_load=True)

    def drive(self, take, pictures):
        import cv2
        import numpy as np

        shape = (take.height, take.width, 3)
        source = pictures[len(pictures) // 2]
        seconds = len(pictures) / server.frame_rate(pictures)
        with tempfile.TemporaryDirectory(prefix="livedub") as place:
            still, sound = os.path.join(place, "face.png"), os.path.join(place, "dub.wav")
            rgb = np.frombuffer(source.data, np.uint8).reshape(shape)
            cv2.imwrite(still, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
            server.write_sound(sound, take.heard(pictures[0].start, seconds + 0.2))
            try:
                made = self.project.test(
                    still,
                    sound,
                    preprocess="full",
                    still_mode=True,
                    use_enhancer=self.options.enhancer,
                    batch_size=self.options.batch,
                    size=self.options.size,
                    use_blink=False,
                    result_dir=place,
                )
            except AttributeError as failure:
                if "No face is detected" in str(failure):
                    return ["no-face"] * len(pictures)
                raise
            answers = server.at_times(pictures, *server.read_video(made, take))
        for n, picture in enumerate(pictures):
            if isinstance(answers[n], str) or not picture.landmarks or not source.landmarks:
                continue
            here = np.float32([picture.landmarks[point] for point in STEADY])
            there = np.float32([source.landmarks[point] for point in STEADY])
            move, _ = cv2.estimateAffinePartial2D(there, here)
            if move is None:
                answers[n] = "failed"
                continue
            image = np.frombuffer(answers[n], np.uint8).reshape(shape)
            moved = cv2.warpAffine(image, move, (take.width, take.height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            answers[n] = moved.tobytes()
        return answers


if __name__ == "__main__":
    parser = server.arguments(__doc__, 8653)
    parser.add_argument("--checkpoints", default="checkpoints")
    parser.add_argument("--chunk", type=int, default=50, help="pictures that one still is animated for")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, choices=(256, 512), default=256)
    parser.add_argument("--enhancer", action="store_true", help="GFPGAN on the result")
    chosen = parser.parse_args()
    server.main(SadTalker(chosen), chosen)
