#!/usr/bin/python3
"""Makes codeformer.onnx of CodeFormer's published weights.

    python3 models/export/codeformer.py --repo CodeFormer --weights codeformer.pth --out ~/.cache/livedub/models/models/codeformer/codeformer.onnx
    python3 models/export/codeformer.py --repo CodeFormer --tiny-random test/fixtures/restore

`--repo` is a checkout of https://github.com/sczhou/CodeFormer (b33cc7d), whose network is used as it is; `w` becomes an
input. Of w = 0 upstream leaves the encoder's features out altogether, which adding none of them amounts to. Needs torch,
onnx and numpy.
"""

import importlib
import logging

import torch
from face_restorer import arguments, export, stub, tiny


def architecture(repo):
    stub("basicsr", repo / "basicsr")
    stub("basicsr.archs", repo / "basicsr" / "archs")
    stub("basicsr.utils", repo / "basicsr" / "utils", get_root_logger=logging.getLogger)
    return importlib.import_module("basicsr.archs.codeformer_arch"), importlib.import_module("basicsr.archs.vqgan_arch")


class Face(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, input, w):
        return self.network(input, w, adain=True)[0]


def narrow(codeformer, vqgan):
    """CodeFormer with three levels of a few channels where the real one has six: 64 pixels become 16 either way."""
    vqgan.normalize = lambda channels: torch.nn.GroupNorm(4, channels, eps=1e-6, affine=True)

    class Narrow(codeformer.CodeFormer):
        def __init__(self):
            vqgan.VQAutoEncoder.__init__(self, 64, 4, [1, 2, 2], "nearest", 2, [16], 32)
            self.connect_list = ["32", "64"]
            self.position_emb = torch.nn.Parameter(torch.randn(256, 16))
            self.feat_emb = torch.nn.Linear(256, 16)
            layers = [codeformer.TransformerSALayer(embed_dim=16, nhead=2, dim_mlp=32, dropout=0.0) for _ in range(2)]
            self.ft_layers = torch.nn.Sequential(*layers)
            self.idx_pred_layer = torch.nn.Sequential(torch.nn.LayerNorm(16), torch.nn.Linear(16, 32, bias=False))
            self.fuse_encoder_block = {"64": 2, "32": 5}
            self.fuse_generator_block = {"32": 9, "64": 12}
            channels = {"32": 8, "64": 4}
            self.fuse_convs_dict = torch.nn.ModuleDict(
                {size: codeformer.Fuse_sft_block(count, count) for size, count in channels.items()}
            )

    return Narrow()


def main():
    given = arguments(__doc__)
    codeformer, vqgan = architecture(given.repo)
    also = [("w", torch.tensor([0.7]))]
    if given.tiny_random:
        torch.manual_seed(1)
        network = narrow(codeformer, vqgan)
        with torch.no_grad():
            network.quantize.embedding.weight.mul_(30)
        tiny(given.tiny_random, "codeformer", Face(network), 64, also)
        return
    # As inference_codeformer.py makes it.
    network = codeformer.CodeFormer(
        dim_embd=512, codebook_size=1024, n_head=8, n_layers=9, connect_list=["32", "64", "128", "256"]
    )
    network.load_state_dict(torch.load(given.weights, map_location="cpu")["params_ema"], strict=True)
    export(Face(network.eval()), 512, given.out, also)


if __name__ == "__main__":
    main()
