"""What the protocol's page shows can be typed, and names what there is."""

import re
import shlex
from pathlib import Path

from fpe_sim.federated.protocol import FederatedProtocol
from fpe_sim.protocol import load_protocol, protocol_file, protocol_names

PAGE = (Path(__file__).parents[3] / "docs" / "protocol-federated.md").read_text(encoding="utf-8")


def test_every_setting_that_it_shows_exists() -> None:
    lines = [shlex.split(line) for line in PAGE.splitlines() if line.startswith("fpe-sim run ")]
    assert len(lines) >= 6
    for words in lines:
        settings = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
        images = [f"dials.images={words[place + 1]}" for place, word in enumerate(words) if word == "--images"]
        load_protocol(protocol_file(words[2]), FederatedProtocol, [*settings, *images])


def test_it_names_every_federation_that_comes_along() -> None:
    shown = set(re.findall(r"^\| `(federated[a-z-]*)` \|", PAGE, flags=re.MULTILINE))
    assert shown == {name for name in protocol_names() if name.startswith("federated")}
