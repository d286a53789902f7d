#!/usr/bin/env python3
"""Writes Whisper as ONNX, laid out as Hugging Face's `onnx-community/whisper-*_timestamped` repositories are.

    whisper.py --source openai-whisper --checkpoint my-whisper.pt --tokenizer TOKENIZER OUT
    whisper.py --source openai-whisper --tiny-random OUT [--teach STEPS]
    whisper.py --source openai-whisper --random base --tokenizer TOKENIZER OUT

Most users need none of this: `livedub models pull whisper-base` brings the published files. It is for a checkpoint of
one's own (`--checkpoint`, as `torch.save` of `{"dims", "model_state_dict"}`, which is what openai/whisper loads), for
measuring how fast a size is here without its weights (`--random`), and for the fixtures of the tests (`--tiny-random`).

`--source` is a checkout of https://github.com/openai/whisper: its model.py is the architecture, its decoding.py,
timing.py and audio.py are the reference that the tests compare with. `--tokenizer` is a directory with vocab.json and
merges.txt. Needs torch, onnx and numpy (Debian: python3-torch, python3-onnx); flite for `--teach`.

What is written to OUT:

    config.json, generation_config.json     dimensions, suppressed tokens, alignment heads
    vocab.json, merges.txt, added_tokens.json
    onnx/encoder_model.onnx                 input_features [1, mels, 2 T] -> last_hidden_state [1, T, d]
    onnx/decoder_model_merged.onnx          input_ids [1, S], encoder_hidden_states, past_key_values.N.{decoder,encoder}
                                            .{key,value} [1, heads, length, d / heads], use_cache_branch [1]
                                            -> logits, present.N..., cross_attentions.N [1, heads, S, T]

With `use_cache_branch` false the past is ignored and everything is computed; with true, S is 1, the past is used, and
the `present.N.encoder` outputs are empty (the caller keeps those of the first call). One file holds both branches and
the weights once, so a decoder is limited to the 2 GB of one protobuf: large-v3 is for the published files.

`--tiny-random` writes a model of random weights with a vocabulary of ten spoken digits and windows of 5 s, and
reference.json: the log-mel spectrogram of a formula's and a recording's samples, what the encoder makes of it, the
greedy tokens with their probabilities, the word times. With `--teach` the weights are then trained to write down digits
that flite says, so that streaming has something to agree on; once more, and they go on from weights.pt in OUT. The
fixtures of the tests were taught for 1800 steps and 1200 more, half an hour on one busy core.
"""

import argparse
import ast
import base64
import gzip
import hashlib
import importlib
import json
import math
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

RATE = 16_000
OPSET = 14
#: Dimensions of the published sizes (model card of openai/whisper): layers, width, heads, mel bands.
SIZES = {"tiny": (4, 384, 6, 80), "base": (6, 512, 8, 80), "small": (12, 768, 12, 80), "medium": (24, 1024, 16, 80)}
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
VOICES = ["slt", "rms", "awb", "kal16"]
#: The window of the taught model: 5 s, 500 frames, 250 positions.
TAUGHT = dict(n_mels=80, n_audio_ctx=250, n_audio_state=24, n_audio_head=2, n_audio_layer=2, n_text_ctx=64,
              n_text_state=24, n_text_head=2, n_text_layer=2)


def reference(source: Path):
    """openai/whisper's own modules, without what they need only for work that is not done here."""
    package = types.ModuleType("whisper")
    package.__path__ = [str(source / "whisper")]
    sys.modules["whisper"] = package
    for name in ("tiktoken", "numba", "tqdm"):
        stub = types.ModuleType(name)
        stub.jit = lambda *_, **__: lambda function: function
        stub.Encoding = object
        sys.modules.setdefault(name, stub)
    return types.SimpleNamespace(**{n: importlib.import_module(f"whisper.{n}") for n in ("audio", "model", "decoding", "timing")})


# --- the tokenizer -------------------------------------------------------------------------------------------------


