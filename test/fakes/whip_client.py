"""What WHIP and WHEP clients have in common, whatever they are made with: arguments, HTTP, and what they say."""

import argparse
import json
import urllib.error
import urllib.request


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["whip", "whep"])
    parser.add_argument("url")
    parser.add_argument("--token")
    parser.add_argument("--clip")
    parser.add_argument("--codec")
    return parser.parse_args()


def say(**what):
    print(json.dumps(what), flush=True)


def request(method, url, body=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items() if value}
    asked = urllib.request.Request(url, data=body and body.encode(), method=method, headers=named)
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()
