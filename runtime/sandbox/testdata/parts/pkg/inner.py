import json

X = 1


def fails() -> None:
    json.loads("{")
