"""The example site files load, say what they are for, and their schema is the code's."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fpe_client.schema import site_schema
from fpe_core.config.loader import load_site
from fpe_core.config.recipe import recipe_named

FOLDER = Path(__file__).parents[2] / "site_configs"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))


def test_there_is_an_example_for_each_kind_of_site() -> None:
    assert [path.stem for path in EXAMPLES] == ["ct-site", "mixed-site", "mr-site"]


def test_the_schema_is_fresh() -> None:
    """Refresh it with: python -m fpe_client.schema > site_configs/site.schema.json."""
    assert (FOLDER / "site.schema.json").read_text() == site_schema()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads_and_fits_the_schema(path: Path) -> None:
    config = load_site(path)
    assert config.private_key.is_absolute()
    assert recipe_named(config.preprocessing.recipe).name == config.preprocessing.recipe
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(site_schema()))
    assert path.read_text().startswith("# yaml-language-server: $schema=site.schema.json\n")


@pytest.mark.parametrize(
    "change",
    [
        {"nickname": "n"},
        {"site": "North Hospital"},
        {"server": {"address": "no-port", "ca_certificate": "ca.crt"}},
        {"trainer": {"device": "gpu"}},
        {"policy": {"min_cases_per_class": 1}},
    ],
)
def test_the_schema_refuses_what_the_code_refuses(change: dict[str, Any]) -> None:
    plain = yaml.safe_load((FOLDER / "mr-site.yaml").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain | change, json.loads(site_schema()))
