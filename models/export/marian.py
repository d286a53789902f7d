"""Exports an OPUS-MT (Marian) checkpoint for `translator:opus-mt`.

With a checkpoint, a folder as Helsinki-NLP publishes them (pytorch_model.bin, config.json, vocab.json, source.spm,
target.spm):

    python3 models/export/marian.py ~/opus-mt-en-eu --out ~/.cache/livedub/models/models/opus-mt-en-eu

Without one, the tiny random network and the reference outputs that the tests use:

    python3 models/export/marian.py --tiny-random test/fixtures/opus-mt

Needs torch, onnx, sentencepiece and transformers (written with torch 1.13, transformers 4.27.1). The reference outputs
are what `MarianTokenizer` and `MarianMTModel.generate` of Transformers make; nothing of ours has a part in them.
"""

import argparse
import json
import os
import shutil
import tempfile

import sentencepiece
import torch
from transformers.models.marian.configuration_marian import MarianConfig
from transformers.models.marian.modeling_marian import MarianMTModel
from transformers.models.marian.tokenization_marian import MarianTokenizer

from corpus import ASKED, ENGLISH, RULES, SPANISH, rules_file
from seq2seq import export, generated, practise

FILES = ("config.json", "generation_config.json", "vocab.json", "source.spm", "target.spm", "tokenizer_config.json")


def train(lines, path, size):
    """A unigram tokenizer as OPUS-MT's, with few pieces and few rewriting rules."""
    with tempfile.TemporaryDirectory() as folder:
        rules = os.path.join(folder, "rules.tsv")
        rules_file(rules)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_prefix=os.path.join(folder, "spm"),
            model_type="unigram",
            vocab_size=size,
            hard_vocab_limit=False,
            normalization_rule_tsv=rules,
            minloglevel=2,
        )
        shutil.copyfile(os.path.join(folder, "spm.model"), path)


def vocabulary(folder):
    """Pieces of both tokenizers, ended by padding, as OPUS-MT numbers them; and two languages one could ask for."""
    pieces = []
    for name in ("source.spm", "target.spm"):
        model = sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, name))
        pieces += [model.id_to_piece(n) for n in range(model.get_piece_size())]
    own = ["</s>", "<unk>", *sorted({piece for piece in pieces if piece not in ("</s>", "<unk>", "<s>")})]
    return {piece: n for n, piece in enumerate([*own, ">>spa<<", ">>por<<", "<pad>"])}


def tiny(folder):
    os.makedirs(folder, exist_ok=True)
    train(ENGLISH, os.path.join(folder, "source.spm"), 140)
    train(SPANISH, os.path.join(folder, "target.spm"), 140)
    words = vocabulary(folder)
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump(words, file, ensure_ascii=False, indent=0)
    pad = words["<pad>"]
    config = MarianConfig(
        vocab_size=len(words),
        decoder_vocab_size=len(words),
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=4,
        encoder_ffn_dim=32,
        decoder_ffn_dim=24,
        max_position_embeddings=64,
        activation_function="swish",
        dropout=0.0,
        scale_embedding=True,
        init_std=0.15,
        pad_token_id=pad,
        eos_token_id=0,
        bos_token_id=0,
        forced_eos_token_id=0,
        decoder_start_token_id=pad,
        max_length=48,
        num_beams=4,
    )
    config.bad_words_ids = [[pad]]
    tokenizer = MarianTokenizer(
        source_spm=os.path.join(folder, "source.spm"),
        target_spm=os.path.join(folder, "target.spm"),
        vocab=os.path.join(folder, "vocab.json"),
        source_lang="en",
        target_lang="es",
    )
    asked = [*ASKED, *[f">>por<< {text}" for text in ASKED[:2]]]
    ids = [tokenizer(text)["input_ids"] for text in asked]

    torch.manual_seed(7)
    model = MarianMTModel(config)
    model.final_logits_bias = torch.randn(1, len(words)) * 0.1
    pairs = [
        (tokenizer(label + a)["input_ids"], tokenizer(text_target=b)["input_ids"])
        for label in ("", ">>spa<< ", ">>por<< ")
        for a, b in zip(ENGLISH, SPANISH)
    ]
    loss = practise(model, pairs, pad, 500)
    greedy = [generated(model, each, 1) for each in ids]
    beam = [generated(model, each, 4) for each in ids]
    wide = [generated(model, each, 6, length_penalty=0.6, early_stopping=True) for each in ids]
    short = [generated(model, each, 3, max_length=6) for each in ids]
    reference = {
        "sentences": [
            {
                "text": text,
                "ids": source,
                "pieces": tokenizer.tokenize(text),
                "greedy": a,
                "beam": b,
                "wide": c,
                "short": d,
                "decoded": tokenizer.decode(b, skip_special_tokens=True, clean_up_tokenization_spaces=False),
            }
            for text, source, a, b, c, d in zip(asked, ids, greedy, beam, wide, short)
        ],
    }
    config.architectures = ["MarianMTModel"]
    config.to_json_file(os.path.join(folder, "config.json"))
    model.generation_config.to_json_file(os.path.join(folder, "generation_config.json"))
    export(model, folder)
    with open(os.path.join(folder, "reference.json"), "w", encoding="utf-8") as file:
        json.dump(reference, file, ensure_ascii=False)
    differ = sum(a != b for a, b in zip(greedy, beam))
    print(f"{len(words)} words, {len(RULES)} rules, loss {loss:.2f}, lengths {[len(each) for each in beam]}, {differ} differ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", help="folder of a checkpoint")
    parser.add_argument("--out", help="folder to write to")
    parser.add_argument("--tiny-random", metavar="OUT", help="write the fixtures of the tests to this folder")
    args = parser.parse_args()
    if args.tiny_random:
        tiny(args.tiny_random)
        return
    if not (args.checkpoint and args.out):
        parser.error("name a checkpoint and --out, or --tiny-random OUT")
    model = MarianMTModel.from_pretrained(args.checkpoint)
    export(model, args.out)
    for name in FILES:
        source = os.path.join(args.checkpoint, name)
        if os.path.exists(source):
            shutil.copyfile(source, os.path.join(args.out, name))


if __name__ == "__main__":
    main()
