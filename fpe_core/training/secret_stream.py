"""Random draws that nobody outside the site can repeat."""

import hashlib
import secrets

import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from torch import Tensor


class SecretStream:
    """Uniform and normal draws from the keystream of AES-256 in counter mode.

    torch's generators are not for secrets: the CPU's uses 32 bits of its seed, so that the noise of all four billion
    seeds can be tried, and its normal draws in float32 end at less than six standard deviations.

    Args:
        key: 32 bytes. Whoever has them has every draw: they belong in no file, no log and no message.
    """

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()

    @classmethod
    def for_purpose(cls, noise_seed: int | None, *purpose: str | int) -> "SecretStream":
        """A stream of its own for one purpose.

        Args:
            noise_seed: None for a key from the operating system's entropy, which nothing can bring back. A number
                repeats the stream, for simulations on cases that need no protection.
            purpose: tells this stream from the others of the same seed.
        """
        if noise_seed is None:
            return cls(secrets.token_bytes(32))
        return cls(hashlib.sha256("\x1f".join(str(part) for part in (noise_seed, *purpose)).encode()).digest())

    def seed(self) -> int:
        """A seed for a generator whose draws need not be secret for long, in [0, 2**63)."""
        return int(self._integers(1)) & _LOW_63_BITS

    def uniform(self, count: int) -> Tensor:
        """`(count,)` float64 in [0, 1), in steps of 2**-53."""
        return (self._integers(count) & _LOW_53_BITS).double() * 2.0**-53

    def normal(self, shape: torch.Size, device: torch.device) -> Tensor:
        """Standard normal draws of `shape`, float64 on `device`, by the inverse of the distribution function.

        One bit is the sign and 63 are the probability of the tail, so that the draws reach 9 standard deviations.
        """
        bits = self._integers(shape.numel()).to(device)
        tail = ((bits & _LOW_63_BITS).double() + 0.5) * 2.0**-64
        size = -torch.special.ndtri(tail)
        return torch.where(bits < 0, -size, size).view(shape)

    def _integers(self, count: int) -> Tensor:
        """`(count,)` int64, every value as likely."""
        return torch.frombuffer(bytearray(self._encryptor.update(bytes(8 * count))), dtype=torch.int64)


_LOW_63_BITS = 2**63 - 1
_LOW_53_BITS = 2**53 - 1
