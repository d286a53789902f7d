#!/usr/bin/python3
"""Exports SyncNet to ONNX, and writes the small one that tests run (test/fixtures/syncnet).

The published weights (http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model) become two files beside
each other, as `livedub eval video` wants them:

  livedub models pull syncnet
  python3 models/export/syncnet.py --checkpoint ~/.cache/livedub/models/models/syncnet/syncnet_v2.model \\
    --out ~/.cache/livedub/models/models/syncnet

  syncnet_lip.onnx     lips [N, 3, 5, 224, 224]: five pictures, blue, green, red, 0 … 255 → embedding [N, 1024]
  syncnet_sound.onnx   sound [N, 1, 13, 20]: coefficients of 0.2 s → embedding [N, 1024]

The architecture is that of https://github.com/joonson/syncnet_python (SyncNetModel.py, 6efbb1c), from J. S. Chung and
A. Zisserman, "Out of time: automated lip sync in the wild", ACCV workshops 2016. `--tiny-random` makes one with narrow
layers and random weights, and a reference of every step with the libraries that the original uses (numpy, SciPy,
OpenCV, python_speech_features):

  PYTHONPATH=… python3 models/export/syncnet.py --tiny-random test/fixtures/syncnet

Written for Debian's python3-torch 1.13 and python3-onnx.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from onnx_file import pack, rounded, shrink  # noqa: E402


def flat(kind, ins, outs, kernel, stride=1, padding=0):
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if kind == 2 else (nn.Conv3d, nn.BatchNorm3d)
    return [conv(ins, outs, kernel, stride, padding), norm(outs), nn.ReLU()]


def head(ins, hidden, outs):
    return nn.Sequential(nn.Linear(ins, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outs))


class SyncNet(nn.Module):
    """`narrow` divides the number of channels; modules have the names that the published weights have."""

    def __init__(self, narrow=1, outs=1024):
        super().__init__()
        n = lambda channels: max(2, channels // narrow)  # noqa: E731
        self.netcnnaud = nn.Sequential(
            *flat(2, 1, n(64), 3, 1, 1),
            nn.MaxPool2d(1, 1),
            *flat(2, n(64), n(192), 3, 1, 1),
            nn.MaxPool2d(3, (1, 2)),
            *flat(2, n(192), n(384), 3, 1, 1),
            *flat(2, n(384), n(256), 3, 1, 1),
            *flat(2, n(256), n(256), 3, 1, 1),
            nn.MaxPool2d(3, 2),
            *flat(2, n(256), n(512), (5, 4)),
        )
        self.netfcaud = head(n(512), n(512), outs)
        self.netfclip = head(n(512), n(512), outs)
        self.netcnnlip = nn.Sequential(
            *flat(3, 3, n(96), (5, 7, 7), (1, 2, 2)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *flat(3, n(96), n(256), (1, 5, 5), (1, 2, 2), (0, 1, 1)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *flat(3, n(256), n(256), (1, 3, 3), 1, (0, 1, 1)),
            *flat(3, n(256), n(256), (1, 3, 3), 1, (0, 1, 1)),
            *flat(3, n(256), n(256), (1, 3, 3), 1, (0, 1, 1)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *flat(3, n(256), n(512), (1, 6, 6)),
        )

    def sound(self, x):
        return self.netfcaud(self.netcnnaud(x).flatten(1))

    def lips(self, x):
        return self.netfclip(self.netcnnlip(x).flatten(1))


class Half(nn.Module):
    def __init__(self, network, half):
        super().__init__()
        self.network, self.half = network, half

    def forward(self, x):
        return getattr(self.network, self.half)(x)


def save(network, out):
    for half, name, shape in (("lips", "lip", (1, 3, 5, 224, 224)), ("sound", "sound", (1, 1, 13, 20))):
        torch.onnx.export(
            Half(network, half),
            torch.zeros(shape),
            str(out / f"syncnet_{name}.onnx"),
            input_names=[half],
            output_names=["embedding"],
            dynamic_axes={half: {0: "N"}, "embedding": {0: "N"}},
            opset_version=13,
        )


def export(checkpoint, out):
    loaded = torch.load(checkpoint, map_location="cpu")
    network = SyncNet().eval()
    network.load_state_dict(loaded)
    out.mkdir(parents=True, exist_ok=True)
    save(network, out)


COUNT = 30


def drawn(seed, count):
    """Numbers from 0 to 1 that a test can make again."""
    out = np.empty(count)
    for n in range(count):
        seed = seed * 16807 % 2147483647
        out[n] = seed / 2147483647
    return out


def sound(samples):
    """A hum that comes and goes, with some noise; 16 bit."""
    t = np.arange(samples) / 16000
    wave = 0.3 * np.sin(2 * np.pi * 180 * t) * (1 + np.sin(2 * np.pi * 3 * t)) + 0.05 * (drawn(7, samples) - 0.5)
    return np.round(wave * 32767 * 0.8).astype(np.int16)


def picture(n):
    """96 × 80 pixels, blue, green, red: slanted stripes that wander, and a bar that opens and closes."""
    y, x = np.mgrid[0:80, 0:96]
    base = (x * 3 + y * 2 + n * 5) % 256
    image = np.stack([base, (base * 2 + 40) % 256, (255 - base)], axis=-1)
    opening = 2 + n * 7 % 9
    image[50 : 50 + opening, 40:60] = 20
    return image.astype(np.uint8)


def boxes():
    """Left, top, right, bottom of a face that wanders and grows, once out of the picture."""
    n = np.arange(COUNT)
    left, top, size = 20 + 4 * np.sin(n / 3), 12 + n * 0.4, 44 + 3 * np.cos(n / 2) + (n == 9) * 20
    return np.stack([left, top, left + size * 0.9, top + size], axis=1)


def crops(frames):
    """run_pipeline.py, crop_video: boxes smoothed by medians, pictures padded by grey, cut and scaled."""
    import cv2
    from scipy import signal

    b = boxes()
    s = signal.medfilt(np.maximum(b[:, 3] - b[:, 1], b[:, 2] - b[:, 0]) / 2, 13)
    x, y = signal.medfilt((b[:, 0] + b[:, 2]) / 2, 13), signal.medfilt((b[:, 1] + b[:, 3]) / 2, 13)
    cs, out = 0.4, []
    for n, image in enumerate(frames):
        bs = s[n]
        bsi = int(bs * (1 + 2 * cs))
        padded = np.pad(image, ((bsi, bsi), (bsi, bsi), (0, 0)), "constant", constant_values=(110, 110))
        my, mx = y[n] + bsi, x[n] + bsi
        face = padded[int(my - bs) : int(my + bs * (1 + 2 * cs)), int(mx - bs * (1 + cs)) : int(mx + bs * (1 + cs))]
        out.append(cv2.resize(face, (224, 224)))
    return np.stack(out)


def tiny(out):
    import python_speech_features

    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(11)
    network = SyncNet(narrow=24, outs=16)
    pcm = sound(COUNT * 640)
    lips = crops([picture(n) for n in range(COUNT)])
    mfcc = np.stack([np.array(i) for i in zip(*python_speech_features.mfcc(pcm, 16000))])
    last = min(COUNT, len(pcm) // 640) - 5
    moving = torch.tensor(np.stack([lips[n : n + 5].transpose(3, 0, 1, 2) for n in range(last)]).astype(np.float32))
    heard = torch.tensor(np.stack([mfcc[None, :, 4 * n : 4 * n + 20] for n in range(last)]).astype(np.float32))
    with torch.no_grad():
        # Means and variances as after training, or everything would be lost in rounding.
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
                module.momentum = None
        network.train()
        network.lips(moving), network.sound(heard)
        network.eval()
        for parameter in network.parameters():
            if parameter.dim() > 1:
                rounded(parameter)
        seen, said = network.lips(moving), network.sound(heard)
    save(network, out)
    for name in ("lip", "sound"):
        file = out / f"syncnet_{name}.onnx"
        pack(file)
        shrink(file)

    # SyncNetInstance.py, calc_pdist and evaluate.
    shift = 15
    padded = nn.functional.pad(said, (0, 0, shift, shift))
    distances = [
        nn.functional.pairwise_distance(seen[[n]].repeat(2 * shift + 1, 1), padded[n : n + 2 * shift + 1])
        for n in range(last)
    ]
    mean = torch.mean(torch.stack(distances, 1), 1)
    least, at = torch.min(mean, 0)
    numbers = lambda values: [round(float(value), 6) for value in values]  # noqa: E731
    reference = {
        "count": COUNT,
        "mfcc": [numbers(row) for row in mfcc[:, ::6]],
        "boxes": [numbers(row) for row in boxes()],
        # Each crop's pixels at every 16th row and column, blue, green, red.
        "crops": {str(n): lips[n, 3::32, 5::32].reshape(-1).tolist() for n in (0, 3, 9, 15, 29)},
        "lips": [numbers(row) for row in seen[::6]],
        "sound": [numbers(row) for row in said[::6]],
        "distances": numbers(mean),
        "lseD": round(float(least), 6),
        "lseC": round(float(torch.median(mean) - least), 6),
        "offset": int(shift - at),
    }
    (out / "reference.json").write_text(json.dumps(reference))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny-random", metavar="OUT", type=pathlib.Path, help="folder for the small network")
    parser.add_argument("--checkpoint", metavar="FILE", help="syncnet_v2.model")
    parser.add_argument("--out", metavar="OUT", type=pathlib.Path, help="folder for the exported network")
    options = parser.parse_args()
    if options.tiny_random:
        tiny(options.tiny_random)
    elif options.checkpoint and options.out:
        export(options.checkpoint, options.out)
    else:
        parser.error("say --tiny-random OUT, or --checkpoint FILE and --out OUT")


if __name__ == "__main__":
    main()
