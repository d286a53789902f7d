#!/usr/bin/env python3
"""Writes MuseTalk 1.5 as the ONNX files that the engine `musetalk` loads.

    musetalk.py --weights DIR OUT [--diffusers CHECKOUT] --whisper CHECKOUT
    musetalk.py --random OUT [--only unet,sd_vae_decoder] [--graphs] --diffusers CHECKOUT --whisper CHECKOUT
    musetalk.py --tiny-random OUT --musetalk CHECKOUT --diffusers CHECKOUT --whisper CHECKOUT

`--weights` is a directory with the official files under the names that `livedub models pull musetalk` and MuseTalk's own
download_weights.sh give them:

    musetalkV15/musetalk.json, musetalkV15/unet.pth                huggingface.co/TMElyralab/MuseTalk
    sd-vae/config.json, sd-vae/diffusion_pytorch_model.bin         huggingface.co/stabilityai/sd-vae-ft-mse
    whisper/config.json, whisper/pytorch_model.bin                 huggingface.co/openai/whisper-tiny
    face-parse-bisent/79999_iter.pth                               github.com/zllrunning/face-parsing.PyTorch
    taesd/taesd_encoder.pth, taesd/taesd_decoder.pth               github.com/madebyollin/taesd; may be left out

`--random` writes networks of the same sizes with random weights, for measuring how fast they are: the arithmetic is the same.
`--tiny-random` writes narrow ones for the tests, with reference.json: what the checkout of MuseTalk (its audio_processor.py,
unet.py, face_parsing and blending.py) and PyTorch make of a picture and of sound, step by step.

`--diffusers` is a checkout of https://github.com/huggingface/diffusers (MuseTalk asks for 0.30.2), where it is not installed;
`--whisper` one of https://github.com/openai/whisper. Needs torch, onnx and numpy, for `--tiny-random` Pillow (Debian:
python3-torch, python3-onnx, python3-pil).

What is written to OUT, each also in half precision as NAME_fp16.onnx, all of it batched along N:

    whisper.onnx                 mel [N, 80, 3000] -> states [N, 1500, 5, 384]: every hidden state, the last one normalised
    sd_vae_encoder.onnx          pixels [N, 3, 256, 256], -1 ... 1 -> latents [N, 4, 32, 32], not scaled: the mean
    sd_vae_decoder.onnx          latents -> pixels
    taesd_encoder.onnx, taesd_decoder.onnx                the same by TAESD
    unet.onnx                    latents [N, 8, 32, 32], audio [N, 50, 384] -> out [N, 4, 32, 32]; the time step is 0
    parsing.onnx                 pixels [N, 3, 512, 512], normalised -> labels [N, 512, 512], uint8
    live.json                    window (mel frames), states, width; by what latents are multiplied, per VAE
    probe_flops.onnx, probe_bytes.onnx, probes.json       networks that find out what a GPU can do at most
    cost/NAME.onnx               the graph for N = 1 with every shape and no weights, for counting FLOPs and bytes

The official script draws the latents at random from what the VAE's encoder gives (`latent_dist.sample()`), its training
takes the mean (`mode()`); so do we, since a mouth that flickers with its noise is no use.
"""

import argparse
import json
import math
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import lips
from onnx_file import pack, rounded, shrink

#: musetalkV15/musetalk.json of huggingface.co/TMElyralab/MuseTalk, as far as the sizes go.
UNET = dict(
    sample_size=64, in_channels=8, out_channels=4, block_out_channels=(320, 640, 1280, 1280), layers_per_block=2,
    cross_attention_dim=384, attention_head_dim=8, norm_num_groups=32, norm_eps=1e-5, act_fn="silu",
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
)
#: config.json of huggingface.co/stabilityai/sd-vae-ft-mse.
VAE = dict(
    in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(128, 256, 512, 512), layers_per_block=2,
    norm_num_groups=32, sample_size=256, act_fn="silu",
    down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
)
#: config.json of huggingface.co/openai/whisper-tiny.
WHISPER = dict(n_mels=80, n_ctx=1500, n_state=384, n_head=6, n_layer=4)
#: Channels of BiSeNet's backbone (ResNet-18), and of everything behind it in multiples of its first.
WIDTH = 64

