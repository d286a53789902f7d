#!/usr/bin/python3
"""Exports the networks of LPIPS and FID to ONNX, and writes the small ones that tests run (test/fixtures/perceptual).

  livedub models pull lpips-alex fid-inception
  D=~/.cache/livedub/models/models
  python3 models/export/perceptual.py --lpips $D/lpips-alex
  python3 models/export/perceptual.py --inception $D/fid-inception     (needs torchvision and pytorch-fid)

  lpips_alex.onnx      one, other [N, 3, H, W], red, green, blue, -1 … 1 → distance [N]
  fid_inception.onnx   pictures [N, 3, 299, 299], -1 … 1 → features [N, 2048]

LPIPS is R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, with
AlexNet (https://github.com/richzhang/PerceptualSimilarity, lpips/lpips.py, version 0.1): features of five layers, of unit
length over channels, their squared differences weighted, averaged over the picture and added up. The Inception network is
that of https://github.com/mseitzer/pytorch-fid, pool3, which resizes by itself where it is given another size.

`--tiny-random` makes both with narrow layers and random weights, and references of LPIPS and of the Fréchet distance by
SciPy's matrix root:

  PYTHONPATH=… python3 models/export/perceptual.py --tiny-random test/fixtures/perceptual
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from onnx_file import shrink  # noqa: E402


class Lpips(nn.Module):
    """AlexNet's convolutions have torchvision's names (features.0 …), the weights of layers those of LPIPS (lin0 …)."""

    def __init__(self, narrow=1):
        super().__init__()
        c = [channels // narrow for channels in (64, 192, 384, 256, 256)]
        self.features = nn.Sequential(
            nn.Conv2d(3, c[0], 11, 4, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(c[0], c[1], 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(c[1], c[2], 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c[2], c[3], 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c[3], c[4], 3, padding=1),
            nn.ReLU(),
        )
        self.lins = nn.ModuleList(nn.Conv2d(channels, 1, 1, bias=False) for channels in c)
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None])
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[None, :, None, None])

    def looks(self, x):
        x = (x - self.shift) / self.scale
        for n, layer in enumerate(self.features):
            x = layer(x)
            if n in (1, 4, 7, 9, 11):
                yield x / (torch.sqrt(torch.sum(x**2, 1, keepdim=True)) + 1e-10)

    def forward(self, a, b):
        parts = [
            lin((one - other) ** 2).mean((2, 3)) for lin, one, other in zip(self.lins, self.looks(a), self.looks(b))
        ]
        return sum(parts)[:, 0]


def save_lpips(network, out):
    file = out / "lpips_alex.onnx"
    axes = {0: "N", 2: "H", 3: "W"}
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)),
        str(file),
        input_names=["one", "other"],
        output_names=["distance"],
        dynamic_axes={"one": axes, "other": axes, "distance": {0: "N"}},
        opset_version=13,
    )
    return file


def save_inception(network, out):
    file = out / "fid_inception.onnx"
    torch.onnx.export(
        network.eval(),
        torch.zeros(1, 3, 299, 299),
        str(file),
        input_names=["pictures"],
        output_names=["features"],
        dynamic_axes={"pictures": {0: "N"}, "features": {0: "N"}},
        opset_version=13,
    )
    return file


def lpips(folder):
    network = Lpips()
    alex = torch.load(folder / "alexnet-owt-7be5be79.pth", map_location="cpu")
    lins = torch.load(folder / "alex.pth", map_location="cpu")
    state = network.state_dict()
    state.update({name: value for name, value in alex.items() if name.startswith("features.")})
    state.update({"lins.%d.weight" % n: lins["lin%d.model.1.weight" % n] for n in range(5)})
    network.load_state_dict(state)
    save_lpips(network, folder)


class Pooled(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        # InceptionV3 of pytorch-fid takes 0 … 1 and makes -1 … 1 of it.
        return self.network((x + 1) / 2)[0][:, :, 0, 0]


def inception(folder):
    from pytorch_fid import inception as project

    project.FID_WEIGHTS_URL = (folder / "pt_inception-2015-12-05-6726825d.pth").as_uri()
    save_inception(Pooled(project.InceptionV3([3], resize_input=False)), folder)


def pictures(count, size, seed):
    """Waves across a picture, in three colours, that a test can make again; 0 … 255."""
    y, x = np.mgrid[0:size, 0:size]
    out = np.empty((count, 3, size, size))
    for n in range(count):
        for c in range(3):
            out[n, c] = np.floor(127.5 + 127 * np.sin(x * 0.02 * (n + c + 1) + y * 0.013 * (c + seed) + seed * n))
    return out


def tiny(out):
    from scipy import linalg

    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(5)
    network = Lpips(narrow=32)
    with torch.no_grad():
        for lin in network.lins:
            lin.weight.abs_()
    layers = [nn.Conv2d(3, 8, 7, 8), nn.ReLU(), nn.Conv2d(8, 24, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    small = nn.Sequential(*layers)
    with torch.no_grad():
        small[2].weight.mul_(30)
    shrink(save_lpips(network, out))
    shrink(save_inception(small, out))
    centred = lambda p: torch.tensor(p / 127.5 - 1, dtype=torch.float32)  # noqa: E731
    with torch.no_grad():
        a, b = pictures(3, 96, 1), pictures(3, 96, 2)
        distances = network(centred(a), centred(b))
        one, other = (small(centred(pictures(6, 299, seed))).double().numpy() for seed in (3, 4))
    c1, c2 = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = linalg.sqrtm(c1 @ c2).real
    fid = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * root)
    reference = {"lpips": [float(value) for value in distances], "fid": float(fid), "features": one[0].tolist()}
    (out / "reference.json").write_text(json.dumps(reference))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lpips", metavar="DIR", type=pathlib.Path, help="folder with alexnet-owt-7be5be79.pth, alex.pth")
    parser.add_argument("--inception", metavar="DIR", type=pathlib.Path, help="folder with pt_inception-2015-12-05-6726825d.pth")
    parser.add_argument("--tiny-random", metavar="OUT", type=pathlib.Path, help="folder for the small networks")
    options = parser.parse_args()
    if options.lpips:
        lpips(options.lpips)
    elif options.inception:
        inception(options.inception)
    elif options.tiny_random:
        tiny(options.tiny_random)
    else:
        parser.error("say --lpips DIR, --inception DIR or --tiny-random OUT")


if __name__ == "__main__":
    main()