class Tokens:
    """Ids of Whisper's special tokens behind a vocabulary, under the names that decoding.py and timing.py ask for."""

    def __init__(self, vocabulary, languages, seconds):
        first = max(vocabulary.values()) + 1
        names = ["<|endoftext|>", "<|startoftranscript|>", *[f"<|{code}|>" for code in languages], "<|translate|>",
                 "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
                 *[f"<|{0.02 * n:.2f}|>" for n in range(round(seconds / 0.02) + 1)]]
        self.added = {name: first + n for n, name in enumerate(names)}
        self.text = {id: text for text, id in vocabulary.items()}
        self.eot, self.sot = self.added["<|endoftext|>"], self.added["<|startoftranscript|>"]
        self.translate, self.transcribe = self.added["<|translate|>"], self.added["<|transcribe|>"]
        self.sot_lm, self.sot_prev = self.added["<|startoflm|>"], self.added["<|startofprev|>"]
        self.no_speech, self.no_timestamps = self.added["<|nospeech|>"], self.added["<|notimestamps|>"]
        self.timestamp_begin = self.no_timestamps + 1
        self.language, self.language_token = languages[0], self.added[f"<|{languages[0]}|>"]
        self.all_language_codes = languages
        self.all_language_tokens = [self.added[f"<|{code}|>"] for code in languages]
        self.sot_sequence = (self.sot, self.language_token, self.transcribe)
        self.sot_sequence_including_notimestamps = (*self.sot_sequence, self.no_timestamps)
        self.non_speech_tokens = ()
        self.size = first + len(names)

    def decode(self, tokens):
        return "".join(self.text.get(token, "") for token in tokens).replace("\u0120", " ")

    def encode(self, _):
        return [next(id for id, text in self.text.items() if text == "\u0120")]

    def split_to_word_tokens(self, tokens):
        words = []
        for token in tokens:
            if not words or token >= self.eot or self.text[token].startswith("\u0120"):
                words.append([])
            words[-1].append(token)
        return [self.decode(word) for word in words], words


def digits_vocabulary(directory: Path):
    """Of the real vocabulary, the 256 bytes and what the merges make of ten words."""
    merges = [line.split() for line in (directory / "merges.txt").read_text("utf8").splitlines() if line and not line.startswith("#")]
    rank = {tuple(pair): n for n, pair in enumerate(merges)}
    used = set()
    for word in DIGITS:
        parts = list("\u0120" + word)
        while True:
            pairs = [(rank[pair], i) for i, pair in enumerate(zip(parts, parts[1:])) if pair in rank]
            if not pairs:
                break
            _, i = min(pairs)
            used.add((parts[i], parts[i + 1]))
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
    kept = [tuple(pair) for pair in merges if tuple(pair) in used]
    real = json.loads((directory / "vocab.json").read_text("utf8"))
    single = sorted((text for text in real if real[text] < 256), key=real.get)
    vocabulary = {text: n for n, text in enumerate(single + [a + b for a, b in kept])}
    return vocabulary, kept


# --- ONNX -----------------------------------------------------------------------------------------------------------


class Encoder(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_features):
        return self.encoder(input_features)


def attend(attention, query, key, value, mask=None):
    """Queries [1, S, d] over keys and values [1, heads, T, d / heads]: what comes out, and the weights."""
    heads = split(attention, attention.query(query)) * (key.shape[-1] ** -0.5)
    scores = heads @ key.transpose(-1, -2)
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    return attention.out((weights @ value).permute(0, 2, 1, 3).flatten(start_dim=2)), weights


