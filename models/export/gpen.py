#!/usr/bin/python3
"""Makes gpen.onnx of GPEN's published weights.

    python3 models/export/gpen.py --repo GPEN --weights GPEN-BFR-512.pth --out ~/.cache/livedub/models/models/gpen/gpen.onnx
    python3 models/export/gpen.py --repo GPEN --tiny-random test/fixtures/restore

`--repo` is a checkout of https://github.com/yangxy/GPEN (2c73670), whose network is used as it is, on the CPU. Needs
torch, onnx and numpy.
"""

import sys

import torch
from face_restorer import arguments, export, tiny


class Face(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, input):
        return self.network(input)[0]


def main():
    given = arguments(__doc__)
    sys.path.insert(0, str(given.repo / "face_model"))
    from gpen_model import FullGenerator

    if given.tiny_random:
        torch.manual_seed(1)
        network = FullGenerator(64, 16, 2, channel_multiplier=2, narrow=1 / 64)
        tiny(given.tiny_random, "gpen", Face(network), 64)
        return
    # As face_model/face_gan.py and the README's example for GPEN-BFR-512 have it.
    network = FullGenerator(512, 512, 8, channel_multiplier=2, narrow=1)
    network.load_state_dict(torch.load(given.weights, map_location="cpu"), strict=True)
    export(Face(network.eval()), 512, given.out)


if __name__ == "__main__":
    main()
