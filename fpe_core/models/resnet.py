"""ResNet34 for slices (He et al., CVPR 2016), with every width scaled by `base_width`."""

from torch import Tensor, nn

from fpe_core.models.blocks import Block
from fpe_core.models.non_local import NonLocalBlock


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut; a 1×1 convolution on the shortcut where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = _shortcut(in_channels, out_channels, stride)
        # The residual branch starts at zero, so that the untrained network is shallow.
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, in, H, W]` to `[N, out, H / stride, W / stride]`."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        result: Tensor = self.relu(branch + self.downsample(x))
        return result


class SliceEncoder(nn.Module):
    """ResNet34 without its classifier: one slice in, one vector out.

    Attributes:
        num_features: length of a slice's vector, 8 · base_width (512 as published).
        blocks: for `block_map`.
    """

    def __init__(self, *, in_channels: int, base_width: int, non_local: bool) -> None:
        super().__init__()
        w = base_width
        self.num_features = 8 * w
        self.blocks: dict[str, Block] = {"conv1.": "stem", "layer": "encoder"}
        self.conv1 = nn.Conv2d(in_channels, w, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(w)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(w, w, num_blocks=3, stride=1)
        self.layer2 = _stage(w, 2 * w, num_blocks=4, stride=2)
        self.layer3 = _stage(2 * w, 4 * w, num_blocks=6, stride=2)
        if non_local:
            self.layer3.insert(5, NonLocalBlock(4 * w))
            self.blocks["layer3.5."] = "attention"
        self.layer4 = _stage(4 * w, 8 * w, num_blocks=3, stride=2)

    def encode(self, slices: Tensor) -> Tensor:
        """Slices `[N, C, H, W]` to vectors `[N, num_features]`."""
        return self.high_level(self.low_level(slices))

    def low_level(self, slices: Tensor) -> Tensor:
        """Stem and first stage: slices `[N, C, H, W]` to maps `[N, base_width, H / 4, W / 4]`."""
        maps: Tensor = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(slices)))))
        return maps

    def high_level(self, maps: Tensor) -> Tensor:
        """The other stages: low-level maps to vectors `[N, num_features]`."""
        # A mean rather than adaptive pooling: its backward pass is deterministic on every device.
        pooled: Tensor = self.layer4(self.layer3(self.layer2(maps))).mean(dim=(2, 3))
        return pooled


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )


def _stage(in_channels: int, out_channels: int, *, num_blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, stride=stride)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels) for _ in range(num_blocks - 1)))
