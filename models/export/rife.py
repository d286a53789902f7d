#!/usr/bin/python3
"""Makes rife.onnx of RIFE's published weights.

    python3 models/export/rife.py --repo ECCV2022-RIFE --weights train_log/flownet.pkl --out ~/.cache/livedub/models/models/rife/rife.onnx
    python3 models/export/rife.py --repo ECCV2022-RIFE --tiny-random test/fixtures/interpolate

`--repo` is a checkout of https://github.com/hzwer/ECCV2022-RIFE (5d8adbd); `--weights` is flownet.pkl of the "RIFE_m" or
"RIFE" model that its README links to (MIT). Of RIFE_m the network takes any instant; of RIFE it makes the middle alone,
and quarters are middles of middles.

Ports: `before` and `after` [1, 3, H, W], RGB 0 ... 1, H and W multiples of 32; `at` [1], 0 ... 1, where the network takes
one; `output` [1, 3, H, W]. The network is upstream's, but for the grid of its warp, which is made from the picture's size
as it runs instead of being kept from the first. Needs torch, onnx and numpy.
"""

import argparse
import json
import pathlib
import sys
import warnings

import numpy as np
import torch
from onnx_file import pack, rounded, shrink


def warp(picture, flow):
    """model/warplayer.py's, for any size: flow in pixels."""
    ones = torch.ones_like(flow[:, :1])
    across = torch.cumsum(ones, 3) - 1
    down = torch.cumsum(ones, 2) - 1
    x = 2 * (across + flow[:, :1]) / (ones.sum(3, keepdim=True) - 1) - 1
    y = 2 * (down + flow[:, 1:2]) / (ones.sum(2, keepdim=True) - 1) - 1
    grid = torch.cat([x, y], 1).permute(0, 2, 3, 1)
    return torch.nn.functional.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=True)


class Between(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, before, after):
        return self.network(torch.cat([before, after], 1))[2][2]


class Anywhere(Between):
    def forward(self, before, after, at):
        instant = torch.ones_like(before[:, :1]) * at.view(1, 1, 1, 1)
        return self.network(torch.cat([before, after], 1), timestep=instant)[2][2]


def architecture(repo, anywhere, width=1.0):
    """IFNet with layers of `width` times the published numbers of channels."""
    sys.path.insert(0, str(repo))
    from model import IFNet, IFNet_m, refine

    for module in (IFNet, IFNet_m, refine):
        module.warp = warp
    refine.c = max(2, int(16 * width))
    module = IFNet_m if anywhere else IFNet
    network = getattr(module, "IFNet_m")() if anywhere else module.IFNet()
    if width < 1:
        for name, channels in (("block0", 240), ("block1", 150), ("block2", 90)):
            planes = getattr(network, name).conv0[0][0].in_channels
            setattr(network, name, module.IFBlock(planes, c=2 * max(2, int(channels * width / 2))))
    return network


def export(network, file, anywhere):
    example = (torch.rand(1, 3, 64, 96), torch.rand(1, 3, 64, 96), *([torch.tensor([0.5])] if anywhere else []))
    size = {2: "height", 3: "width"}
    names = ["before", "after", *(["at"] if anywhere else [])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            (Anywhere if anywhere else Between)(network.eval()),
            example,
            str(file),
            input_names=names,
            output_names=["output"],
            dynamic_axes={"before": size, "after": size, "output": size},
            opset_version=16,
        )


def pictures():
    """Two pictures of 72 by 50, as planes of Y'CbCr; the test makes the same."""
    planes = []
    for moved in (0, 3):
        y, x = np.mgrid[0:50, 0:72].astype(np.float64)
        cy, cx = np.mgrid[0:25, 0:36].astype(np.float64)
        planes.append(
            (
                np.floor(128.5 + 50 * np.sin((x - moved) / 9) + 30 * np.cos(y / 7)),
                np.floor(128.5 + 20 * np.sin((cx - moved / 2) / 11 + cy / 5)),
                np.floor(132.5 + 20 * np.cos((cx - moved / 2) / 6 - cy / 9)),
            )
        )
    return planes


