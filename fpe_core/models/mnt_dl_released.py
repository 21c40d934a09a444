"""MNT-DL as released ("res25"): a multisequence neighbourhood transformer over 25 slices.

Zhang et al., A deep learning approach to predict recanalization first-pass effect following mechanical thrombectomy in
patients with acute ischemic stroke; the network is the one that the authors' public code computes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpe_core.models.attention import SelfAttention
from fpe_core.models.neighbourhoods import fold_slices
from fpe_core.models.output import MntDlOutput
from fpe_core.models.released import load_released_state_dict
from fpe_core.models.resnet import SliceEncoder

__all__ = ["NUM_SLICES", "MntDlReleased", "load_released_state_dict"]

NUM_NEIGHBOURHOODS = 5
SLICES_EACH = 5
NUM_SLICES = NUM_NEIGHBOURHOODS * SLICES_EACH
NUM_HEADS = 4
DROPOUT = 0.2


class MntDlReleased(SliceEncoder):
    """Slice encoder → attention inside each neighbourhood → five subnet heads and one fusion head.

    The slices of a whole batch go through the encoder as one batch of B · 25 images: in training mode batch
    normalisation therefore takes its statistics over all of them. It is an encoder rather than having one because the
    released checkpoints name the encoder's tensors without a prefix.

    The released network also carries `attn_2` … `attn_5` and `fc`, 4.2 of its 26.6 million weights, which no output
    depends on. They are not here: weight decay would only shrink them and every round would send 17 MB for nothing.
    `load_released_state_dict` checks them and leaves them out. The released code applies dropout at evaluation as well;
    here it is for training only.

    Attributes:
        embedding_size: length of what `embed` gives for a case, 25 · num_features.
    """

    def __init__(self, *, in_channels: int, base_width: int = 64, non_local: bool = False) -> None:
        super().__init__(in_channels=in_channels, base_width=base_width, non_local=non_local)
        self.in_channels = in_channels
        self.embedding_size = NUM_SLICES * self.num_features
        self.blocks |= {"attn_1.": "attention", "fc_": "head", "classifier.": "head"}
        self.attn_1 = SelfAttention(self.num_features, num_heads=NUM_HEADS)
        self.fc_0_1, self.fc_1_1, self.fc_2_1, self.fc_3_1, self.fc_4_1 = (
            nn.Linear(SLICES_EACH * self.num_features, 1) for _ in range(NUM_NEIGHBOURHOODS)
        )
        self.fc_0_2 = nn.Linear(self.num_features, 1)
        self.classifier = nn.Sequential(nn.Softmax(dim=-1), nn.Linear(NUM_SLICES, 1))
        self.apply(_initialise)

    def forward(self, x: Tensor) -> MntDlOutput:
        """Logits of a batch.

        Args:
            x: `[B, C, Z, H, W]` float, slices along Z; Z ≥ 25, of which the first 25 are used. The published H = W is
                224; any size that five halvings leave something of works.

        Raises:
            ModelError: `x` has another number of axes or channels, or too few slices.
        """
        return self.predict(self._encoded(x))

    def embed(self, x: Tensor) -> Tensor:
        """What the heads see of a batch, and self-supervision too: `[B, C, Z, H, W]` to `[B, 25 · F]`, slice-major."""
        return self._attended(self._encoded(x)).reshape(len(x), self.embedding_size)

    def predict(self, encoded: Tensor) -> MntDlOutput:
        """Logits from the encoder's vectors `[B · 25, F]`, the slices of a case side by side."""
        features = self._attended(encoded)
        return MntDlOutput(self._fusion(features), self._subnets(features))

    def _encoded(self, x: Tensor) -> Tensor:
        return self.encode(fold_slices(x, in_channels=self.in_channels, num_slices=NUM_SLICES))

    def _attended(self, encoded: Tensor) -> Tensor:
        """`[B · 25, F]` to `[B · 5, 5, F]`: each slice's vector after attention within its neighbourhood."""
        features = F.dropout(encoded, DROPOUT, self.training).view(-1, SLICES_EACH, self.num_features)
        attended: Tensor = features + self.attn_1(features)
        return attended

    def _fusion(self, features: Tensor) -> Tensor:
        """`[B · 5, 5, F]` to `[B, 1]`."""
        kept = F.dropout(features, DROPOUT, self.training)
        logits: Tensor = self.classifier(self.fc_0_2(kept).view(-1, NUM_SLICES))
        return logits

    def _subnets(self, features: Tensor) -> Tensor:
        """`[B · 5, 5, F]` to `[B, 5]`: the five heads side by side, each on its own neighbourhood."""
        heads = (self.fc_0_1, self.fc_1_1, self.fc_2_1, self.fc_3_1, self.fc_4_1)
        weight = torch.cat([head.weight for head in heads])
        bias = torch.cat([head.bias for head in heads])
        flat = features.reshape(-1, NUM_NEIGHBOURHOODS, SLICES_EACH * self.num_features)
        # A pairwise sum keeps float32 precision where a logit is a small difference of large terms.
        return (flat * weight).sum(dim=-1) + bias


def _initialise(module: nn.Module) -> None:
    """Convolutions Kaiming-normal (fan-out), linear layers N(0, 0.01); every bias zero. Norms see to themselves."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