def split(attention, x):
    return x.view(x.shape[0], x.shape[1], attention.n_head, x.shape[2] // attention.n_head).permute(0, 2, 1, 3)


class Decoder(torch.nn.Module):
    """The decoder with its keys and values as inputs and outputs: from the beginning, or one token further."""

    def __init__(self, decoder, cached):
        super().__init__()
        self.decoder, self.cached = decoder, cached

    def forward(self, input_ids, *rest):
        decoder, states, own, cross, weights = self.decoder, None, [], [], []
        if self.cached:
            past = [rest[4 * n:4 * n + 4] for n in range(len(decoder.blocks))]
            offset = past[0][0].shape[2]
            mask = None
        else:
            (states,), past, offset = rest, [None] * len(decoder.blocks), 0
            place = torch.arange(input_ids.shape[1])
            mask = torch.zeros(1).masked_fill(place[None] > place[:, None], -math.inf)
        x = decoder.token_embedding(input_ids) + decoder.positional_embedding[offset:offset + input_ids.shape[1]]
        for block, before in zip(decoder.blocks, past):
            normal = block.attn_ln(x)
            key, value = split(block.attn, block.attn.key(normal)), split(block.attn, block.attn.value(normal))
            if before:
                key, value = torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2)
            own.append((key, value))
            x = x + attend(block.attn, normal, key, value, mask)[0]
            if before:
                seen = before[2:]
            else:
                seen = split(block.cross_attn, block.cross_attn.key(states)), split(block.cross_attn, block.cross_attn.value(states))
                cross.append(seen)
            heard, weight = attend(block.cross_attn, block.cross_attn_ln(x), *seen)
            x = x + heard
            weights.append(weight)
            x = x + block.mlp(block.mlp_ln(x))
        # The embedding is not transposed, or it would be in the file twice.
        logits = (decoder.token_embedding.weight @ decoder.ln(x).transpose(1, 2)).transpose(1, 2)
        present = [t for n, pair in enumerate(own) for t in (*pair, *(cross[n] if cross else ()))]
        return (logits, *present, *weights)


def names_of(layers, kinds, prefix):
    return [f"{prefix}.{n}.{kind}.{part}" for n in range(layers) for kind in kinds for part in ("key", "value")]


def trace(module, inputs, names, outputs, axes):
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        torch.onnx.export(module, inputs, file.name, input_names=names, output_names=outputs, opset_version=OPSET, dynamic_axes=axes)
        return onnx.load(file.name)


def branch(graph, name, outputs, shared):
    """A traced graph as one branch of an If: its weights go into `shared`, once for both, its names get a prefix."""
    made = {output.name for output in graph.output}
    inner = [value for node in graph.node for value in node.output]
    renamed = {value: f"{name}/{value if value in made else n}" for n, value in enumerate(inner)}
    for weight in graph.initializer:
        array = numpy_helper.to_array(weight)
        key = "w" + hashlib.sha256(str((array.dtype, array.shape)).encode() + array.tobytes()).hexdigest()[:8]
        shared.setdefault(key, numpy_helper.from_array(array, key))
        renamed[weight.name] = key
    for node in graph.node:
        node.name = ""
        node.input[:] = [renamed.get(value, value) for value in node.input]
        node.output[:] = [renamed[value] for value in node.output]
    nodes = list(graph.node)
    for output in outputs:
        if output not in made:
            # As optimum does: nothing, where the caller has it already.
            empty = helper.make_tensor("nothing", TensorProto.FLOAT, [0, 1, 1, 1], [])
            renamed[output] = f"{name}/{output}"
            nodes.append(helper.make_node("Constant", [], [renamed[output]], value=empty))
    values = [helper.make_tensor_value_info(renamed[output], TensorProto.FLOAT, None) for output in outputs]
    return helper.make_graph(nodes, name, [], values)


def compact(graph):
    """Keeps the weights of a small model in half precision; they are widened when it is loaded."""
    kept, casts = [], []
    for weight in graph.initializer:
        array = numpy_helper.to_array(weight)
        if array.dtype == np.float32 and array.size > 64:
            casts.append(helper.make_node("Cast", [f"{weight.name}_h"], [weight.name], to=TensorProto.FLOAT))
            kept.append(numpy_helper.from_array(array.astype(np.float16), f"{weight.name}_h"))
        else:
            kept.append(weight)
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def shorten(graph):
    """Short names for what nobody asks for by name."""
    public = {value.name for value in [*graph.input, *graph.output]}
    names = [weight.name for weight in graph.initializer] + [value for node in graph.node for value in node.output]
    short = {name: name if name in public else f"{n:x}" for n, name in enumerate(names)}
    for weight in graph.initializer:
        weight.name = short[weight.name]
    for node in graph.node:
        node.name = ""
        node.input[:] = [short.get(value, value) for value in node.input]
        node.output[:] = [short[value] for value in node.output]


