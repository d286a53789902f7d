"""What gpen.py, codeformer.py and gfpgan.py have in common: their ports, and what restoring a mouth must give.

The reference restores as models/restore does: the face is turned upright by the least squares of five points to
facexlib's FFHQ template, sampled bilinearly, given to the network as RGB of -1 ... 1, and of what it makes the mouth is
blended into the patch, in the mean colours that it had.
"""

import argparse
import contextlib
import importlib.machinery
import json
import pathlib
import sys
import types
import warnings

import numpy as np
import torch
from onnx_file import pack, rounded, shrink

TEMPLATE = np.array(
    [[192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935], [201.26117, 371.41043], [313.08905, 371.15118]]
)


def stub(name, path=None, **content):
    """A module in the place of one that asks for what is not needed here."""
    module = types.ModuleType(name)
    module.__path__ = [str(path)] if path else []
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    for key, value in content.items():
        setattr(module, key, value)
    sys.modules[name] = module


class Registry:
    """basicsr's registry of networks, of which only the decorator is used."""

    @staticmethod
    def register():
        return lambda made: made


@contextlib.contextmanager
def fixed_shapes():
    """Shapes are numbers while a network is traced, since faces are all of one size: weights are reshaped by them."""
    torch.Tensor.shape = property(lambda self: torch.Size([int(size) for size in self.size()]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        del torch.Tensor.shape


def export(network, size, file, also=()):
    """Writes a network whose inputs are `input` and the names in `also`."""
    names = ["input", *(name for name, _ in also)]
    example = (torch.zeros(1, 3, size, size), *(value for _, value in also))
    with fixed_shapes():
        torch.onnx.export(
            network,
            example,
            str(file),
            input_names=names,
            output_names=["output"],
            opset_version=16,
            do_constant_folding=True,
        )


def picture():
    """A picture of 160 by 120 with a face of 68 points in it; the test makes the same."""
    y, x = np.mgrid[0:120, 0:160].astype(np.float64)
    cy, cx = np.mgrid[0:60, 0:80].astype(np.float64)
    luma = np.floor(128.5 + 50 * np.sin(x / 9) + 30 * np.cos(y / 7 + x / 30))
    u = np.floor(128.5 + 20 * np.sin(cx / 11 + cy / 5))
    v = np.floor(132.5 + 20 * np.cos(cx / 6 - cy / 9))
    points = np.zeros((68, 2))
    angle = np.arange(17) / 16 * np.pi
    points[:17] = np.stack([80 - 34 * np.cos(angle), 52 + 44 * np.sin(angle)], 1)
    points[17:27] = [[58 + 5 * n, 38] for n in range(10)]
    points[27:31] = [[80, 48 + 6 * n] for n in range(4)]
    points[31:36] = [[74 + 3 * n, 69] for n in range(5)]
    for first, middle in ((36, 66), (42, 94)):
        turn = np.arange(6) / 6 * 2 * np.pi + np.pi
        points[first : first + 6] = np.stack([middle + 5 * np.cos(turn), 49 + 2 * np.sin(turn)], 1)
    for first, count, width, height in ((48, 12, 12, 6), (60, 8, 8, 2)):
        turn = np.arange(count) / count * 2 * np.pi + np.pi
        points[first : first + count] = np.stack([80 + width * np.cos(turn), 80 + height * np.sin(turn)], 1)
    # A head that is held a little askew.
    tilt = np.deg2rad(6)
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    points = ((points - 80) @ rotation.T + 80).astype(np.float32)
    return luma, u, v, points.astype(np.float64)


PATCH = {"left": 52, "top": 60, "width": 52, "height": 44}
RED, BLUE = 0.299, 0.114


def sampled(plane, x, y):
    height, width = plane.shape
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(np.floor(x), width - 2).astype(int), np.minimum(np.floor(y), height - 2).astype(int)
    fx, fy = x - left, y - top
    upper = plane[top, left] * (1 - fx) + plane[top, left + 1] * fx
    lower = plane[top + 1, left] * (1 - fx) + plane[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


def to_frame(points, side):
    """The 2 by 3 matrix from the aligned face to the picture."""
    found = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
    rows, wanted = [], []
    for (x, y), (u, v) in zip(found, TEMPLATE * side / 512):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        wanted += [u, v]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    return np.linalg.inv(np.array([[a, -b, tx], [b, a, ty], [0, 0, 1]]))


def aligned(luma, u, v, matrix, side):
    row, column = np.mgrid[0:side, 0:side]
    x = matrix[0, 0] * column + matrix[0, 1] * row + matrix[0, 2]
    y = matrix[1, 0] * column + matrix[1, 1] * row + matrix[1, 2]
    light = (sampled(luma, x, y) - 16) / 219
    cx, cy = (x + 0.5) / 2 - 0.5, (y + 0.5) / 2 - 0.5
    cb, cr = (sampled(u, cx, cy) - 128) / 224, (sampled(v, cx, cy) - 128) / 224
    red, blue = light + 2 * (1 - RED) * cr, light + 2 * (1 - BLUE) * cb
    green = (light - RED * red - BLUE * blue) / (1 - RED - BLUE)
    return np.clip(2 * np.stack([red, green, blue]) - 1, -1, 1).astype(np.float32)


def smooth(x):
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def mask_of(points, step):
    eyes = np.hypot(*(points[42:48].mean(0) - points[36:42].mean(0)))
    low, high = points[48:68].min(0) - 0.1 * eyes, points[48:68].max(0) + 0.1 * eyes
    centre = (low + high) / 2 - [PATCH["left"], PATCH["top"]]
    radii = (high - low) / 2 + [0.15 * eyes, 0.2 * eyes]
    width, height = PATCH["width"] // step, PATCH["height"] // step
    row, column = np.mgrid[0:height, 0:width]
    x, y = (column + 0.5) * step - 0.5, (row + 0.5) * step - 0.5
    away = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    edge = np.minimum(np.minimum(row, height - 1 - row), np.minimum(column, width - 1 - column)) * step
    return smooth(edge / max(2, 0.08 * eyes)) * smooth((1.35 - away) / 0.35)


def pasted(planes, made, matrix, points):
    out = []
    turned = np.linalg.inv(matrix)
    for channel, plane in enumerate(planes):
        step = 1 if channel == 0 else 2
        mask = mask_of(points, step)
        height, width = mask.shape
        row, column = np.mgrid[0:height, 0:width]
        x = PATCH["left"] + (column + 0.5) * step - 0.5
        y = PATCH["top"] + (row + 0.5) * step - 0.5
        u = turned[0, 0] * x + turned[0, 1] * y + turned[0, 2]
        v = turned[1, 0] * x + turned[1, 1] * y + turned[1, 2]
        red, green, blue = ((sampled(each.astype(np.float64), u, v) + 1) / 2 for each in made)
        light = RED * red + (1 - RED - BLUE) * green + BLUE * blue
        new = [
            16 + 219 * light,
            128 + 224 * (blue - light) / (2 * (1 - BLUE)),
            128 + 224 * (red - light) / (2 * (1 - RED)),
        ][channel]
        top, left = PATCH["top"] // step, PATCH["left"] // step
        old = plane[top : top + height, left : left + width]
        shift = (mask * (old - new)).sum() / mask.sum()
        out.append(np.clip(old + mask * (new + shift - old), 0, 255))
    return out


def reference(network, side, also=()):
    """What the whole way gives with a network in PyTorch."""
    luma, u, v, points = picture()
    matrix = to_frame(points, side)
    face = aligned(luma, u, v, matrix, side)
    with torch.no_grad():
        made = network(torch.tensor(face[None]), *(value for _, value in also))[0].numpy()
    assert made.std() > 0.02, "the network draws nothing"
    y, cb, cr = pasted((luma, u, v), made, matrix, points)
    some = lambda values, every, digits: [round(float(x), digits) for x in values.ravel()[::every]]
    return {
        "side": side,
        "every": 7,
        "input": some(face, 7, 5),
        "output": some(made, 7, 5),
        "patch": {**PATCH, "y": some(y, 1, 2), "u": some(cb, 1, 2), "v": some(cr, 1, 2)},
        "landmarks": [round(float(x), 4) for x in points.ravel()],
    }


def tiny(out, name, network, side, also=()):
    """Writes a small network of random weights, and the reference beside it."""
    out.mkdir(parents=True, exist_ok=True)
    network.eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.numel() >= 512:
                rounded(weight)
    file = out / f"{name}.onnx"
    export(network, side, file, also)
    pack(file)
    shrink(file)
    with open(out / f"{name}.json", "w") as target:
        json.dump(reference(network, side, also), target, separators=(",", ":"))


def arguments(text):
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=pathlib.Path, required=True, help="checkout of the official repository")
    parser.add_argument("--weights", type=pathlib.Path, help="the published weights")
    parser.add_argument("--out", type=pathlib.Path, help="file to write the network to")
    parser.add_argument("--tiny-random", metavar="OUT", type=pathlib.Path, help="folder for a small network to test with")
    given = parser.parse_args()
    if not given.tiny_random and not (given.weights and given.out):
        parser.error("give --weights and --out, or --tiny-random")
    return given
