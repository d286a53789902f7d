#!/usr/bin/python3
"""Makes a streaming zipformer transducer to test with, and what must be recognised with it.

    python3 models/export/zipformer.py --tiny-random OUT --source ICEFALL/egs/librispeech/ASR --clip SPEECH.wav

The models that people use need no export: they are published as ONNX (`livedub models list`); one's own are exported by
icefall's zipformer/export-onnx-streaming.py. This builds a network of random weights by the code that icefall trains with
(a checkout of https://github.com/k2-fsa/icefall), of the exact architecture with few and narrow layers, and writes

    encoder.onnx.gz, decoder.onnx, joiner.onnx   with the ports and the metadata of that script
    tokens.txt                                pieces of words; `▁` begins a word
    reference.json                            the tokens that PyTorch finds in the clip, and the frame of each

The reference hears as the models' own program does: Kaldi's filter bank of 80 channels over samples of -1 to 1, chunks of
32 frames and 13 more, and of every 40 ms the likeliest token, or none. Needs torch, onnx, numpy; the clip 16 kHz, mono, 16 bit.
"""

import argparse
import json
import math
import sys
import types
import wave
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from onnx_file import compress, describe, pack, rounded, shrink

PIECES = "<blk> <sos/eos> <unk> S ▁THE ▁A T ED E ING N R ER Y ▁S O L D ' ▁W AL EN ON K".split()
CHUNK, LEFT, RATE = 16, 64, 16_000
# Silence behind the clip, so that its end comes out.
TAIL = RATE * 8 // 10


def import_icefall(source):
    """The modules of the recipe. What they take of k2 are two activations; of icefall's own package a context."""
    k2 = types.ModuleType("k2")
    k2.swoosh_l_forward = lambda x: torch.logaddexp(torch.zeros(()), x - 4.0) - 0.08 * x - 0.035
    k2.swoosh_r_forward = lambda x: torch.logaddexp(torch.zeros(()), x - 1.0) - 0.08 * x - 0.313261687
    icefall, utils = types.ModuleType("icefall"), types.ModuleType("icefall.utils")
    utils.torch_autocast = lambda *_, **__: nullcontext()
    sys.modules.update({"k2": k2, "icefall": icefall, "icefall.utils": utils})
    sys.path.insert(0, str(source / "zipformer"))
    import decoder
    import joiner
    import scaling_converter
    import subsampling
    import zipformer

    return types.SimpleNamespace(
        Decoder=decoder.Decoder, Joiner=joiner.Joiner, Subsampling=subsampling.Conv2dSubsampling,
        Zipformer=zipformer.Zipformer2, plain=scaling_converter.convert_scaled_to_non_scaled,
    )


class Encoder(torch.nn.Module):
    """One chunk through subsampling, zipformer and projection, with everything it remembers going in and out."""

    def __init__(self, embed, zipformer, projection):
        super().__init__()
        self.embed, self.zipformer, self.projection = embed, zipformer, projection
        self.frames = 2 * CHUNK + 13

    def start(self):
        states = self.zipformer.get_init_states(1, torch.device("cpu"))
        return [*states, self.embed.get_init_states(1, torch.device("cpu")), torch.zeros(1, dtype=torch.int64)]

    def forward(self, x, states):
        *layers, left, seen = states
        y, lengths, left = self.embed.streaming_forward(x, torch.full((1,), self.frames), left)
        # What no frame has filled yet must not be attended to.
        empty = (seen.unsqueeze(1) <= torch.arange(LEFT).unsqueeze(0)).flip(1)
        mask = torch.cat([empty, torch.zeros(1, CHUNK, dtype=torch.bool)], dim=1)
        out, _, layers = self.zipformer.streaming_forward(y.permute(1, 0, 2), lengths, layers, mask)
        return self.projection(out.permute(1, 0, 2)), [*layers, left, seen + lengths]


class Predictor(torch.nn.Module):
    def __init__(self, decoder, projection):
        super().__init__()
        self.decoder, self.projection = decoder, projection

    def forward(self, y):
        return self.projection(self.decoder(y, need_pad=False).squeeze(1))


class Output(torch.nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, encoder_out, decoder_out):
        return self.linear(torch.tanh(encoder_out + decoder_out))


