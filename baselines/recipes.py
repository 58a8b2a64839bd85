"""How the authors trained the four networks: ``--recipe upstream``, and what it leaves out."""

from __future__ import annotations

from dmef_bench.training.recipe import PAPER, Recipe

AHDRNET = Recipe(
    name="upstream",
    source="Yan et al., CVPR 2019, and the authors' code; its epochs are open-ended, 300 are ours",
    optimizer="adam",
    learning_rate=1e-4,
    weight_decay=0.0,
    schedule="steps",
    decay=0.1,
    decay_every=0.8,
    clip_norm=0.0,
    crop=256,
    batch=8,
    epochs=300,
    turns=False,
)

FSHDR = Recipe(
    name="upstream",
    source="Prabhakar et al., CVPR 2021, supervised part of the authors' code; there, the four "
    "crops of a batch are of one scene",
    loss="mse",
    optimizer="adam",
    learning_rate=1e-4,
    weight_decay=0.0,
    schedule="steps",
    decay=0.75,
    decay_every=10,
    clip_norm=0.0,
    crop=64,
    batch=4,
    epochs=75,
    epoch_steps=5000,
    turns=False,
)

HDR_TRANSFORMER = Recipe(
    name="upstream",
    source="Liu et al., ECCV 2022, and the authors' code; crops at random, as many as they cut at "
    "a stride of 64",
    perceptual=0.01,
    optimizer="adam",
    learning_rate=2e-4,
    weight_decay=0.0,
    schedule="steps",
    decay=0.5,
    decay_every=100,
    clip_norm=0.0,
    crop=128,
    batch=16,
    epochs=100,
    # 74 scenes of 1500x1000, 22 x 14 places each; flips and turns are drawn, not copied.
    epoch_steps=74 * 22 * 14 // 16,
)

SCTNET = Recipe(
    name="upstream",
    source="Tel et al., ICCV 2023, and the authors' code, as HDR-Transformer",
    perceptual=0.01,
    optimizer="adam",
    learning_rate=2e-4,
    weight_decay=0.0,
    schedule="steps",
    decay=0.5,
    decay_every=100,
    clip_norm=0.0,
    crop=128,
    batch=22,
    epochs=100,
    epoch_steps=74 * 22 * 14 // 22,
)

RECIPES = {
    name: {"paper": PAPER, "upstream": recipe}
    for name, recipe in (
        ("ahdrnet", AHDRNET),
        ("fshdr", FSHDR),
        ("hdr-transformer", HDR_TRANSFORMER),
        ("sctnet", SCTNET),
    )
}
"""By the name of the method. In float32 as everything here; losses pass the mu-law on radiance."""

GATED_FILL = Recipe(
    name="short",
    source="ours: minutes on a CPU",
    loss="psnr",
    learning_rate=3e-3,
    schedule="cosine",
    crop=256,
    batch=4,
    epochs=75,
    validate_every=100,
)