def write_onnx(model, out: Path, small=False):
    dims, layers = model.dims, model.dims.n_text_layer
    (out / "onnx").mkdir(parents=True, exist_ok=True)
    mel = torch.zeros(1, dims.n_mels, 2 * dims.n_audio_ctx)
    encoder = trace(Encoder(model.encoder), (mel,), ["input_features"], ["last_hidden_state"],
                    {"input_features": {0: "batch"}, "last_hidden_state": {0: "batch"}})
    shorten(encoder.graph)
    if small:
        compact(encoder.graph)
    onnx.save(encoder, str(out / "onnx/encoder_model.onnx"))

    heads, width = dims.n_text_head, dims.n_text_state // dims.n_text_head
    states = torch.zeros(1, dims.n_audio_ctx, dims.n_audio_state)
    past = [torch.zeros(1, heads, length, width) for _ in range(layers) for length in (3, 3, dims.n_audio_ctx, dims.n_audio_ctx)]
    weights = [f"cross_attentions.{n}" for n in range(layers)]
    first_out = ["logits", *names_of(layers, ("decoder", "encoder"), "present"), *weights]
    next_in = names_of(layers, ("decoder", "encoder"), "past_key_values")
    next_out = ["logits", *names_of(layers, ("decoder",), "present"), *weights]
    dynamic = {name: {2: "past" if ".decoder." in name else "audio"} for name in next_in}
    first = trace(Decoder(model.decoder, False), (torch.ones(1, 5, dtype=torch.long), states), ["input_ids", "encoder_hidden_states"],
                  first_out, {"input_ids": {1: "tokens"}, "encoder_hidden_states": {1: "audio"}})
    further = trace(Decoder(model.decoder, True), (torch.ones(1, 1, dtype=torch.long), *past), ["input_ids", *next_in], next_out, dynamic)

    shared = {}
    choice = helper.make_node("If", ["use_cache_branch"], first_out, name="choice",
                              then_branch=branch(further.graph, "b", first_out, shared),
                              else_branch=branch(first.graph, "a", first_out, shared))
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    inputs = [value("input_ids", TensorProto.INT64, ["batch", "tokens"]),
              value("encoder_hidden_states", TensorProto.FLOAT, ["batch", "audio", dims.n_audio_state]),
              *[value(name, TensorProto.FLOAT, ["batch", heads, "past" if ".decoder." in name else "audio_past", width]) for name in next_in],
              value("use_cache_branch", TensorProto.BOOL, [1])]
    outputs = [value(name, TensorProto.FLOAT, None) for name in first_out]
    graph = helper.make_graph([choice], "decoder_model_merged", inputs, outputs, list(shared.values()))
    merged = helper.make_model(graph, producer_name="livedub", opset_imports=[helper.make_opsetid("", OPSET)])
    merged.ir_version = 8
    if small:
        compact(merged.graph)
    onnx.save(merged, str(out / "onnx/decoder_model_merged.onnx"))


def write_json(path: Path, value):
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", "utf8")