def build(parts):
    torch.manual_seed(3)
    dims = (16, 24)
    # sherpa-onnx counts on the 128 channels at the end of subsampling.
    embed = parts.Subsampling(80, dims[0], layer1_channels=4, layer2_channels=8, dropout=0.0)
    zipformer = parts.Zipformer(
        output_downsampling_factor=2, downsampling_factor=(1, 2), num_encoder_layers=(1, 1),
        encoder_dim=dims, encoder_unmasked_dim=(16, 16), query_head_dim=(4, 4), value_head_dim=(4, 4),
        pos_head_dim=(4, 4), pos_dim=16, num_heads=(4, 4), feedforward_dim=(24, 24),
        cnn_module_kernel=(15, 7), dropout=0.0, causal=True, chunk_size=(CHUNK,), left_context_frames=(LEFT,),
    )
    decoder = parts.Decoder(len(PIECES), 16, 0, 2)
    joiner = parts.Joiner(max(dims), 16, 16, len(PIECES))
    whole = torch.nn.ModuleDict({"embed": embed, "zipformer": zipformer, "decoder": decoder, "joiner": joiner}).eval()
    with torch.no_grad():
        for weight in whole["zipformer"].parameters():
            if weight.dim() > 1:
                weight.mul_(1.5)
        joiner.encoder_proj.weight.normal_(0, 1)
        joiner.decoder_proj.weight.normal_(0, 0.3)
        joiner.output_linear.weight.normal_(0, 1)
        joiner.output_linear.bias.zero_()
        # Most of speech is no new token.
        joiner.output_linear.bias[0] = 4.5
        for weight in whole.parameters():
            if weight.dim() > 1 and weight.numel() >= 512:
                rounded(weight)
    return whole


def spread(whole, features):
    """Makes the encoder's output vary over the clip, as that of a network that learned something does."""
    encoder = Encoder(whole["embed"], whole["zipformer"], whole["joiner"].encoder_proj)
    states, heard = encoder.start(), []
    for begin in range(0, len(features) - encoder.frames, 2 * CHUNK):
        out, states = encoder(features[None, begin : begin + encoder.frames], states)
        heard.append(out[0])
    heard = torch.cat(heard)
    gain = 1.5 / heard.std(0)
    projection = whole["joiner"].encoder_proj
    projection.weight.mul_(gain[:, None])
    projection.bias.copy_((projection.bias - heard.mean(0)) * gain)


