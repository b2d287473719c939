"""Changed files of a model with their hashes put right in its card, to try what lies behind the check of the hashes."""

from __future__ import annotations

import json
from pathlib import Path

from paraisite.atomic import sha256_of
from paraisite.models.files import CARD_NAME


def seal(folder: Path) -> None:
    """Write the SHA-256 of the files as they are into the card, as if whoever made the model had left them so."""
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    card["sha256"] = {name: sha256_of(folder / name) for name in card["sha256"] if (folder / name).is_file()}
    (folder / CARD_NAME).write_text(json.dumps(card), encoding="utf-8")