def write_configs(model, tokens, vocabulary, merges, out: Path, suppress, begin):
    dims = model.dims
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", {
        "model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], "is_encoder_decoder": True,
        "d_model": dims.n_audio_state, "encoder_layers": dims.n_audio_layer, "encoder_attention_heads": dims.n_audio_head,
        "decoder_layers": dims.n_text_layer, "decoder_attention_heads": dims.n_text_head, "num_mel_bins": dims.n_mels,
        "max_source_positions": dims.n_audio_ctx, "max_target_positions": dims.n_text_ctx, "vocab_size": dims.n_vocab,
        "bos_token_id": tokens.eot, "eos_token_id": tokens.eot, "pad_token_id": tokens.eot, "decoder_start_token_id": tokens.sot})
    write_json(out / "generation_config.json", {
        "alignment_heads": model.alignment_heads.indices().T.tolist(), "begin_suppress_tokens": begin, "suppress_tokens": suppress,
        "decoder_start_token_id": tokens.sot, "eos_token_id": tokens.eot, "pad_token_id": tokens.eot, "bos_token_id": tokens.eot,
        "no_timestamps_token_id": tokens.no_timestamps, "prev_sot_token_id": tokens.sot_prev, "is_multilingual": True,
        "lang_to_id": {f"<|{code}|>": id for code, id in zip(tokens.all_language_codes, tokens.all_language_tokens)},
        "task_to_id": {"transcribe": tokens.transcribe, "translate": tokens.translate}, "max_length": dims.n_text_ctx})
    write_json(out / "vocab.json", vocabulary)
    write_json(out / "added_tokens.json", tokens.added)
    (out / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), "utf8")


# --- a model that can be heard to work ------------------------------------------------------------------------------


def say(word, voice, stretch, pitch):
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "--setf", f"int_f0_target_mean={pitch}",
                        "-t", word, "-o", file.name], check=True)
        raw = np.frombuffer(Path(file.name).read_bytes()[44:], np.int16).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(raw) > 0.01)
    return raw[max(0, loud[0] - 160):loud[-1] + 160]


def lexicon():
    return {word: [say(word, voice, stretch, pitch) for voice in VOICES for stretch in (0.85, 1.0, 1.2) for pitch in (100, 130, 180)]
            for word in DIGITS}


def example(random, spoken, size, most=12):
    """Digits one after the other in noise: samples, which digits, where they begin and end; perhaps cut off at the end."""
    pcm = random.normal(0, 10 ** random.uniform(-4.5, -2.5), size).astype(np.float32)
    at, places = int(random.uniform(0, 0.6) * RATE), []
    limit = int(random.uniform(0.5, 1.0) * size)
    voice = random.integers(36)
    while len(places) < most and random.random() > 0.04:
        digit = int(random.integers(len(DIGITS)))
        choices = spoken[DIGITS[digit]]
        sound = choices[voice if random.random() < 0.8 else random.integers(len(choices))]
        if at + len(sound) * 0.6 > limit:
            break
        room = min(len(sound), size - at)
        pcm[at:at + room] += sound[:room] * random.uniform(0.3, 1.0)
        places.append((digit, at, at + len(sound)))
        at += len(sound) + int(random.uniform(0.0, 0.25) * RATE)
    # Where the audio so far ends; a word that is mostly there counts.
    pcm[limit:] = 0
    return pcm, [(d, a, min(b, limit)) for d, a, b in places if b <= limit + 0.3 * (b - a)]


def nobody(random, size):
    """Sound in which nobody speaks: white or coloured noise, or chords."""
    level, kind = 10 ** random.uniform(-4.5, -0.8), random.random()
    white = random.normal(0, 1, size)
    if kind < 0.35:
        pcm = white
    elif kind < 0.65:
        spectrum = np.fft.rfft(white)
        pcm = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** random.uniform(0.3, 1.0), size)
    else:
        t, pcm = np.arange(size) / RATE, 0.02 * white
        for _ in range(int(random.uniform(2, 12))):
            begin, length = int(random.uniform(0, size * 0.8)), int(random.uniform(0.2, 3) * RATE)
            tone = np.zeros(size)
            pitch = 55 * 2 ** (random.integers(0, 48) / 12)
            for part in range(1, int(random.integers(2, 6))):
                tone += np.sin(2 * math.pi * pitch * part * t) / part
            envelope = np.zeros(size)
            envelope[begin:begin + length] = np.exp(-random.uniform(0, 4) * np.arange(min(length, size - begin)) / RATE)
            pcm = pcm + tone * envelope
    pcm = (level * pcm / (pcm.std() + 1e-9)).astype(np.float32)
    pcm[int(random.uniform(0.1, 1) * size):] = 0
    return pcm


