"""Exports an M2M100 or NLLB-200 checkpoint for `translator:m2m100` and `translator:nllb`.

With a checkpoint, a folder as facebook/m2m100_418M or facebook/nllb-200-distilled-600M:

    python3 models/export/m2m100.py ~/m2m100_418M --out ~/.cache/livedub/models/models/m2m100-418m

Without one, the tiny random networks and the reference outputs that the tests use:

    python3 models/export/m2m100.py --tiny-random test/fixtures/m2m100
    python3 models/export/m2m100.py --tiny-random test/fixtures/nllb --nllb

Needs torch, onnx, sentencepiece and transformers (written with torch 1.13, transformers 4.27.1). The reference outputs
are what `M2M100Tokenizer` or `NllbTokenizer` and `M2M100ForConditionalGeneration.generate` of Transformers make; nothing
of ours has a part in them. NLLB's source language stands before the sentence, as in its paper (arXiv:2207.04672 §5.1.1)
and in Transformers since 4.31; the version above put it behind.
"""

import argparse
import json
import os
import shutil
import tempfile

import sentencepiece
import torch
from transformers.models.m2m_100.configuration_m2m_100 import M2M100Config
from transformers.models.m2m_100.modeling_m2m_100 import M2M100ForConditionalGeneration
from transformers.models.m2m_100.tokenization_m2m_100 import M2M100Tokenizer
from transformers.models.nllb.tokenization_nllb import NllbTokenizer

from corpus import ASKED, ENGLISH, RULES, SPANISH, rules_file
from seq2seq import export, generated, practise

MODEL = "sentencepiece.bpe.model"
FILES = ("config.json", "generation_config.json", "vocab.json", MODEL, "special_tokens_map.json")
PAD, EOS = 1, 2


def train(lines, path, size):
    """A byte-pair tokenizer as theirs, with few pieces and few rewriting rules."""
    with tempfile.TemporaryDirectory() as folder:
        rules = os.path.join(folder, "rules.tsv")
        rules_file(rules)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_prefix=os.path.join(folder, "spm"),
            model_type="bpe",
            vocab_size=size,
            character_coverage=1.0,
            normalization_rule_tsv=rules,
            minloglevel=2,
        )
        shutil.copyfile(os.path.join(folder, "spm.model"), path)


def m2m100(folder):
    """The tokenizer, its vocabulary written, and how it names languages."""
    path = os.path.join(folder, MODEL)
    model = sentencepiece.SentencePieceProcessor(model_file=path)
    pieces = [model.id_to_piece(n) for n in range(3, model.get_piece_size())]
    words = {piece: n for n, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *pieces])}
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump(words, file, ensure_ascii=False, indent=0)
    tokenizer = M2M100Tokenizer(os.path.join(folder, "vocab.json"), path)
    return tokenizer, {"en": tokenizer.get_lang_id("en"), "es": tokenizer.get_lang_id("es")}


def nllb(folder):
    tokenizer = NllbTokenizer(os.path.join(folder, MODEL))
    return tokenizer, {"en": tokenizer.lang_code_to_id["eng_Latn"], "es": tokenizer.lang_code_to_id["spa_Latn"]}


def tiny(folder, is_nllb):
    os.makedirs(folder, exist_ok=True)
    train([*ENGLISH, *SPANISH], os.path.join(folder, MODEL), 240)
    tokenizer, languages = (nllb if is_nllb else m2m100)(folder)

    def encoded(text, language):
        return [languages[language], *tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text)), EOS]

    config = M2M100Config(
        vocab_size=len(tokenizer) + (0 if is_nllb else 8),
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=4,
        encoder_ffn_dim=32,
        decoder_ffn_dim=24,
        max_position_embeddings=64,
        init_std=0.15,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        pad_token_id=PAD,
        eos_token_id=EOS,
        bos_token_id=0,
        decoder_start_token_id=EOS,
        max_length=48,
        **({} if is_nllb else {"num_beams": 5, "early_stopping": True}),
    )
    torch.manual_seed(7)
    model = M2M100ForConditionalGeneration(config)
    pairs = [(encoded(a, "en"), encoded(b, "es")) for a, b in zip(ENGLISH, SPANISH)]
    pairs += [(encoded(b, "es"), encoded(a, "en")) for a, b in zip(ENGLISH, SPANISH)]
    loss = practise(model, pairs, PAD, 500)

    ids = [encoded(text, "en") for text in ASKED]
    to = {"forced_bos_token_id": languages["es"]}
    greedy = [generated(model, each, 1, **to) for each in ids]
    beam = [generated(model, each, 4, early_stopping=False, **to) for each in ids]
    wide = [generated(model, each, 6, length_penalty=0.6, early_stopping=True, **to) for each in ids]
    short = [generated(model, each, 3, max_length=6, early_stopping=False, **to) for each in ids]
    special = tokenizer.additional_special_tokens
    with open(os.path.join(folder, "special_tokens_map.json"), "w", encoding="utf-8") as file:
        json.dump({"additional_special_tokens": special}, file)
    reference = {
        "languages": languages,
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
            for text, source, a, b, c, d in zip(ASKED, ids, greedy, beam, wide, short)
        ],
    }
    config.architectures = ["M2M100ForConditionalGeneration"]
    config.to_json_file(os.path.join(folder, "config.json"))
    model.generation_config.to_json_file(os.path.join(folder, "generation_config.json"))
    export(model, folder)
    with open(os.path.join(folder, "reference.json"), "w", encoding="utf-8") as file:
        json.dump(reference, file, ensure_ascii=False)
    differ = sum(a != b for a, b in zip(greedy, beam))
    lengths = [len(each) for each in beam]
    print(f"{config.vocab_size} words, {len(RULES)} rules, loss {loss:.2f}, lengths {lengths}, {differ} differ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", help="folder of a checkpoint")
    parser.add_argument("--out", help="folder to write to")
    parser.add_argument("--tiny-random", metavar="OUT", help="write the fixtures of the tests to this folder")
    parser.add_argument("--nllb", action="store_true", help="with --tiny-random: NLLB's tokenizer and languages")
    args = parser.parse_args()
    if args.tiny_random:
        tiny(args.tiny_random, args.nllb)
        return
    if not (args.checkpoint and args.out):
        parser.error("name a checkpoint and --out, or --tiny-random OUT")
    model = M2M100ForConditionalGeneration.from_pretrained(args.checkpoint)
    export(model, args.out)
    for name in FILES:
        source = os.path.join(args.checkpoint, name)
        if os.path.exists(source):
            shutil.copyfile(source, os.path.join(args.out, name))


if __name__ == "__main__":
    main()
