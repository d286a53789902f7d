#!/usr/bin/env python3
"""Writes Wav2Lip as the ONNX file that the engine `wav2lip` loads.

    wav2lip.py --weights wav2lip_gan.pth OUT
    wav2lip.py --random OUT
    wav2lip.py --tiny-random OUT --wav2lip CHECKOUT

`--weights` is one of the checkpoints that https://github.com/Rudrabha/Wav2Lip links to (`wav2lip.pth`, `wav2lip_gan.pth`; for
research, academic and personal use only). `--random` writes a network of the same size with random weights, for measuring;
`--tiny-random` a narrow one for the tests, with reference.json: what the checkout's audio.py and PyTorch make of sound and
of a picture. Needs torch, onnx and numpy (Debian: python3-torch, python3-onnx).

What is written to OUT:

    wav2lip.onnx, wav2lip_fp16.onnx     audio [N, 1, 80, 16], faces [N, 6, 96, 96] (BGR masked, BGR whole; 0 ... 1)
                                        -> out [N, 3, 96, 96] (BGR, 0 ... 1)
    cost/wav2lip.onnx                   the graph for N = 1 with every shape and no weights
"""

import argparse
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

import lips
from musetalk import formula
from onnx_file import shrink


class Block(nn.Module):
    def __init__(self, i, o, ks, stride, padding, residual=False, up=None):
        super().__init__()
        conv = nn.Conv2d(i, o, ks, stride, padding) if up is None else nn.ConvTranspose2d(i, o, ks, stride, padding, up)
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(o))
        self.residual = residual

    def forward(self, x):
        y = self.conv_block(x)
        return torch.relu(y + x if self.residual else y)


def down(i, o, more, stride=2):
    return nn.Sequential(Block(i, o, 3, stride, 1), *(Block(o, o, 3, 1, 1, True) for _ in range(more)))


def up(i, o, more, stride=2):
    first = Block(i, o, 3, 1, 0, up=0) if stride == 1 else Block(i, o, 3, 2, 1, up=1)
    return nn.Sequential(first, *(Block(o, o, 3, 1, 1, True) for _ in range(more)))


class Wav2Lip(nn.Module):
    """models/wav2lip.py of any width (theirs is 16); the names of its weights are theirs."""

    def __init__(self, w=16):
        super().__init__()
        last = lambda i: nn.Sequential(Block(i, 32 * w, 3, 1, 0), Block(32 * w, 32 * w, 1, 1, 0))
        self.face_encoder_blocks = nn.ModuleList([
            nn.Sequential(Block(6, w, 7, 1, 3)), down(w, 2 * w, 2), down(2 * w, 4 * w, 3), down(4 * w, 8 * w, 2),
            down(8 * w, 16 * w, 2), down(16 * w, 32 * w, 1), last(32 * w),
        ])
        self.audio_encoder = nn.Sequential(
            *down(1, 2 * w, 2, 1), *down(2 * w, 4 * w, 2, (3, 1)), *down(4 * w, 8 * w, 2, 3), *down(8 * w, 16 * w, 1, (3, 2)),
            *last(16 * w),
        )
        self.face_decoder_blocks = nn.ModuleList([
            nn.Sequential(Block(32 * w, 32 * w, 1, 1, 0)), up(64 * w, 32 * w, 1, 1), up(64 * w, 32 * w, 2), up(48 * w, 24 * w, 2),
            up(32 * w, 16 * w, 2), up(20 * w, 8 * w, 2), up(10 * w, 4 * w, 2),
        ])
        self.output_block = nn.Sequential(Block(5 * w, 2 * w, 3, 1, 1), nn.Conv2d(2 * w, 3, 1), nn.Sigmoid())

    def forward(self, audio, faces):
        kept = []
        for block in self.face_encoder_blocks:
            faces = block(faces)
            kept.append(faces)
        x = self.audio_encoder(audio)
        for block in self.face_decoder_blocks:
            x = torch.cat([block(x), kept.pop()], 1)
        return self.output_block(x)


EXAMPLE = (torch.zeros(1, 1, 80, 16), torch.zeros(1, 6, 96, 96))
PORTS = (["audio", "faces"], ["out"])


# --- the fixtures ----------------------------------------------------------------------------------------------------------


