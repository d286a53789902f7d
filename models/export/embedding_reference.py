#!/usr/bin/env python3
"""Speaker embeddings: exports networks that are published as checkpoints only, and writes what the tests compare with.

  embedding_reference.py --wq2012 CHECKPOINT.pt OUT
      Exports wq2012's LSTM (https://github.com/wq2012/SpeakerRecognitionFromScratch) as
      OUT/saved_model.bilstm.mean.all.gpu100000.onnx: mfcc[B,T,40] -> embedding[B,128].

  embedding_reference.py --ecapa OUT
      Exports SpeechBrain's ECAPA-TDNN (https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb) as OUT/ecapa.onnx:
      feats[B,T,80] -> embedding[B,192]. Needs the package speechbrain, which fetches the checkpoint.

  embedding_reference.py --tiny-random OUT [--clip CLIP.wav]
      Writes for each embedding a network with the true names and shapes of its inputs and outputs and a few random
      weights; a second of speech said by flite; and what the front-ends make of it and of the ninth second of a real
      recording (CLIP, 16 kHz mono 16 bit, which is not copied): computed here with NumPy from the definitions of
      librosa, SpeechBrain, NeMo and torchaudio, independently of the TypeScript.

Needs numpy, scipy, onnx and flite; --wq2012 needs torch as well. Debian 12's packages do.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import wave

import numpy as np

RATE = 16000


def slaney_mel(size, count):
    """librosa.filters.mel(sr=16000, n_fft=size, n_mels=count): rows of bands, columns of bins."""
    def to_mel(hertz):
        hertz = np.asarray(hertz, float)
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))

    def to_hertz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))

    edges = to_hertz(np.linspace(0, to_mel(RATE / 2), count + 2))
    bins = np.fft.rfftfreq(size, 1 / RATE)
    rising = (bins[None, :] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None, :]) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None) * (2 / (edges[2:] - edges[:-2]))[:, None]


def frames(signal, size, hop):
    """Windows whose middles lie every `hop` samples from the first on, the signal going on as zeros."""
    padded = np.pad(signal, size // 2)
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def librosa_mfcc(signal):
    """librosa.feature.mfcc(y=signal, sr=16000, n_mfcc=40), transposed."""
    from scipy.fft import dct
    from scipy.signal import get_window
    spectrum = np.abs(np.fft.rfft(frames(signal, 2048, 512) * get_window("hann", 2048))) ** 2
    level = 10 * np.log10(np.maximum(1e-10, spectrum @ slaney_mel(2048, 128).T))
    return dct(np.maximum(level, level.max() - 80), type=2, norm="ortho", axis=1)[:, :40]


def speechbrain_fbank(signal):
    """speechbrain.lobes.features.Fbank(n_mels=80), then InputNormalization(norm_type='sentence', std_norm=False)."""
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    spectrum = np.abs(np.fft.rfft(frames(signal, 400, 160) * window)) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    band, centre = np.diff(hertz)[:-1], hertz[1:-1]
    slope = (np.linspace(0, 8000, 201)[None, :] - centre[:, None]) / band[:, None]
    bank = np.maximum(0, np.minimum(slope + 1, 1 - slope))
    level = 10 * np.log10(np.maximum(1e-10, spectrum @ bank.T))
    level = np.maximum(level, level.max() - 80)
    return level - level.mean(axis=0)


def nemo_mel(signal):
    """NeMo's FilterbankFeatures(n_window_size=400, n_window_stride=160, n_fft=512, nfilt=80, normalize='per_feature')."""
    emphasised = np.append(signal[0], signal[1:] - 0.97 * signal[:-1])
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)
    spectrum = np.abs(np.fft.rfft(frames(emphasised, 512, 160) * window)) ** 2
    level = np.log(spectrum @ slaney_mel(512, 80).T + 2.0 ** -24)[: len(signal) // 160]
    return (level - level.mean(axis=0)) / (level.std(axis=0, ddof=1) + 1e-5)


def kaldi_fbank(signal, scale, window):
    """torchaudio.compliance.kaldi.fbank(num_mel_bins=80, dither=0, window_type=window), less the mean of each band."""
    size = 512
    count = 1 + (len(signal) - 400) // 160
    rows = np.stack([signal[n * 160:n * 160 + 400] for n in range(count)]) * scale
    rows = rows - rows.mean(axis=1, keepdims=True)
    rows = rows - 0.97 * np.concatenate([rows[:, :1], rows[:, :-1]], axis=1)
    phase = 2 * np.pi * np.arange(400) / 399
    rows = rows * ((0.5 - 0.5 * np.cos(phase)) ** 0.85 if window == "povey" else 0.54 - 0.46 * np.cos(phase))
    spectrum = np.abs(np.fft.rfft(rows, size)) ** 2
    mel = lambda hertz: 1127 * np.log(1 + np.asarray(hertz) / 700)
    edges = np.linspace(mel(20), mel(8000), 82)
    bins = mel(np.arange(size // 2) * RATE / size)
    rising = (bins[None, :] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None, :]) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.clip(np.minimum(rising, falling), 0, None)
    level = np.log(np.maximum(spectrum[:, :-1] @ bank.T, np.finfo(np.float32).eps))
    return level - level.mean(axis=0)


FRONT_ENDS = {
    "wq2012": librosa_mfcc,
    "ecapa": speechbrain_fbank,
    "titanet": nemo_mel,
    "wespeaker": lambda signal: kaldi_fbank(signal, 32768, "hamming"),
    "campplus": lambda signal: kaldi_fbank(signal, 1, "povey"),
}
# Input, output, features by time or time by features, how many numbers, and the file's name as it is published.
NETWORKS = {
    "wq2012": ("mfcc", "embedding", 40, 128, "saved_model.bilstm.mean.all.gpu100000.onnx"),
    "ecapa": ("feats", "embedding", 80, 192, "ecapa.onnx"),
    "titanet": ("audio_signal", "embs", 80, 192, "nemo_en_titanet_small.onnx"),
    "wespeaker": ("feats", "embs", 80, 256, "wespeaker_en_voxceleb_resnet34_LM.onnx"),
    "campplus": ("x", "embedding", 80, 512, "3dspeaker_speech_campplus_sv_en_voxceleb_16k.onnx"),
    "eres2net": ("x", "embedding", 80, 192, "3dspeaker_speech_eres2net_sv_en_voxceleb_16k.onnx"),
}


def tiny_network(name, path, rng):
    """Mean and largest of the frames, times two random numbers per output: small, and every frame counts.

    TitaNet's takes the sum over its frames, divided by `length`, so that padding and length are tried as well.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    source, target, features, size, _ = NETWORKS[name]
    # A narrow waist stands for a matrix of weights.
    down = rng.standard_normal((features, 4)).astype(np.float32)
    up = rng.standard_normal((4, size)).astype(np.float32)
    weights = [numpy_helper.from_array(down, "down"), numpy_helper.from_array(up, "up")]
    nodes = []
    if name == "titanet":
        inputs = [helper.make_tensor_value_info(source, TensorProto.FLOAT, ["B", features, "T"]),
                  helper.make_tensor_value_info("length", TensorProto.INT64, ["B"])]
        nodes += [helper.make_node("Transpose", [source], ["rows"], perm=[0, 2, 1]),
                  helper.make_node("MatMul", ["rows", "down"], ["low"]),
                  helper.make_node("Tanh", ["low"], ["bent"]),
                  helper.make_node("ReduceSum", ["bent", "axis"], ["sum"], keepdims=0),
                  helper.make_node("Cast", ["length"], ["count"], to=TensorProto.FLOAT),
                  helper.make_node("Div", ["sum", "count"], ["pooled"]),
                  helper.make_node("MatMul", ["pooled", "up"], [target]),
                  helper.make_node("Identity", ["pooled"], ["logits"])]
        weights.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 4]),
                   helper.make_tensor_value_info(target, TensorProto.FLOAT, ["B", size])]
    else:
        inputs = [helper.make_tensor_value_info(source, TensorProto.FLOAT, ["B", "T", features])]
        nodes += [helper.make_node("MatMul", [source, "down"], ["low"]),
                  helper.make_node("Tanh", ["low"], ["bent"]),
                  helper.make_node("ReduceMean", ["bent"], ["pooled"], axes=[1], keepdims=0),
                  helper.make_node("MatMul", ["pooled", "up"], [target])]
        outputs = [helper.make_tensor_value_info(target, TensorProto.FLOAT, ["B", size])]
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))

    def run(rows):
        bent = np.tanh(rows @ down)
        out = bent.mean(axis=0) @ up
        return out / np.linalg.norm(out)
    return run


def samples_of(path, start):
    """A second and a bit, so that no length is a whole number of frames."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2), "16 kHz, mono, 16 bit"
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)[start:start + RATE + 1234]


def tiny_random(out, clip):
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    networks = {}
    for name, (*_, file) in NETWORKS.items():
        (out / name).mkdir(exist_ok=True)
        networks[name] = tiny_network(name, out / name / file, rng)
    with tempfile.TemporaryDirectory() as folder:
        said = pathlib.Path(folder, "said.wav")
        subprocess.run(["flite", "-voice", "slt", "-t", "Somebody speaks.", "-o", str(said)], check=True)
        flite = samples_of(said, 1600)
    flite.tofile(out / "flite.s16")
    reference = {}
    for source, samples in {"flite": flite, "recording": samples_of(clip, 8 * RATE)}.items():
        reference[source] = {}
        for name, network in networks.items():
            rows = FRONT_ENDS["campplus" if name == "eres2net" else name](samples / 32768)
            reference[source][name] = {
                "shape": list(rows.shape),
                # Every thirtieth row is enough to see a mistake and small enough to be kept.
                "rows": [[float(f"{x:.5g}") for x in row] for row in rows[::30]],
                "embedding": [float(f"{x:.5g}") for x in network(rows)[:32]],
            }
    (out / "reference.json").write_text(json.dumps(reference))


def export_wq2012(checkpoint, out):
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(40, 64, 3, batch_first=True, bidirectional=True)

        def forward(self, mfcc):
            return self.lstm(mfcc)[0].mean(dim=1)

    encoder = Encoder()
    encoder.load_state_dict(torch.load(checkpoint, map_location="cpu")["encoder_state_dict"])
    encoder.eval()
    out.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(encoder, torch.zeros(2, 100, 40), str(out / NETWORKS["wq2012"][4]), opset_version=13,
                      input_names=["mfcc"], output_names=["embedding"],
                      dynamic_axes={"mfcc": {0: "B", 1: "T"}, "embedding": {0: "B"}})


def export_ecapa(out):
    import torch
    from speechbrain.inference.speaker import EncoderClassifier

    network = EncoderClassifier.from_hparams(source="speechbrain/spkrec-ecapa-voxceleb").mods.embedding_model.eval()

    class Encoder(torch.nn.Module):
        def forward(self, feats):
            return network(feats).squeeze(1)

    out.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(Encoder(), torch.zeros(1, 200, 80), str(out / NETWORKS["ecapa"][4]), opset_version=17,
                      input_names=["feats"], output_names=["embedding"],
                      dynamic_axes={"feats": {0: "B", 1: "T"}, "embedding": {0: "B"}})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wq2012", nargs=2, metavar=("CHECKPOINT", "OUT"), type=pathlib.Path)
    parser.add_argument("--ecapa", metavar="OUT", type=pathlib.Path)
    parser.add_argument("--tiny-random", metavar="OUT", type=pathlib.Path)
    parser.add_argument("--clip", metavar="WAV", type=pathlib.Path,
                        default="../shared/media/diar/pyannote_sample/sample.wav")
    args = parser.parse_args()
    if args.wq2012:
        export_wq2012(*args.wq2012)
    elif args.ecapa:
        export_ecapa(args.ecapa)
    elif args.tiny_random:
        tiny_random(args.tiny_random, args.clip)
    else:
        parser.print_help()


if __name__ == "__main__":
    main()