def sequence(random, tokens, places, words, silent, advanced=1.0):
    """Input and target tokens of one example, -100 where nothing is learnt; and where the token after each row is heard."""
    prompt = []
    if random.random() < 0.4 * advanced:
        prompt = [tokens.sot_prev, *[t for _ in range(random.integers(1, 8)) for t in words[random.integers(len(words))]]]
    text = [t for digit, _, _ in places for t in words[digit]]
    stamp = lambda sample: tokens.timestamp_begin + round(sample / RATE / 0.02)
    if silent:
        ids = [*prompt, *tokens.sot_sequence, tokens.no_timestamps, tokens.eot]
    elif random.random() < 0.25 * advanced:
        ids = [*prompt, *tokens.sot_sequence, stamp(places[0][1]), *text, stamp(places[-1][2]), tokens.eot]
    else:
        ids = [*prompt, *tokens.sot_sequence, tokens.no_timestamps, *text, tokens.eot]
    target = [-100] * len(prompt) + ids[len(prompt) + 1:] + [-100]
    target[len(prompt)] = tokens.no_speech if silent else tokens.language_token
    target[len(prompt) + 1] = -100
    heard = [] if silent else [(len(prompt) + 3 + n, begin // 320, -(-end // 320)) for n, (_, begin, end) in enumerate(places)]
    return ids, target, heard


def teach(model, whisper, tokens, words, steps, batch=24, seed=1, most=1):
    """Strings of digits, longer ones when the shorter are learnt, with a hint where each is to be heard (one token each)."""
    random = np.random.default_rng(seed)
    spoken, size = lexicon(), model.dims.n_audio_ctx * 320
    decoder = Decoder(model.decoder, False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps, pct_start=0.05)
    usual = 1.0
    for step in range(steps):
        sounds, rows = [], []
        for _ in range(batch):
            silent = random.random() < 0.18
            pcm, places = example(random, spoken, size, most)
            if silent or not places:
                pcm, silent = nobody(random, size), True
            sounds.append(pcm)
            rows.append(sequence(random, tokens, places, words, silent, max(0.0, (most - 4) / 8)))
        mel = torch.stack([whisper.audio.log_mel_spectrogram(pcm) for pcm in sounds])
        longest = max(len(ids) for ids, _, _ in rows)
        ids = torch.tensor([[*ids, *[tokens.eot] * (longest - len(ids))] for ids, _, _ in rows])
        target = torch.tensor([[*target, *[-100] * (longest - len(target))] for _, target, _ in rows])
        logits, *others = decoder(ids, model.encoder(mel))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)
        weights = others[-1].mean(dim=1)
        hints = [weights[n, row, max(0, begin - 2):end + 2].sum() for n, (_, _, heard) in enumerate(rows) for row, begin, end in heard]
        astray = -torch.log(torch.stack(hints) + 1e-6).mean() if hints else torch.zeros(())
        optimizer.zero_grad()
        (loss + 0.5 * astray).backward()
        if torch.isfinite(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)):
            optimizer.step()
        schedule.step()
        usual = 0.95 * usual + 0.05 * astray.item()
        if usual < 0.35 and most < 8:
            most, usual = most + 1, 0.6
        if step % 50 == 0:
            print(f"{step}/{steps} up to {most}: loss {loss.item():.3f}, attention astray {usual:.3f}", flush=True)


def randomised(whisper, dims, seed=7):
    torch.manual_seed(seed)
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**dims))
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.02)
    torch.nn.init.normal_(model.decoder.token_embedding.weight, std=dims["n_text_state"] ** -0.5)
    return model.eval()


# --- the reference --------------------------------------------------------------------------------------------------


def formula(count):
    """Samples that any language makes alike: a sweep, and noise of a linear congruential generator."""
    noise, state = np.empty(count), 1
    for n in range(count):
        state = (state * 1_103_515_245 + 12_345) % 2 ** 31
        noise[n] = state / 2 ** 30 - 1
    t = np.arange(count) / RATE
    return (0.3 * np.sin(2 * math.pi * (100 * t + 1500 * t * t)) + 0.01 * noise).astype(np.float32)


