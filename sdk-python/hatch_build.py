"""Puts the interpreter that modules run on into the distributions: from the repository's place, or from an unpacked one."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LOCK = "tidemill-python.lock"
FILES = "tidemill-python.*"
PLACES = ["interpreter-image", "../runtime/sandbox/script/python"]


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """The hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the files."""
        target = "interpreter-image" if self.target_name == "sdist" else "tidemill/interpreter"
        for place in PLACES:
            folder = Path(self.root, place)
            if (folder / LOCK).is_file():
                build_data["force_include"].update({str(file): f"{target}/{file.name}" for file in folder.glob(FILES)})
                return
