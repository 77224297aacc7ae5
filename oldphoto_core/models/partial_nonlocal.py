"""The partial non-local block: damaged places gather what they lack from places that are intact (eqs. 7-10).

Eq. 7 is softmax attention whose *keys* are masked: a damaged place is never a source. It is computed with
`scaled_dot_product_attention`, so that memory grows with the photo and not with its square.

A photo may be damaged everywhere. Eq. 7 then divides nothing by nothing; here one extra source, a learned "nothing
known" vector in `archive` and zeros in `paper`, keeps the answer finite. It counts only when no place is intact.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def intact_attention(
    query: Tensor, key: Tensor, value: Tensor, intact: Tensor, fallback: Tensor, *, scale: float = 1.0
) -> Tensor:
    """Gives sum_j s_ij value_j with s_ij of eq. 7.

    Args:
        query: (B, N, D), theta(F_i).
        key: (B, M, D), phi(F_j).
        value: (B, M, V), mu(F_j).
        intact: (B, M) bool, True where a source may be used (1 - m_j).
        fallback: (V,) the answer where a photo has no intact place at all.
        scale: factor of the products; 1 is eq. 8.

    Returns:
        (B, N, V).
    """
    batch, _, width = query.shape
    none_left = ~intact.any(dim=1)  # (B,)
    # The extra source is open only for a photo with no intact place, so eq. 7 is untouched everywhere else.
    key = torch.cat([key, key.new_zeros(batch, 1, width)], dim=1)
    value = torch.cat([value, fallback.to(value.dtype).expand(batch, 1, -1)], dim=1)
    open_keys = torch.cat([intact, none_left[:, None]], dim=1)  # (B, M + 1)
    bias = torch.zeros(open_keys.shape, dtype=query.dtype, device=query.device).masked_fill(~open_keys, float("-inf"))
    bias = bias[:, None, None, :].expand(-1, 1, query.shape[1], -1)  # (B, 1, N, M + 1), a view: N x M is never stored
    # With a dimension for heads: without one the fused kernels are passed over, and all N x M products are kept.
    query, key, value = query[:, None], key[:, None], value[:, None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)[:, 0]


class PartialNonLocal(nn.Module):
    """O_i = nu(sum_j s_ij mu(F_j)), eqs. 7-9. theta, phi, mu, nu are 1x1 convolutions.

    With `source_channels` the sources are given tokens (the look at the whole photo) instead of the features
    themselves: as many whatever the photo's size, and the same for each tile. Products are then divided by the root
    of their width, which eq. 8 leaves out: the look's tokens are not normalised, and the softmax would saturate.
    """

    def __init__(self, channels: int, inner: int, *, source_channels: int | None = None) -> None:
        super().__init__()
        sources = channels if source_channels is None else source_channels
        self.theta = nn.Linear(channels, inner)
        self.phi = nn.Linear(sources, inner)
        self.mu = nn.Linear(sources, inner)
        self.nu = nn.Linear(inner, channels)
        if source_channels is None:
            self.register_buffer("fallback", torch.zeros(inner), persistent=False)
        else:
            self.fallback = nn.Parameter(torch.zeros(inner))
        self.scale = 1.0 if source_channels is None else inner**-0.5

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Attends from each place to the intact places of the same features.

        Args:
            features: (B, C, H, W), F.
            mask: (B, 1, H, W), 1 where damaged; any value above zero closes the place as a source.

        Returns:
            (B, C, H, W), O.
        """
        flat = features.flatten(2).transpose(1, 2)  # (B, HW, C)
        return self.from_tokens(features, flat, mask.flatten(1) <= 0)

    def from_tokens(self, features: Tensor, tokens: Tensor, intact: Tensor) -> Tensor:
        """Attends from each place of (B, C, H, W) to intact tokens (B, N, S); gives (B, C, H, W)."""
        batch, channels, height, width = features.shape
        flat = features.flatten(2).transpose(1, 2)  # (B, HW, C)
        with torch.autocast(features.device.type, enabled=False):
            gathered = intact_attention(
                F.linear(flat.float(), self.theta.weight, self.theta.bias),
                F.linear(tokens.float(), self.phi.weight, self.phi.bias),
                F.linear(tokens.float(), self.mu.weight, self.mu.bias),
                intact,
                self.fallback,
                scale=self.scale,
            )  # (B, HW, inner)
            out = F.linear(gathered, self.nu.weight, self.nu.bias)
        return out.transpose(1, 2).reshape(batch, channels, height, width).to(features.dtype)


def fuse(mask: Tensor, local: Tensor, gathered: Tensor) -> Tensor:
    """Gives F_fuse = (1 - m) * rho_local(F) + m * rho_global(O), eq. 10. The mask is (B, 1, H, W) in [0, 1]."""
    return (1 - mask) * local + mask * gathered
