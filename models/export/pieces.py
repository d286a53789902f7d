"""Writes what SentencePiece itself makes of a text, for the test of ours.

    python3 models/export/pieces.py TOKENIZER.spm LINES.txt OUT.json

Needs sentencepiece (written with 0.1.97). Each line of LINES.txt may have escapes as in Python, such as \\u00a0.
"""

import argparse
import json

import sentencepiece


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer")
    parser.add_argument("lines")
    parser.add_argument("out")
    args = parser.parse_args()
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=args.tokenizer)
    with open(args.lines, encoding="utf-8") as file:
        texts = [json.loads(f'"{line}"') for line in file.read().split("\n") if line != ""]
    with open(args.out, "w", encoding="utf-8") as file:
        pairs = [json.dumps([text, tokenizer.encode(text, out_type=str)], ensure_ascii=False) for text in texts]
        file.write("[\n" + ",\n".join(pairs) + "\n]\n")


if __name__ == "__main__":
    main()