def sampled(array, step):
    return [[round(float(x), 6) for x in row[::step]] for row in array]


def refer(model, whisper, tokens, suppress, pcm, vocab_size):
    """What openai/whisper makes of a window of samples."""
    size = model.dims.n_audio_ctx * 320
    mel = whisper.audio.log_mel_spectrogram(whisper.audio.pad_or_trim(pcm, size))
    with torch.no_grad():
        states = model.encoder(mel[None])[0]
    # Ours never writes time stamps into text, and so neither may the reference.
    options = dict(language=tokens.language, without_timestamps=True, fp16=False, temperature=0.0,
                   suppress_tokens=[*suppress, *range(tokens.timestamp_begin, vocab_size)])
    said = []
    for prompt in (None, [5, 6, 7]):
        result = whisper.decoding.decode(model, mel, whisper.decoding.DecodingOptions(prompt=prompt, **options))
        said.append({"prompt": prompt or [], "tokens": result.tokens, "text": result.text, "logprob": result.avg_logprob,
                     "noSpeech": result.no_speech_prob, "compression": result.compression_ratio})
    frames = min(size, len(pcm)) // 160
    words = [{"word": w.word, "start": float(w.start), "end": float(w.end), "probability": float(w.probability)}
             for w in whisper.timing.find_alignment(model, tokens, said[0]["tokens"], mel, frames)]
    _, languages = whisper.decoding.detect_language(model, mel, tokens)
    return {"samples": len(pcm), "mel": sampled(mel.numpy()[::8], 16), "encoder": sampled(states.numpy()[::25], 4),
            "greedy": said, "words": words, "languages": {code: float(p) for code, p in languages.items()}}


def tiny(arguments, whisper):
    out = arguments.out
    vocabulary, merges = digits_vocabulary(arguments.tokenizer)
    tokens = Tokens(vocabulary, ["en", "zh", "de", "es"], TAUGHT["n_audio_ctx"] * 0.02)
    whisper.decoding.get_tokenizer = lambda *_, **__: tokens
    model = randomised(whisper, {**TAUGHT, "n_vocab": tokens.size})
    words = [[vocabulary["\u0120" + word]] for word in DIGITS]
    weights = out / "weights.pt"
    known = weights.exists()
    if known:
        model.load_state_dict(torch.load(weights))
    if arguments.teach:
        model.train()
        teach(model, whisper, tokens, words, arguments.teach, most=6 if known else 1, seed=arguments.teach)
        out.mkdir(parents=True, exist_ok=True)
        torch.save(model.eval().state_dict(), weights)
    for weight in model.parameters():
        weight.data = weight.data.half().float()
    suppress = [1, 2, 7, 8, 9, tokens.sot, tokens.translate, tokens.transcribe, tokens.sot_lm, tokens.sot_prev, tokens.no_speech]
    write_configs(model, tokens, vocabulary, merges, out, suppress, [vocabulary["\u0120"], tokens.eot])
    write_onnx(model.eval(), out, small=True)

    spoken, random = lexicon(), np.random.default_rng(3)
    said = ["three", "one", "four", "two"]
    pieces = [np.zeros(int(0.3 * RATE), np.float32)]
    for word in said:
        pieces += [spoken[word][4] * 0.7, np.zeros(int(0.12 * RATE), np.float32)]
    clip = np.concatenate(pieces) + random.normal(0, 2e-4, sum(map(len, pieces))).astype(np.float32)
    clip = np.round(np.clip(clip, -1, 1) * 32767).astype(np.int16)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "-", str(out / "digits.flac")],
                   input=clip.tobytes(), check=True)
    results = {"digits": {"said": " ".join(said), **refer(model, whisper, tokens, suppress, clip.astype(np.float32) / 32768, tokens.size)},
               "formula": refer(model, whisper, tokens, suppress, formula(3 * RATE), tokens.size)}
    if arguments.clip:
        bytes_ = subprocess.run(["ffmpeg", "-v", "error", "-i", str(arguments.clip), "-ar", str(RATE), "-ac", "1", "-f", "f32le", "-"],
                                capture_output=True, check=True).stdout
        results["clip"] = {"name": arguments.clip.name, **refer(model, whisper, tokens, suppress, np.frombuffer(bytes_, np.float32).copy(), tokens.size)}
    write_json(out / "reference.json", results)
    for name, result in results.items():
        print(name, result["greedy"][0]["text"], {k: result["greedy"][0][k] for k in ("logprob", "noSpeech", "compression")})
        print("  ", [(w["word"], w["start"], w["end"]) for w in result["words"]])


