"""Puts the interpreter that modules run on into the distributions: from the repository's place, or from an unpacked one."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = ["tidemill-python.wasm.gz", "tidemill-python.lock", "tidemill-python.modules"]
PLACES = ["interpreter-image", "../runtime/sandbox/script/python"]


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """The hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the files."""
        target = "interpreter-image" if self.target_name == "sdist" else "tidemill/interpreter"
        for place in PLACES:
            folder = Path(self.root, place)
            if all((folder / name).is_file() for name in FILES):
                build_data["force_include"].update({str(folder / name): f"{target}/{name}" for name in FILES})
                return