def export(whole, parts, out):
    plain = parts.plain(whole, inplace=False)
    zipformer, joiner = plain["zipformer"], plain["joiner"]
    encoder = Encoder(plain["embed"], zipformer, joiner.encoder_proj)
    for module in zipformer.modules():
        # Positions for as far as is looked back, rather than for 40 s.
        if hasattr(module, "extend_pe"):
            module.pe = None
            module.extend_pe(torch.zeros(LEFT + CHUNK))
    states = encoder.start()
    names = [f"cached_{what}_{n}" for n in range((len(states) - 2) // 6) for what in ("key", "nonlin_attn", "val1", "val2", "conv1", "conv2")]
    names += ["embed_states", "processed_lens"]
    batch = {name: {0 if "conv" in name or n >= len(names) - 2 else 1: "N"} for n, name in enumerate(names)}
    torch.onnx.export(
        encoder, (torch.rand(1, encoder.frames, 80), states), str(out / "encoder.onnx"), opset_version=13,
        input_names=["x", *names], output_names=["encoder_out", *(f"new_{name}" for name in names)],
        dynamic_axes={**batch, **{f"new_{name}": axes for name, axes in batch.items()}, "x": {0: "N"}, "encoder_out": {0: "N"}},
    )
    shrink(out / "encoder.onnx")
    pack(out / "encoder.onnx")
    ratio = zipformer.downsampling_factor
    describe(out / "encoder.onnx", {
        "model_type": "zipformer2", "version": 1, "model_author": "k2-fsa", "comment": "streaming zipformer2",
        "decode_chunk_len": 2 * CHUNK, "T": encoder.frames, "num_encoder_layers": zipformer.num_encoder_layers,
        "encoder_dims": zipformer.encoder_dim, "cnn_module_kernels": zipformer.cnn_module_kernel,
        "left_context_len": tuple(LEFT // each for each in ratio), "query_head_dims": zipformer.query_head_dim,
        "value_head_dims": zipformer.value_head_dim, "num_heads": zipformer.num_heads,
    })
    predictor = torch.jit.script(Predictor(plain["decoder"], joiner.decoder_proj))
    torch.onnx.export(
        predictor, torch.zeros(1, 2, dtype=torch.int64), str(out / "decoder.onnx"), opset_version=13,
        input_names=["y"], output_names=["decoder_out"], dynamic_axes={"y": {0: "N"}, "decoder_out": {0: "N"}},
    )
    describe(out / "decoder.onnx", {"context_size": 2, "vocab_size": len(PIECES)})
    wide = joiner.output_linear.weight.shape[1]
    torch.onnx.export(
        Output(joiner.output_linear), (torch.rand(1, wide), torch.rand(1, wide)), str(out / "joiner.onnx"), opset_version=13,
        input_names=["encoder_out", "decoder_out"], output_names=["logit"],
        dynamic_axes={"encoder_out": {0: "N"}, "decoder_out": {0: "N"}, "logit": {0: "N"}},
    )
    describe(out / "joiner.onnx", {"joiner_dim": wide})
    (out / "tokens.txt").write_text("".join(f"{piece} {n}\n" for n, piece in enumerate(PIECES)), encoding="utf-8")


def filter_bank(pcm):
    """Kaldi's log mel energies (feature-fbank.cc) with whole frames at both edges, no dither, 20 Hz to 7600 Hz."""
    shift, length, size = 160, 400, 512
    count = (len(pcm) + shift // 2) // shift
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))) ** 0.85
    mel = lambda hertz: 1127 * np.log(1 + np.asarray(hertz) / 700)
    edges = np.linspace(mel(20), mel(RATE / 2 - 400), 82)
    bins = mel(np.arange(size // 2) * RATE / size)
    up = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.maximum(0, np.minimum(up, down))
    rows = []
    for n in range(count):
        at = np.arange(length) + n * shift + shift // 2 - length // 2
        # Beyond an edge the sound goes back the way it came.
        at = np.where(at < 0, -1 - at, at)
        at = np.where(at >= len(pcm), 2 * len(pcm) - 1 - at, at)
        frame = pcm[at].astype(np.float64)
        frame = frame - frame.mean()
        frame = np.append(frame[0] * 0.03, frame[1:] - 0.97 * frame[:-1])
        power = np.abs(np.fft.rfft(frame * window, size)) ** 2
        rows.append(np.log(np.maximum(bank @ power[: size // 2], np.finfo(np.float32).eps)))
    return torch.tensor(np.array(rows), dtype=torch.float32)


def recognise(whole, features):
    encoder = Encoder(whole["embed"], whole["zipformer"], whole["joiner"].encoder_proj)
    predictor, output = Predictor(whole["decoder"], whole["joiner"].decoder_proj), Output(whole["joiner"].output_linear)
    states, context, found, frame, margin = encoder.start(), [-1, 0], [], 0, math.inf
    for begin in range(0, len(features) - encoder.frames, 2 * CHUNK):
        heard, states = encoder(features[None, begin : begin + encoder.frames], states)
        for each in heard[0]:
            logits = output(each[None], predictor(torch.tensor([context])))[0]
            first, second = logits.topk(2).values.tolist()
            margin = min(margin, first - second)
            token = int(logits.argmax())
            if token not in (0, PIECES.index("<unk>")):
                found.append((token, frame))
                context = [context[1], token]
            frame += 1
    return found, margin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny-random", type=Path, metavar="OUT", required=True, help="directory to write to")
    parser.add_argument("--source", type=Path, required=True, help="egs/librispeech/ASR of a checkout of icefall")
    parser.add_argument("--clip", type=Path, required=True, help="speech to recognise")
    args = parser.parse_args()
    args.tiny_random.mkdir(parents=True, exist_ok=True)
    parts = import_icefall(args.source)
    whole = build(parts)
    with wave.open(str(args.clip)) as clip:
        pcm = np.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype(np.float32) / 32_768
    with torch.no_grad():
        features = filter_bank(np.append(pcm, np.zeros(TAIL, np.float32)))
        spread(whole, features)
        found, margin = recognise(whole, features)
        export(whole, parts, args.tiny_random)
    compress(args.tiny_random / "encoder.onnx")
    reference = {"clip": args.clip.name, "tokens": [PIECES[token] for token, _ in found], "frames": [n for _, n in found]}
    (args.tiny_random / "reference.json").write_text(json.dumps(reference, ensure_ascii=False) + "\n", encoding="utf-8")
    print(len(pcm) / RATE, "s", len(found), "tokens", len({token for token, _ in found}), "kinds; least margin", margin)


if __name__ == "__main__":
    main()