RED, BLUE = 0.299, 0.114


def rgb(y, u, v):
    """The colours of every pixel, chroma as the four that share it have it; padded to multiples of 32 by what is at the edge."""
    wide = lambda plane: plane.repeat(2, 0).repeat(2, 1)
    light, cb, cr = (y - 16) / 219, (wide(u) - 128) / 224, (wide(v) - 128) / 224
    red, blue = light + 2 * (1 - RED) * cr, light + 2 * (1 - BLUE) * cb
    green = (light - RED * red - BLUE * blue) / (1 - RED - BLUE)
    planes = np.clip(np.stack([red, green, blue]), 0, 1)
    height, width = y.shape
    return np.pad(planes, ((0, 0), (0, -height % 32), (0, -width % 32)), mode="edge").astype(np.float32)


def yuv(planes, height, width):
    red, green, blue = planes[:, :height, :width].astype(np.float64)
    light = RED * red + (1 - RED - BLUE) * green + BLUE * blue
    mean = lambda plane: (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4
    return (
        16 + 219 * light,
        128 + 224 * mean(blue - light) / (2 * (1 - BLUE)),
        128 + 224 * mean(red - light) / (2 * (1 - RED)),
    )


def reference(network, anywhere):
    before, after = (torch.tensor(rgb(*each)[None]) for each in pictures())
    made = {}
    with torch.no_grad():
        if anywhere:
            run = Anywhere(network)
            planes = [run(before, after, torch.tensor([at]))[0].numpy() for at in (1 / 3, 2 / 3)]
        else:
            run = Between(network)
            middle = run(before, after)
            planes = [run(before, middle)[0].numpy(), middle[0].numpy(), run(middle, after)[0].numpy()]
    some = lambda values, every, digits: [round(float(x), digits) for x in values.ravel()[::every]]
    made["every"] = 13
    made["input"] = some(before.numpy(), 13, 5)
    made["output"] = [some(each, 13, 5) for each in planes]
    made["pictures"] = [[some(plane, 3, 2) for plane in yuv(each, 50, 72)] for each in planes]
    return made


def tiny(repo, out):
    out.mkdir(parents=True, exist_ok=True)
    for name, anywhere in (("rife", False), ("rife_m", True)):
        torch.manual_seed(3)
        network = architecture(repo, anywhere, 1 / 40).eval()
        del network.block_tea
        with torch.no_grad():
            for weight in network.parameters():
                if weight.numel() >= 512:
                    rounded(weight)
        file = out / f"{name}.onnx"
        export(network, file, anywhere)
        pack(file)
        shrink(file)
        with open(out / f"{name}.json", "w") as target:
            json.dump(reference(network, anywhere), target, separators=(",", ":"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=pathlib.Path, required=True, help="checkout of the official repository")
    parser.add_argument("--weights", type=pathlib.Path, help="flownet.pkl")
    parser.add_argument("--middle-only", action="store_true", help="the weights are RIFE's, not RIFE_m's")
    parser.add_argument("--out", type=pathlib.Path, help="file to write the network to")
    parser.add_argument("--tiny-random", metavar="OUT", type=pathlib.Path, help="folder for small networks to test with")
    given = parser.parse_args()
    if given.tiny_random:
        return tiny(given.repo, given.tiny_random)
    if not (given.weights and given.out):
        parser.error("give --weights and --out, or --tiny-random")
    anywhere = not given.middle_only
    network = architecture(given.repo, anywhere)
    weights = torch.load(given.weights, map_location="cpu")
    # As model/RIFE.py reads it: weights of a network in DistributedDataParallel.
    network.load_state_dict({key.removeprefix("module."): value for key, value in weights.items()}, strict=True)
    export(network, given.out, anywhere)


if __name__ == "__main__":
    main()
