"""_describe.py FOLDER ENTRY LANGUAGE RESULT: imports an operator's sources and writes their description or the error.

It runs in a Python without site packages, so that what the interpreter in the module does not have is not found here either.
"""

import contextlib
import json
import sys
from pathlib import Path


def main(folder: str, entry: str, language: str, result: str) -> None:
    """Does it."""
    here = str(Path(__file__).parents[2])
    sys.path.insert(0, here)
    from tidemill import _declare, _errors

    sys.path.remove(here)
    sys.path.insert(0, folder)
    answer: dict[str, object]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            __import__(entry.removesuffix(".py"))
            answer = {"description": _declare.description_json(language).decode()}
    except BaseException as error:
        message, place = _errors.explain(error)
        answer = {"error": [message.replace(folder + "/", ""), place.replace(folder + "/", "")]}
    Path(result).write_text(json.dumps(answer))


main(*sys.argv[1:])
