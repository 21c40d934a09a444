import subprocess
import sys

import pytest

from fpe_core.errors import ModelUnknown
from fpe_core.models import build_model
from fpe_core.models.mnt_dl_released import MntDlReleased


def test_builds_the_network_of_that_name() -> None:
    model = build_model("mnt-dl-released", in_channels=2, base_width=8, non_local=True)
    assert isinstance(model, MntDlReleased)
    assert model.conv1.weight.shape == (8, 2, 7, 7)


def test_unknown_name_is_refused_and_the_valid_ones_named() -> None:
    with pytest.raises(ModelUnknown, match="'mnt-dl-3'") as caught:
        build_model("mnt-dl-3", in_channels=3)
    assert "mnt-dl-released" in caught.value.hint


def test_importing_the_models_does_not_import_monai() -> None:
    code = "import sys, fpe_core.models; sys.exit('monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