FACTOR = 0.18215
FRAME = 10


# --- the networks --------------------------------------------------------------------------------------------------------


class States(nn.Module):
    """Whisper's encoder with every hidden state, as transformers' `output_hidden_states` gives them."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, mel):
        e = self.encoder
        x = F.gelu(e.conv2(F.gelu(e.conv1(mel)))).permute(0, 2, 1) + e.positional_embedding
        states = [x]
        for block in e.blocks:
            x = block(x)
            states.append(x)
        states[-1] = e.ln_post(x)
        return torch.stack(states, 2)


class Encoder(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, pixels):
        made = self.vae.encode(pixels)
        return made.latent_dist.mode() if hasattr(made, "latent_dist") else made.latents


class Decoder(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, latents):
        return self.vae.decode(latents).sample


class Step(nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, latents, audio):
        return self.unet(latents, torch.tensor([0]), encoder_hidden_states=audio).sample


class ConvBNReLU(nn.Module):
    def __init__(self, i, o, ks=3, stride=1, padding=1):
        super().__init__()
        self.conv = nn.Conv2d(i, o, ks, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Basic(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        plain = i == o and stride == 1
        self.downsample = None if plain else nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


class Backbone(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, w, 7, 2, 3, bias=False), nn.BatchNorm2d(w)
        sizes = [(w, w, 1), (w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 8 * w, 2)]
        for n, (i, o, stride) in enumerate(sizes):
            setattr(self, f"layer{n + 1}", nn.Sequential(Basic(i, o, stride), Basic(o, o, 1)))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class Refinement(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.conv = ConvBNReLU(i, o)
        self.conv_atten, self.bn_atten = nn.Conv2d(o, o, 1, bias=False), nn.BatchNorm2d(o)

    def forward(self, x):
        x = self.conv(x)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True))))


class Context(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.resnet = Backbone(w)
        self.arm16, self.arm32 = Refinement(4 * w, 2 * w), Refinement(8 * w, 2 * w)
        self.conv_head32, self.conv_head16 = ConvBNReLU(2 * w, 2 * w), ConvBNReLU(2 * w, 2 * w)
        self.conv_avg = ConvBNReLU(8 * w, 2 * w, 1, 1, 0)

    def forward(self, x):
        eighth, sixteenth, last = self.resnet(x)
        last = self.arm32(last) + self.conv_avg(last.mean((2, 3), keepdim=True))
        last = self.conv_head32(F.interpolate(last, scale_factor=2, mode="nearest"))
        sixteenth = self.arm16(sixteenth) + last
        return eighth, self.conv_head16(F.interpolate(sixteenth, scale_factor=2, mode="nearest"))


class Fusion(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.convblk = ConvBNReLU(c, c, 1, 1, 0)
        self.conv1, self.conv2 = nn.Conv2d(c, c // 4, 1, bias=False), nn.Conv2d(c // 4, c, 1, bias=False)

    def forward(self, a, b):
        x = self.convblk(torch.cat([a, b], 1))
        return x + x * torch.sigmoid(self.conv2(F.relu(self.conv1(x.mean((2, 3), keepdim=True)))))


class Head(nn.Module):
    def __init__(self, i, mid, classes):
        super().__init__()
        self.conv, self.conv_out = ConvBNReLU(i, mid), nn.Conv2d(mid, classes, 1, bias=False)

    def forward(self, x):
        return self.conv_out(self.conv(x))


class Parsing(nn.Module):
    """BiSeNet as in face-parsing.PyTorch, of any width; the names of its weights are theirs."""

    def __init__(self, w=WIDTH, classes=19):
        super().__init__()
        self.cp, self.ffm, self.conv_out = Context(w), Fusion(4 * w), Head(4 * w, 4 * w, classes)

    def logits(self, pixels):
        small = self.conv_out(self.ffm(*self.cp(pixels)))
        return F.interpolate(small, scale_factor=8, mode="bilinear", align_corners=True, recompute_scale_factor=True)

    def forward(self, pixels):
        return self.logits(pixels).argmax(1).to(torch.uint8)


#: transformers' names of a Whisper encoder's weights, and openai/whisper's.
NAMES = [
    ("self_attn_layer_norm", "attn_ln"), ("self_attn.q_proj", "attn.query"), ("self_attn.k_proj", "attn.key"),
    ("self_attn.v_proj", "attn.value"), ("self_attn.out_proj", "attn.out"), ("final_layer_norm", "mlp_ln"),
    ("fc1", "mlp.0"), ("fc2", "mlp.2"), ("embed_positions.weight", "positional_embedding"), ("layers.", "blocks."),
]


def encoder_weights(state):
    named = {}
    for name, weight in state.items():
        name = name.removeprefix("model.")
        if not name.startswith("encoder."):
            continue
        name = name.removeprefix("encoder.")
        if name.startswith("layer_norm."):
            name = name.replace("layer_norm", "ln_post")
        for theirs, ours in NAMES:
            name = name.replace(theirs, ours)
        named[name] = weight
    return named


def plain(mapping, keys):
    return {key: tuple(value) if isinstance(value, list) else value for key, value in mapping.items() if key in keys}


def read(file):
    state = torch.load(file, map_location="cpu")
    return state.get("state_dict", state)


def models(args):
    """Every network, by the name of its file, and the shape of what it is given."""
    UNet, KL, Tiny = lips.diffusers(args.diffusers)
    (whisper,) = lips.only_in(args.whisper, "whisper.model")
    whisper.MultiHeadAttention.use_sdpa = False
    tiny = args.tiny_random is not None
    weights = args.weights
    unet, vae, ear = dict(UNET), dict(VAE), dict(WHISPER)
    taesd, width = {}, WIDTH
    if tiny:
        unet |= dict(block_out_channels=(8, 16, 16, 16), layers_per_block=1, cross_attention_dim=16, attention_head_dim=2,
                     norm_num_groups=4, sample_size=32)
        vae |= dict(block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=4)
        ear |= dict(n_ctx=250, n_state=16, n_head=2, n_layer=2)
        taesd = dict(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
                     num_encoder_blocks=(1, 1, 1, 1), num_decoder_blocks=(1, 1, 1, 1))
        width = 4
    if weights:
        unet |= plain(json.loads((weights / "musetalkV15/musetalk.json").read_text()), UNET)
        vae |= plain(json.loads((weights / "sd-vae/config.json").read_text()), VAE)
        config = json.loads((weights / "whisper/config.json").read_text())
        ear = dict(n_mels=config["num_mel_bins"], n_ctx=config["max_source_positions"], n_state=config["d_model"],
                   n_head=config["encoder_attention_heads"], n_layer=config["encoder_layers"])

    def made(make, file=None, load=lambda model, state: model.load_state_dict(state)):
        torch.manual_seed(1)
        model = make()
        if weights:
            load(model, read(weights / file))
        return model.eval()

    def whispers():
        load = lambda model, state: model.load_state_dict(encoder_weights(state))
        return States(made(lambda: whisper.AudioEncoder(**ear), "whisper/pytorch_model.bin", load))

    def kl():
        return made(lambda: KL(**vae), "sd-vae/diffusion_pytorch_model.bin", old_attention)

    def small(part):
        def load(model, state):
            inner = getattr(model, part).layers
            # The decoder's first layer has no weights and is not among diffusers' layers.
            first = 0 if part == "encoder" else 1
            inner.load_state_dict({f"{int(n) - first}.{rest}": w for n, rest, w in split(state)})

        return made(lambda: Tiny(**taesd), f"taesd/taesd_{part}.pth", load)

    def parsing():
        load = lambda model, state: model.load_state_dict({n: w for n, w in state.items() if not n.startswith("conv_out16") and not n.startswith("conv_out32")})
        return made(lambda: Parsing(width), "face-parse-bisent/79999_iter.pth", load)

    mel, picture, code = (1, ear["n_mels"], 2 * ear["n_ctx"]), (1, 3, 256, 256), (1, 4, 32, 32)
    states = ear["n_layer"] + 1
    steps = {
        "whisper": (whispers, [mel], ["mel"], ["states"]),
        "sd_vae_encoder": (lambda: Encoder(kl()), [picture], ["pixels"], ["latents"]),
        "sd_vae_decoder": (lambda: Decoder(kl()), [code], ["latents"], ["pixels"]),
        "taesd_encoder": (lambda: Encoder(small("encoder")), [picture], ["pixels"], ["latents"]),
        "taesd_decoder": (lambda: Decoder(small("decoder")), [code], ["latents"], ["pixels"]),
        "unet": (lambda: Step(made(lambda: UNet(**unet), "musetalkV15/unet.pth")),
                 [(1, 8, 32, 32), (1, FRAME * states, ear["n_state"])], ["latents", "audio"], ["out"]),
        "parsing": (parsing, [(1, 3, 512, 512)], ["pixels"], ["labels"]),
    }
    if weights and not (weights / "taesd").exists():
        del steps["taesd_encoder"], steps["taesd_decoder"]
    live = {"window": 2 * ear["n_ctx"], "states": states, "width": ear["n_state"],
            "vaes": {"sd-vae": FACTOR, **({"taesd": 1} if "taesd_encoder" in steps else {})}}
    return steps, live


def split(state):
    return [(*name.split(".", 1), weight) for name, weight in state.items()]


def old_attention(model, state):
    """Weights from before diffusers renamed its attention: key, query, value, proj_attn."""
    names = [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")]

    def named(name):
        for theirs, ours in names:
            name = name.replace(f"attentions.0.{theirs}.", f"attentions.0.{ours}.")
        return name

    known = model.state_dict()
    renamed = {named(name): weight for name, weight in state.items()}
    model.load_state_dict({name: weight.reshape(known[name].shape) for name, weight in renamed.items()})


def write(args, out):
    steps, live = models(args)
    only = args.only.split(",") if args.only else list(steps)
    out.mkdir(parents=True, exist_ok=True)
    for name in only:
        make, shapes, inputs, outputs = steps[name]
        with lips.quick_weights():
            network = make()
        example = tuple(torch.zeros(shape) for shape in shapes)
        lips.write(network, example, inputs, outputs, out, name, graphs=args.graphs)
        print(name, file=sys.stderr)
    lips.probes(out)
    (out / "live.json").write_text(json.dumps(live) + "\n")


# --- the fixtures ----------------------------------------------------------------------------------------------------------


class Cv2(types.ModuleType):
    """Of OpenCV, what face_parsing and blending.py call, after its documentation; bytes in, bytes out."""

    MORPH_ELLIPSE, INTER_LANCZOS4 = 2, 4

    def __init__(self):
        super().__init__("cv2")

    @staticmethod
    def getStructuringElement(_, size):
        columns, rows = size
        kernel, r, c = np.zeros((rows, columns), np.uint8), rows // 2, columns // 2
        for i in range(rows):
            dx = round(c * math.sqrt((r * r - (i - r) ** 2) / (r * r)))
            kernel[i, max(c - dx, 0) : min(c + dx + 1, columns)] = 1
        return kernel

    @staticmethod
    def _morph(source, kernel, iterations, fill, pick):
        rows, columns = kernel.shape
        for _ in range(iterations):
            padded = np.pad(source, ((rows // 2, rows - 1 - rows // 2), (columns // 2, columns - 1 - columns // 2)), constant_values=fill)
            height, width = source.shape
            source = pick.reduce([padded[y : y + height, x : x + width] for y, x in np.argwhere(kernel)])
        return source

    def dilate(self, source, kernel, iterations=1):
        return self._morph(source, kernel, iterations, 0, np.maximum)

    def erode(self, source, kernel, iterations=1):
        return self._morph(source, kernel, iterations, 255, np.minimum)

    @staticmethod
    def rectangle(image, first, last, value, _):
        image[first[1] : last[1] + 1, first[0] : last[0] + 1] = value

    bitwise_and, bitwise_or = staticmethod(np.bitwise_and), staticmethod(np.bitwise_or)

    @staticmethod
    def GaussianBlur(image, size, _):
        count = size[0]
        sigma = 0.3 * ((count - 1) * 0.5 - 1) + 0.8
        weight = np.exp(-((np.arange(count) - count // 2) ** 2) / (2 * sigma**2))
        weight /= weight.sum()
        padded = np.pad(image.astype(np.float64), count // 2, mode="reflect")
        height, width = image.shape
        across = sum(w * padded[:, n : n + width] for n, w in enumerate(weight))
        return np.floor(sum(w * across[n : n + height] for n, w in enumerate(weight)) + 0.5).astype(np.uint8)


def theirs(args):
    """MuseTalk's own modules, without what they need only to find faces and to read files."""
    sys.modules["cv2"] = Cv2()
    for name, parts in {
        "librosa": {}, "transformers": {"AutoFeatureExtractor": object},
        "einops": {"rearrange": lambda x, _: x.reshape(x.shape[0], -1, x.shape[-1])},
    }.items():
        module = types.ModuleType(name)
        module.__dict__.update(parts)
        sys.modules[name] = module
    sys.modules["diffusers"].UNet2DConditionModel = object
    return lips.only_in(args.musetalk, "musetalk.utils.audio_processor", "musetalk.models.unet", "musetalk.utils.face_parsing", "musetalk.utils.blending")