def slaney(rate, size, bands, lowest, highest):
    """librosa.filters.mel, after its documentation: Slaney's scale, triangles of area 1."""
    mel = lambda f: np.where(f < 1000, f * 3 / 200, 15 + np.log(np.maximum(f, 1e-9) / 1000) * 27 / np.log(6.4))
    hertz = lambda m: np.where(m < 15, m * 200 / 3, 1000 * np.exp((m - 15) * np.log(6.4) / 27))
    edges = hertz(np.linspace(mel(np.float64(lowest)), mel(np.float64(highest)), bands + 2))
    at = np.arange(size // 2 + 1) * rate / size
    rows = [np.maximum(0, np.minimum((at - a) / (b - a), (c - at) / (c - b))) * 2 / (c - a) for a, b, c in zip(edges, edges[1:], edges[2:])]
    return np.array(rows, np.float32)


def stft(y, n_fft, hop_length, win_length):
    """librosa.stft of the release that Wav2Lip asks for (0.7.0): centred, mirrored at the edges, a periodic Hann window."""
    window = torch.hann_window(win_length, dtype=torch.float64)
    return torch.stft(torch.tensor(y), n_fft, hop_length, win_length, window, center=True, pad_mode="reflect", return_complex=True).numpy()


def theirs(args):
    """The checkout's network and audio.py, which is given what it takes of librosa and SciPy."""
    module = lambda name, **parts: sys.modules.__setitem__(name, types.ModuleType(name)) or sys.modules[name].__dict__.update(parts)
    module("librosa.filters", mel=lambda rate, size, n_mels, fmin, fmax: slaney(rate, size, n_mels, fmin, fmax))
    module("librosa", stft=stft, filters=sys.modules["librosa.filters"])
    module("scipy.signal", lfilter=lambda b, _, x: np.concatenate([x[:1], x[1:] + b[1] * x[:-1]]).astype(np.float64))
    module("scipy.io.wavfile")
    module("scipy.io", wavfile=sys.modules["scipy.io.wavfile"])
    module("scipy", signal=sys.modules["scipy.signal"], io=sys.modules["scipy.io"])
    sys.path.insert(0, str(args.wav2lip))
    import audio

    network = lips.only_in(args.wav2lip, "models.wav2lip")[0]
    return audio, network.Wav2Lip


def chunks(mel, fps=25):
    """inference.py: main."""
    out, n = [], 0
    while int(n * 80 / fps) + 16 <= mel.shape[1]:
        out.append(mel[:, int(n * 80 / fps) : int(n * 80 / fps) + 16])
        n += 1
    return [*out, mel[:, -16:]]


def same_as(network):
    """Our module is theirs: the same weights make the same."""
    torch.manual_seed(2)
    them, us = network().eval(), Wav2Lip().eval()
    us.load_state_dict(them.state_dict())
    given = tuple(torch.rand_like(each) for each in EXAMPLE)
    off = (them(*given) - us(*given)).abs().max()
    assert off < 1e-5, f"our Wav2Lip is another: {off}"


def tiny(args, out):
    audio, network = theirs(args)
    with torch.no_grad():
        same_as(network)
        torch.manual_seed(1)
        ours = Wav2Lip(1).eval()
        for name, weight in ours.named_parameters():
            if weight.dim() == 1:
                weight.add_(0.2 * torch.randn_like(weight))
            else:
                # The sound has a long way to go until it is seen.
                weight.mul_(args.gain if name.startswith(("audio", "face_decoder")) else 1)
    lips.write(ours, EXAMPLE, *PORTS, out, "wav2lip")
    for file in out.glob("*.onnx"):
        shrink(file)
    (out / "wav2lip_fp16.onnx").unlink()

    planes = lips.drawn(320, 240)
    rgb = lips.to_rgb(planes)
    # The drawn face's box (test/fakes/drawn.ts), with ten pixels more below: inference.py, face_detect.
    x, y, x1, y1 = 105, 30, 215, 180
    small = np.floor(lips.linear(rgb[y:y1, x:x1, ::-1], 96, 96) + 0.5).astype(np.uint8)
    masked = small.copy()
    masked[48:] = 0
    faces = np.concatenate([masked, small], 2) / 255.0
    made = {"face": lips.sampled(faces.transpose(2, 0, 1), 101), "box": [x, y, x1, y1], "at": 9, "sounds": {}}
    sounds = {"formula": formula(24_000)}
    if args.clip:
        command = ["ffmpeg", "-v", "error", "-i", args.clip, "-ac", "1", "-ar", "16000", "-f", "f32le", "-"]
        sounds[args.clip_name] = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)
    for name, pcm in sounds.items():
        mel = audio.melspectrogram(pcm)
        cut = chunks(mel)
        with torch.no_grad():
            out_ = ours(
                torch.tensor(cut[made["at"]][None, None], dtype=torch.float32),
                torch.tensor(faces.transpose(2, 0, 1)[None], dtype=torch.float32),
            )[0]
        made["sounds"][name] = {
            "samples": len(pcm), "frames": mel.shape[1], "mel": lips.sampled(mel, 37), "chunks": len(cut),
            "chunk": {str(n): lips.sampled(cut[n], 17) for n in (0, 1, 5, len(cut) - 2)}, "out": lips.sampled(out_, 101),
        }
        if name == "formula":
            drawn = (out_.permute(1, 2, 0).numpy() * 255).astype(np.uint8)[:, :, ::-1]
            put = rgb.astype(np.float64).copy()
            put[y:y1, x:x1] = lips.linear(drawn, x1 - x, y1 - y)
            # Whole blocks of chroma: those that the box cuts are mixed of both.
            made["laid"] = [lips.sampled(plane, 29) for plane in lips.to_planes(put)]
    (out / "reference.json").write_text(json.dumps(made) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--weights", metavar="FILE", type=Path, help="an official checkpoint")
    what.add_argument("--random", action="store_true", help="random weights of the true size")
    what.add_argument("--tiny-random", action="store_true", help="fixtures for the tests")
    parser.add_argument("out", metavar="OUT", type=Path)
    parser.add_argument("--wav2lip", metavar="CHECKOUT", type=Path, help="for --tiny-random")
    parser.add_argument("--gain", type=float, default=2.2, help="for --tiny-random: how much is made of the sound")
    parser.add_argument("--clip", metavar="FILE", help="for --tiny-random: real speech to hear as well")
    parser.add_argument("--clip-name", metavar="NAME", help="what reference.json calls it")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.tiny_random:
        return tiny(args, args.out)
    torch.manual_seed(1)
    network = Wav2Lip()
    if args.weights:
        state = torch.load(args.weights, map_location="cpu")["state_dict"]
        network.load_state_dict({name.removeprefix("module."): weight for name, weight in state.items()})
    lips.write(network, EXAMPLE, *PORTS, args.out, "wav2lip")


if __name__ == "__main__":
    main()
