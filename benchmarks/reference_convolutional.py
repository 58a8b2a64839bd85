"""The convolutional baselines called plainly, line by line: the peers of ``network_forward.py``.

Each takes over the layers of ours, so one state serves both, and nothing but the equations.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, relu

from baselines.ahdrnet import AHDRNetwork
from baselines.fshdr import BridgeNet


def cat(*maps: Tensor) -> Tensor:
    """Join feature maps along the channels."""
    return torch.cat(maps, dim=1)


class PlainAHDRNetwork(AHDRNetwork):
    """AHDRNet as one would write it down from the paper."""

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        """Attention, three dense blocks in series, fusion of all three, global residual."""
        f1, f2, f3 = (leaky_relu(self.conv1(x), 0.01) for x in (x1, x2, x3))
        a1 = torch.sigmoid(self.att12(leaky_relu(self.att11(cat(f1, f2)), 0.01)))
        a3 = torch.sigmoid(self.att32(leaky_relu(self.att31(cat(f3, f2)), 0.01)))
        f = self.conv2(cat(f1 * a1, f2, f3 * a3))
        outputs = []
        for block in (self.RDB1, self.RDB2, self.RDB3):
            maps = f
            for layer in block.dense_layers:
                maps = cat(maps, relu(layer.conv(maps)))
            f = block.conv_1x1(maps) + f
            outputs.append(f)
        g = self.GFF_3x3(self.GFF_1x1(cat(*outputs)))
        return torch.sigmoid(self.conv3(self.conv_up(g + f2)))


class PlainBridgeNet(BridgeNet):
    """FSHDR's network as one would write it down from its table of layers."""

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        """Three levels of encoders and bridges, two dilated blocks."""
        e1, e2, e3, a, b = x1, x2, x3, None, None
        for level in range(3):
            e1 = leaky_relu(self.encoder_low[level](e1), 0.2)
            e2 = leaky_relu(self.encoder_medium[level](e2), 0.2)
            e3 = leaky_relu(self.encoder_high[level](e3), 0.2)
            below, above = ((e1, e2), (e2, e3)) if level == 0 else ((e1, e2, a), (e2, e3, b))
            a = leaky_relu(self.bridge_low[level](cat(*below)), 0.2)
            b = leaky_relu(self.bridge_high[level](cat(*above)), 0.2)
        base = cat(e2, a, b)
        u = cat(*(leaky_relu(branch(base), 0.3) for branch in self.dilated[0]))
        seen = cat(base, u)
        v = cat(*(leaky_relu(branch(seen), 0.3) for branch in self.dilated[1]))
        return torch.sigmoid(self.output(cat(base, u, v)))


NETWORKS = {
    "ahdrnet": (AHDRNetwork, PlainAHDRNetwork),
    "fshdr": (BridgeNet, PlainBridgeNet),
}
"""Name to what builds ours and what builds the plain peer, with parameters of the same names."""