def formula(count):
    """A sweep in noise; test/fakes/whisper.ts makes the same."""
    state, noise = 1, np.zeros(count)
    for n in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        noise[n] = 0.01 * (state / 2**30 - 1)
    t = np.arange(count) / 16000
    return (0.3 * np.sin(2 * np.pi * (100 * t + 1500 * t * t)) + noise).astype(np.float32)


def decode(file):
    command = ["ffmpeg", "-v", "error", "-i", file, "-ac", "1", "-ar", "16000", "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)


WIDE, HIGH = 320, 240


def landmarks():
    """68 points of a face that is only drawn."""
    jaw = [(160.5 + 50 * math.cos(math.pi - math.pi * n / 16), 105.5 + 65 * math.sin(math.pi * n / 16)) for n in range(17)]
    return jaw + [(160.5, 85.5 + 7 * max(0, n - 27)) if n < 36 else (160.5, 105.5) for n in range(17, 68)]


def box(points, margin=10):
    """preprocessing.py: get_landmark_and_bbox; realtime_inference.py: prepare_material."""
    points = np.array(points).astype(np.int32)
    middle, lowest = points[29][1], points[:, 1].max()
    return int(points[:, 0].min()), int(max(0, middle - (lowest - middle))), int(points[:, 0].max()), int(min(lowest + margin, HIGH))


def sound(args, states, pcm, window):
    """What the audio processor makes of a sound: mel, states, and what the UNet is told at some pictures."""
    (audio,) = lips.only_in(args.whisper, "whisper.audio")
    processor, unet = args.theirs[0].AudioProcessor, args.theirs[1]
    size = window * 160
    mels = []
    for n in range(0, len(pcm), size):
        part = torch.tensor(np.pad(pcm[n : n + size], (0, max(0, n + size - len(pcm)))))
        mels.append(audio.log_mel_spectrogram(part)[None])
    ear = types.SimpleNamespace(
        encoder=lambda mel, output_hidden_states: types.SimpleNamespace(hidden_states=[*states(mel).unbind(2)])
    )
    prompts = processor.get_whisper_chunk(None, mels, "cpu", torch.float32, ear, len(pcm))
    told = unet.PositionalEncoding(d_model=prompts.shape[-1])(prompts)
    return {
        "samples": len(pcm),
        "mel": [lips.sampled(mel, 97) for mel in mels],
        "states": [lips.sampled(states(mel), 211) for mel in mels],
        "pictures": len(prompts),
        "prompts": {str(n): lips.sampled(told[n], 7) for n in (0, 1, 30, len(prompts) - 2, len(prompts) - 1)},
    }, told


def reference(args, networks, live):
    from PIL import Image

    planes = lips.drawn(WIDE, HIGH)
    rgb = lips.to_rgb(planes)
    face = box(landmarks())
    x, y, x1, y1 = face
    cut = lips.lanczos(rgb[y:y1, x:x1], 256, 256)
    pixels = torch.tensor(cut / 255.0, dtype=torch.float32).permute(2, 0, 1)
    # vae.py: get_mask_tensor, preprocess_img
    kept = torch.zeros(256, 256)
    kept[:128] = 1
    normal = lambda picture: ((picture - 0.5) / 0.5)[None]
    ear = networks["whisper"]
    heard, told = sound(args, ear, formula(48_000), live["window"])
    long, _ = sound(args, ear, formula(112_000), live["window"])
    made = {"box": face, "crop": lips.sampled(cut.transpose(2, 0, 1), 101), "sound": heard, "long": long}
    if args.clip:
        made["clip"] = {"name": args.clip_name, **sound(args, ear, decode(args.clip), live["window"])[0]}
    at = 20
    for vae, factor in live["vaes"].items():
        name = vae.replace("-", "_")
        encode, decode_ = networks[f"{name}_encoder"], networks[f"{name}_decoder"]
        masked, whole = (factor * encode(normal(picture)) for picture in (pixels * kept, pixels))
        latents = torch.cat([masked, whole], 1)
        out = networks["unet"](latents, told[at : at + 1])
        # vae.py: decode_latents
        picture = (decode_(out / factor) / 2 + 0.5).clamp(0, 1)
        made[vae] = {
            "latents": lips.sampled(latents, 13), "unet": lips.sampled(out, 7), "picture": lips.sampled(picture, 101),
        }
    made["at"] = at

    # face_parsing and blending.py as they are, with our network in place of the loaded one.
    parsing, blending = args.theirs[2], args.theirs[3]
    labels = []

    class Network(nn.Module):
        def forward(self, pixels):
            logits = networks["parsing"].logits(pixels)
            labels.append(logits.argmax(1)[0].numpy().astype(np.uint8))
            return (logits,)

    parsing.FaceParsing.model_init = lambda self: Network()
    normalise = lambda image: (
        torch.tensor(np.asarray(image) / 255.0, dtype=torch.float32).permute(2, 0, 1) - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    ) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    parsing.FaceParsing.image_preprocess = lambda self: normalise
    parser = parsing.FaceParsing(left_cheek_width=90, right_cheek_width=90)
    bgr = rgb[:, :, ::-1]
    mask, crop = blending.get_image_prepare_material(bgr, list(face), fp=parser, mode="jaw")
    jaw = np.asarray(parser(Image.fromarray(rgb).crop(crop), mode="jaw"))
    # The last VAE's picture is laid on: realtime_inference.py, process_frames.
    drawn = (picture[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    large = np.floor(lips.linear(drawn, x1 - x, y1 - y) + 0.5).astype(np.uint8)
    laid = blending.get_image_blending(bgr, large[:, :, ::-1], list(face), mask, crop)[:, :, ::-1]
    # The same in Y'CbCr, without rounding: what is seen outside the mask does not change by going there and back.
    share = np.zeros((HIGH, WIDE))
    inside = np.s_[max(0, crop[1]) : crop[3], max(0, crop[0]) : crop[2]]
    share[inside] = mask[max(0, -crop[1]) :, max(0, -crop[0]) :][: share[inside].shape[0], : share[inside].shape[1]] / 255.0
    put = rgb.astype(np.float64).copy()
    put[y:y1, x:x1] = lips.linear(drawn, x1 - x, y1 - y)
    inner = np.zeros((HIGH, WIDE))
    inner[y:y1, x:x1] = 1
    share *= inner
    coarse = (share[0::2, 0::2] + share[1::2, 0::2] + share[0::2, 1::2] + share[1::2, 1::2]) / 4
    blend = []
    for old, new, weight in zip(planes, lips.to_planes(put), (share, coarse, coarse)):
        blend.append(old + weight * (new - old))
    made["parsing"] = {
        "crop": crop, "labels": lips.sampled(labels[0], 499), "jaw": lips.sampled(jaw, 499), "mask": lips.sampled(mask, 37),
        "laid": lips.sampled(laid.transpose(2, 0, 1), 53), "blend": [lips.sampled(plane, 29) for plane in blend],
        "seen": {str(n): int((labels[0] == n).sum()) for n in (1, 10, 11, 12, 13)},
        "covered": [int((mask > 0).sum()), int((mask == 255).sum())],
    }
    # Pillow's resizing on its own: smaller and larger, both filters.
    plane = Image.fromarray(planes[0])
    made["resized"] = {
        f"{kind} {w}x{h}": lips.sampled(np.asarray(plane.resize((w, h), getattr(Image, kind.upper()))), 31)
        for kind in ("bilinear", "bicubic") for w, h in ((107, 75), (512, 512), (200, 400))
    }
    return made


def many_classes(network):
    """Sees to it that random weights find every class that matters in the picture that is drawn."""
    picture = torch.tensor(lips.linear(lips.to_rgb(lips.drawn(WIDE, HIGH)), 512, 512) / 255.0, dtype=torch.float32)
    head = network.conv_out
    features = head.conv(network.ffm(*network.cp((picture.permute(2, 0, 1)[None] - 0.45) / 0.225))).flatten(2)[0]
    mean = features.mean(1)
    weight = head.conv_out.weight
    weight.sub_((weight.flatten(1) @ mean / mean.dot(mean))[:, None, None, None] * mean[None, :, None, None])
    winners = torch.bincount((weight.flatten(1) @ features).argmax(0), minlength=19).argsort(descending=True).tolist()
    places = [1, 11, 10, 12, 13]
    order = dict(zip(places, winners))
    rest = iter(winners[len(places) :])
    weight.copy_(weight[[order[n] if n in order else next(rest) for n in range(19)]])
    rounded(weight)


def tiny(args, out):
    steps, live = models(args)
    out.mkdir(parents=True, exist_ok=True)
    (out / "live.json").write_text(json.dumps(live) + "\n")
    args.theirs = theirs(args)
    networks = {}
    torch.manual_seed(args.seed)
    for name, (make, shapes, inputs, outputs) in steps.items():
        network = networks[name] = make().eval()
        with torch.no_grad():
            for part, weight in network.named_parameters():
                # Random all of it, biases and norms too; wide enough that what goes in is seen in what comes out.
                if weight.dim() == 1:
                    weight.add_(0.1 * torch.randn_like(weight))
                elif weight.numel() >= 512:
                    weight.mul_(GAINS.get(name, 1.5))
                    rounded(weight)
            for part, buffer in network.named_buffers():
                if part.endswith("running_mean"):
                    buffer.copy_(0.1 * torch.randn_like(buffer))
            if name == "parsing":
                many_classes(network)
        example = tuple(torch.zeros(shape) for shape in shapes)
        lips.write(network, example, inputs, outputs, out, name, halves=name == "unet")
        for file in (out / f"{name}.onnx", out / "cost" / f"{name}.onnx"):
            shrink(file) if file.parent.name != "cost" else None
        pack(out / f"{name}.onnx")
    for file in out.glob("*_fp16.onnx"):
        shrink(file)
    with torch.no_grad():
        made = reference(args, networks, live)
    (out / "reference.json").write_text(json.dumps(made) + "\n")
    print({key: made["parsing"][key] for key in ("seen", "covered", "crop")}, file=sys.stderr)


GAINS = {"unet": 1.6, "sd_vae_encoder": 1.8, "sd_vae_decoder": 1.8, "parsing": 1.5}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--weights", metavar="DIR", type=Path, help="directory of official weights")
    what.add_argument("--random", action="store_true", help="random weights of the true sizes")
    what.add_argument("--tiny-random", action="store_const", const=True, help="fixtures for the tests")
    parser.add_argument("out", metavar="OUT", type=Path)
    parser.add_argument("--diffusers", metavar="CHECKOUT", type=Path)
    parser.add_argument("--whisper", metavar="CHECKOUT", type=Path, required=True)
    parser.add_argument("--musetalk", metavar="CHECKOUT", type=Path, help="for --tiny-random")
    parser.add_argument("--graphs", action="store_true", help="with --random: the graphs in OUT/cost alone, for counting")
    parser.add_argument("--only", metavar="NAMES", help="networks to write, comma-separated; all unless told")
    parser.add_argument("--clip", metavar="FILE", help="for --tiny-random: real speech to hear as well")
    parser.add_argument("--clip-name", metavar="NAME", help="what reference.json calls it")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.tiny_random:
        tiny(args, args.out)
    else:
        write(args, args.out)


if __name__ == "__main__":
    main()
