"""Draw the network of IPL from its own configuration: ``python docs/images/network.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from ipl.network import IPLConfig, IPLNetwork

HERE = Path(__file__).parent
INK, PAPER, LOCAL, GLOBAL, CONV = "#1b1f24", "#ffffff", "#cfe8d5", "#f7d9b0", "#d5e1f2"


def box(axes: Axes, x: float, y: float, text: str, colour: str, width: float = 1.5) -> None:
    """A labelled box, its lower left corner at (x, y), one unit high."""
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            1.0,
            boxstyle="round,pad=0.02,rounding_size=0.12",
            facecolor=colour,
            edgecolor=INK,
            linewidth=1.0,
        )
    )
    axes.text(x + width / 2, y + 0.5, text, ha="center", va="center", fontsize=8, color=INK)


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0
) -> None:
    """From one point to another; ``bend`` makes it an arc."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=9,
            linewidth=1.0,
            color=INK,
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=0,
            shrinkB=0,
        )
    )


def count(module: object) -> str:
    """Parameters of a module with thousands set apart."""
    return f"{sum(p.numel() for p in module.parameters()):,}"  # type: ignore[attr-defined]


def draw(config: IPLConfig) -> Figure:
    """The whole network above, one block below; every number is read from the network."""
    network = IPLNetwork(config)
    block = network.blocks[0]
    figure = Figure(figsize=(10, 4.6), facecolor=PAPER)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set_xlim(0, 16)
    axes.set_ylim(0, 7.4)
    axes.axis("off")
    factor, width = config.factor, config.width
    top = 5.2
    row = [
        ("low\nmedium\nhigh\n9 x H x W", PAPER),
        (f"conv 3x3\n9 → {config.stem_channels}", CONV),
        (f"unshuffle {factor}\nconv 1x1", CONV),
        (f"{config.blocks} blocks\n{count(network.blocks)} par.", LOCAL),
        (f"conv 1x1\nshuffle {factor}", CONV),
        ("conv 3x3\n= gain", CONV),
        ("gain x\nmedium", PAPER),
    ]
    step = 2.2
    for index, (text, colour) in enumerate(row):
        box(axes, 0.3 + index * step, top, text, colour)
        if index:
            arrow(
                axes, (0.3 + (index - 1) * step + 1.55, top + 0.5), (0.27 + index * step, top + 0.5)
            )
    arrow(
        axes, (0.3 + 2.35 * step + 0.3, top + 1.02), (0.3 + 4 * step + 0.2, top + 1.02), bend=-0.35
    )
    axes.text(0.3 + 3.3 * step, top + 1.85, "F0 + F8", ha="center", fontsize=8, color=INK)
    axes.text(
        0.3 + 3 * step + 0.75, top - 0.3, f"{width} x H/{factor} x W/{factor}", ha="center",
        fontsize=7, color=INK,
    )  # fmt: skip
    brick = config.brick
    names = {"C": (0, "channels"), "W": (1, "columns"), "H": (2, "rows")}
    axes.text(0.3, 4.25, "one block", fontsize=9, weight="bold", color=INK)
    box(axes, 0.3, 2.0, "F", PAPER, 0.7)
    for place, dim in enumerate(config.dims):
        axis, name = names[dim]
        y = 3.1 - 1.25 * place
        hidden = config.hidden[axis] if config.hidden else 0
        text = f"gates along {name}\n{brick[axis]} → {hidden} → {brick[axis]}, sigmoid"
        box(axes, 1.8, y, text, LOCAL, 3.1)
        arrow(axes, (1.05, 2.5), (1.77, y + 0.5))
        arrow(axes, (4.95, y + 0.5), (5.57, 2.5))
    box(axes, 5.6, 2.0, "sum\nx F = D", LOCAL, 1.1)
    box(axes, 7.6, 0.6, f"shrink to\n{width} x {width} x {width}", GLOBAL, 1.7)
    box(axes, 9.8, 0.6, "mix C, H, W in turn\n1x1, GELU each", GLOBAL, 2.2)
    box(axes, 12.5, 0.6, "enlarge\n= map", GLOBAL, 1.3)
    box(axes, 13.2, 2.0, "D + D x map", PAPER, 1.6)
    arrow(axes, (6.75, 2.5), (13.17, 2.5))
    arrow(axes, (6.75, 2.3), (7.57, 1.3))
    arrow(axes, (9.35, 1.1), (9.77, 1.1))
    arrow(axes, (12.05, 1.1), (12.47, 1.1))
    arrow(axes, (13.4, 1.65), (13.9, 1.97))
    axes.text(
        3.35, 4.25, f"DAEM, {count(block.daem)} parameters", ha="center", fontsize=8, color=INK
    )
    axes.text(
        10.9, 0.15, f"DRTM, {count(block.drtm)} parameters", ha="center", fontsize=8, color=INK
    )
    axes.text(15.7, 7.1, f"{count(network)} parameters in all", ha="right", fontsize=9, color=INK)
    return figure


def main() -> None:
    """Write ``network.svg``; the same bytes each time."""
    with mpl.rc_context(
        {"svg.hashsalt": "dmef", "svg.fonttype": "none", "font.family": "sans-serif"}
    ):
        draw(IPLConfig()).savefig(HERE / "network.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
