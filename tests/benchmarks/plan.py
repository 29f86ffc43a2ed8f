"""How much is measured: the numbers of a full run and of a quick one."""

from __future__ import annotations

import os
from dataclasses import dataclass

CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Plan:
    """The numbers of a run.

    Attributes
    ----------
    rounds : int
        How often each contestant has its turn; the best of them counts.
    seconds : float
        How long a turn should take: it sets the number of images.
    photos, large, small, tiny : int
        Images to draw: of about 450x375, of 12 megapixels, for memory, for the cache.
    large_size : (int, int)
        Width and height of the large ones, in pixels.
    backbones : tuple of str
        For images/s; those of the other parts follow.
    large_backbones, several_backbones : tuple of str
        For large photographs, and for several networks in one pass.
    calls : int
        Of one picture each.
    cached_backbone : str
        Whose vectors the cache holds.
    memory_backbone, memory_input_size
        Flattened at 256 px it gives 81,920 columns: a quick network whose matrix is memory-mapped
        at 1,000 images already, as that of ResNet50 is.
    memory_images : (int, int)
        The two numbers of images whose peaks are compared.
    """

    rounds: int
    seconds: float
    photos: int
    large: int
    small: int
    tiny: int
    large_size: tuple[int, int]
    backbones: tuple[str, ...]
    large_backbones: tuple[str, ...]
    several_backbones: tuple[str, ...]
    calls: int
    cached_backbone: str
    memory_backbone: str
    memory_input_size: int
    memory_images: tuple[int, int]


FULL = Plan(
    rounds=3,
    seconds=1.8,
    photos=min(300 * max(2, CORES), 4800),
    large=min(24 * max(2, CORES), 192),
    small=5000,
    tiny=20_000,
    large_size=(4000, 3000),
    backbones=("efficientnet_lite0", "vgg16", "vgg19", "inception_v3", "resnet50", "xception"),
    large_backbones=("resnet50",),
    several_backbones=("efficientnet_lite0", "resnet50", "inception_v3"),
    calls=10_000,
    cached_backbone="resnet50",
    memory_backbone="efficientnet_lite0",
    memory_input_size=256,
    memory_images=(1000, 5000),
)

QUICK = Plan(
    rounds=1,
    seconds=0.05,
    photos=32,
    large=8,
    small=40,
    tiny=60,
    large_size=(1000, 750),
    backbones=("efficientnet_lite0",),
    large_backbones=("efficientnet_lite0",),
    several_backbones=("efficientnet_lite0", "mobilenet_v3_small"),
    calls=200,
    cached_backbone="efficientnet_lite0",
    memory_backbone="efficientnet_lite0",
    memory_input_size=256,
    memory_images=(10, 40),
)
