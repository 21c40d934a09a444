"""A wrong configuration file is named with its line, its key, what was expected and what may have been meant."""

from pathlib import Path

import pytest

from fpe_core.config.base import FrozenModel
from fpe_core.config.loader import load_site, load_study, load_yaml
from fpe_core.errors import (
    ConfigError,
    ConfigFileMissing,
    ConfigKeyUnknown,
    ConfigSyntaxError,
    ConfigValueInvalid,
)

SITE = """\
# a comment
site: north
server:
  address: fpe.example.org:9092
  ca_certificate: ca.crt
private_key: keys/site.key
state_dir: state
data:
  cases: /data/cases.csv
trainer:
  device: cpu
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def refused(folder: Path, text: str) -> ConfigError:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    assert str(caught.value).startswith(f"{path}:")
    return caught.value


def message(folder: Path, error: ConfigError) -> str:
    return str(error).removeprefix(f"{folder / 'site.yaml'}:")


def test_a_right_file_loads_with_its_paths_resolved(folder: Path) -> None:
    path = folder / "site.yaml"
    path.write_text(SITE)
    config = load_site(path)
    assert config.server.ca_certificate == folder / "ca.crt"
    assert config.private_key == folder / "keys" / "site.key"
    assert config.state_dir == folder / "state"
    assert config.data.cases == Path("/data/cases.csv")
    assert config.trainer.device == "cpu"
    assert config.trainer.overdue_after_s == 900


def test_paths_are_relative_to_the_file_and_not_to_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "etc").mkdir()
    (folder / "etc" / "site.yaml").write_text(SITE)
    monkeypatch.chdir(folder)
    assert load_site(Path("etc/site.yaml")).state_dir == folder / "etc" / "state"


def test_an_unknown_key_names_the_nearest(folder: Path) -> None:
    error = refused(folder, SITE.replace("  device: cpu", "  devise: cpu"))
    assert isinstance(error, ConfigKeyUnknown)
    assert message(folder, error) == (
        "11: trainer.devise: unknown key, expected one of "
        "compile, device, micro_batch_size, overdue_after_s, threads, workers"
    )
    assert error.hint == "did you mean 'device'?"


def test_an_unknown_key_near_to_nothing_is_to_be_removed(folder: Path) -> None:
    error = refused(folder, SITE + "zzz: 1\n")
    assert isinstance(error, ConfigKeyUnknown)
    assert message(folder, error).startswith("12: zzz: unknown key, expected one of data, policy, ")
    assert error.hint == "remove it"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("device: cpu", "device: gpu", 11, "trainer.device: String should match pattern"),
        ("device: cpu", "overdue_after_s: soon", 11, "should be a valid number, unable to parse string as a number"),
        ("device: cpu", "overdue_after_s: 0", 11, "trainer.overdue_after_s: should be greater than 0, got 0"),
        ("site: north", "site: North Hospital", 2, "got 'North Hospital'"),
        ("  address: fpe.example.org:9092", "  address: [a, b]", 4, "server.address: should be a valid string"),
        ("state_dir: state", "state_dir: 7", 7, "state_dir: is not a valid path"),
        ("site: north", "schema_version: 2\nsite: north", 2, "schema_version: should be 1, got 2"),
        ("device: cpu", "threads: 0", 11, "trainer.threads: should be greater than or equal to 1, got 0"),
        ("trainer:\n  device: cpu", "trainer: cpu", 10, "trainer: should be keys with values below it"),
    ],
)
def test_a_wrong_value_names_line_key_and_expectation(folder: Path, old: str, new: str, line: int, words: str) -> None:
    error = refused(folder, SITE.replace(old, new))
    assert isinstance(error, ConfigValueInvalid)
    assert message(folder, error).startswith(f"{line}: ")
    assert words in str(error)


def test_a_wrong_value_is_explained(folder: Path) -> None:
    error = refused(folder, SITE.replace("device: cpu", "device: gpu"))
    assert error.hint == "auto takes the first GPU, or the CPU where there is none."


def test_a_missing_key_names_where_it_belongs(folder: Path) -> None:
    error = refused(folder, SITE.replace("  address: fpe.example.org:9092\n", ""))
    assert isinstance(error, ConfigValueInvalid)
    assert message(folder, error) == "3: server.address: required, and missing"
    assert error.hint == "host:port of the server, for example fpe.example.org:9092."


def test_the_first_of_several_problems_is_told_and_the_others_counted(folder: Path) -> None:
    text = SITE.replace("site: north", "site: NORTH").replace("device: cpu", "devise: cpu")
    assert message(folder, refused(folder, text)).startswith("2: site: ")
    assert str(refused(folder, text)).endswith("(1 more after this one)")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (SITE + "site: south\n", 12, "the key 'site' stands here twice"),
        (SITE.replace("  device: cpu", "  device: cpu\n  device: cuda"), 12, "the key 'device' stands here twice"),
        ("site: [north\nserver: x\n", 2, "not valid YAML"),
        ("site: north\n\tserver: x\n", 2, "not valid YAML"),
        ("site: !!python/object:os.system x\n", 1, "not valid YAML"),
        ("- site\n- server\n", 1, "expected keys and values, got a list"),
        ("", 1, "expected keys and values, got nothing"),
    ],
)
def test_a_file_that_is_not_good_yaml_names_the_line(folder: Path, text: str, line: int, words: str) -> None:
    error = refused(folder, text)
    assert isinstance(error, ConfigSyntaxError)
    assert message(folder, error).startswith(f"{line}: ")
    assert words in str(error)


def test_a_file_that_is_not_text(folder: Path) -> None:
    path = folder / "site.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigSyntaxError, match="UTF-8"):
        load_site(path)
    with pytest.raises(ConfigSyntaxError, match="cannot be read"):
        load_site(folder)


def test_a_missing_file_names_a_similar_one(folder: Path) -> None:
    (folder / "site.yaml").write_text(SITE)
    with pytest.raises(ConfigFileMissing) as caught:
        load_site(folder / "sites.yaml")
    assert str(caught.value) == f"{folder / 'sites.yaml'}: no such file"
    assert caught.value.hint == f"did you mean {folder / 'site.yaml'}?"
    with pytest.raises(ConfigFileMissing) as caught:
        load_site(folder / "nowhere" / "site.yaml")
    assert caught.value.hint == f"the folder {folder / 'nowhere'} does not exist either"


def test_a_study_is_read_by_the_same_rules(folder: Path) -> None:
    path = folder / "study.yaml"
    path.write_text("name: pilot\ntask: fpe\nseed: 1\nfederation:\n  min_sites: 2\n  quorum: 3\n")
    with pytest.raises(ConfigValueInvalid) as caught:
        load_study(path)
    assert str(caught.value).startswith(f"{path}:4: federation: quorum should be at most min_sites (2), got 3")
    path.write_text("name: pilot\ntask: outcome\nseed: 1\n")
    with pytest.raises(ConfigValueInvalid, match=r"study.yaml:2: task: .*'fpe'"):
        load_study(path)
    path.write_text("name: pilot\ntask: fpe\nseed: 1\nmodel:\n  sequences: [dwi, dwo]\n")
    with pytest.raises(ConfigValueInvalid, match=r"study.yaml:5: model.sequences.1: "):
        load_study(path)
    path.write_text("name: pilot\ntask: fpe\nseed: 1\nmodel:\n  sequences: dwi\n")
    with pytest.raises(ConfigValueInvalid, match=r"model.sequences: should be a list, such as \[a, b\], got 'dwi'"):
        load_study(path)


def test_a_misspelt_required_key_is_told_before_the_one_that_is_missing(folder: Path) -> None:
    error = refused(folder, SITE.replace("state_dir:", "state_dirr:"))
    assert isinstance(error, ConfigKeyUnknown)
    assert message(folder, error).startswith("7: state_dirr: unknown key")
    assert error.hint == "did you mean 'state_dir'?"


class Leaf(FrozenModel):
    names: tuple[str, ...] = ()
    """Names of the leaf."""


class Tree(FrozenModel):
    by_name: dict[str, Leaf] | None = None
    listed: tuple[Leaf, ...] = ()
    perhaps: Leaf | None = None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("by_name:\n  oak:\n    nams: [a]\n", 3),
        ("listed:\n  - names: [a]\n  - nams: [b]\n", 3),
        ("perhaps:\n  nams: [a]\n", 2),
    ],
)
def test_a_misspelt_key_inside_mappings_and_lists_is_told_with_the_keys_of_its_own_level(
    tmp_path: Path, text: str, line: int
) -> None:
    path = tmp_path / "tree.yaml"
    path.write_text(text)
    with pytest.raises(
        ConfigKeyUnknown, match=f"tree.yaml:{line}: .*nams: unknown key, expected one of names"
    ) as caught:
        load_yaml(path, Tree)
    assert caught.value.hint == "did you mean 'names'?"
    path.write_text(text.replace("nams: [a]", "names: 5").replace("nams: [b]", "names: 5"))
    with pytest.raises(ConfigValueInvalid) as refused:
        load_yaml(path, Tree)
    assert refused.value.hint == "Names of the leaf."