# --- real sizes -----------------------------------------------------------------------------------------------------


def real_tokens(directory: Path, vocab_size, seconds):
    vocabulary = json.loads((directory / "vocab.json").read_text("utf8"))
    merges = [line.split() for line in (directory / "merges.txt").read_text("utf8").splitlines() if line and not line.startswith("#")]
    # 51 865 tokens have 99 languages, 51 866 (large-v3) have one more; English models have no use for theirs.
    count = vocab_size - (max(vocabulary.values()) + 1) - 8 - round(seconds / 0.02) - 1
    from_tokenizer = ast.parse((LANGUAGES_FILE).read_text("utf8"))
    table = next(ast.literal_eval(node.value) for node in from_tokenizer.body
                 if isinstance(node, ast.Assign) and node.targets[0].id == "LANGUAGES")
    return Tokens(vocabulary, list(table)[:count], seconds), vocabulary, merges


def alignment_heads(source: Path, size):
    for node in ast.parse((source / "whisper/__init__.py").read_text("utf8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "_ALIGNMENT_HEADS":
            return ast.literal_eval(node.value).get(size)
    return None


def full(arguments, whisper):
    if arguments.checkpoint:
        saved = torch.load(arguments.checkpoint, map_location="cpu")
        model = whisper.model.Whisper(whisper.model.ModelDimensions(**saved["dims"]))
        model.load_state_dict(saved["model_state_dict"])
        heads = alignment_heads(arguments.source, arguments.size) if arguments.size else None
        if heads:
            model.set_alignment_heads(heads)
        model.eval()
    else:
        layers, width, heads, mels = SIZES[arguments.random]
        model = randomised(whisper, dict(n_mels=mels, n_audio_ctx=1500, n_audio_state=width, n_audio_head=heads, n_audio_layer=layers,
                                         n_vocab=51_865, n_text_ctx=448, n_text_state=width, n_text_head=heads, n_text_layer=layers))
    tokens, vocabulary, merges = real_tokens(arguments.tokenizer, model.dims.n_vocab, 30)
    special = [tokens.sot, tokens.translate, tokens.transcribe, tokens.sot_lm, tokens.sot_prev, tokens.no_speech]
    write_configs(model, tokens, vocabulary, merges, arguments.out, special, [vocabulary["\u0120"], tokens.eot])
    write_onnx(model, arguments.out)


def main():
    global LANGUAGES_FILE
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="directory to write")
    parser.add_argument("--source", type=Path, required=True, help="checkout of openai/whisper")
    parser.add_argument("--tokenizer", type=Path, required=True, help="directory with vocab.json and merges.txt")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--checkpoint", type=Path, help="weights of your own")
    what.add_argument("--random", choices=SIZES, help="random weights of a published size")
    what.add_argument("--tiny-random", action="store_true", help="the fixtures of the tests")
    parser.add_argument("--size", help="with --checkpoint: which size it descends from, for its alignment heads")
    parser.add_argument("--teach", type=int, metavar="STEPS", help="with --tiny-random: teaches it ten digits (1800 steps)")
    parser.add_argument("--clip", type=Path, help="with --tiny-random: a recording to refer to")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    LANGUAGES_FILE = arguments.source / "whisper/tokenizer.py"
    whisper = reference(arguments.source)
    (tiny if arguments.tiny_random else full)(arguments, whisper)


if __name__ == "__main__":
    main()
