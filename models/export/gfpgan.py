#!/usr/bin/python3
"""Makes gfpgan.onnx of GFPGAN's published weights.

    python3 models/export/gfpgan.py --repo GFPGAN --weights GFPGANv1.4.pth --out ~/.cache/livedub/models/models/gfpgan/gfpgan.onnx
    python3 models/export/gfpgan.py --repo GFPGAN --tiny-random test/fixtures/restore

`--repo` is a checkout of https://github.com/TencentARC/GFPGAN (7552a77), whose network is used as it is; basicsr, from
which it takes a decorator and how weights begin, need not be installed. Needs torch, onnx and numpy.
"""

import importlib

import torch
from face_restorer import Registry, arguments, export, stub, tiny


def architecture(repo):
    def begin(modules, scale=1, bias_fill=0, **_):
        for module in [m for each in (modules if isinstance(modules, list) else [modules]) for m in each.modules()]:
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                torch.nn.init.kaiming_normal_(module.weight)
                module.weight.data *= scale
                if module.bias is not None:
                    module.bias.data.fill_(bias_fill)

    for name in ("basicsr", "basicsr.archs", "basicsr.utils"):
        stub(name)
    stub("basicsr.archs.arch_util", default_init_weights=begin)
    stub("basicsr.utils.registry", ARCH_REGISTRY=Registry)
    stub("gfpgan", repo / "gfpgan")
    stub("gfpgan.archs", repo / "gfpgan" / "archs")
    return importlib.import_module("gfpgan.archs.gfpganv1_clean_arch").GFPGANv1Clean


class Face(torch.nn.Module):
    """The picture alone, with the noise that was kept from training: the same face is drawn the same each time."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, input):
        return self.network(input, return_rgb=False, randomize_noise=False)[0]


def main():
    given = arguments(__doc__)
    made = architecture(given.repo)
    # As gfpgan/utils.py calls it for versions 1.3 and 1.4.
    usual = {"decoder_load_path": None, "fix_decoder": True, "input_is_latent": True, "different_w": True, "sft_half": True}
    if given.tiny_random:
        torch.manual_seed(1)
        network = made(64, num_style_feat=16, channel_multiplier=2, num_mlp=2, narrow=1 / 64, **usual)
        tiny(given.tiny_random, "gfpgan", Face(network), 64)
        return
    network = made(512, num_style_feat=512, channel_multiplier=2, num_mlp=8, narrow=1, **usual)
    weights = torch.load(given.weights, map_location="cpu")
    network.load_state_dict(weights.get("params_ema", weights.get("params")), strict=True)
    export(Face(network.eval()), 512, given.out)


if __name__ == "__main__":
    main()
