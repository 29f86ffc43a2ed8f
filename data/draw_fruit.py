"""Draw the sample pictures: bananas and strawberries as small lit scenes in three dimensions.

A ray goes out from the camera through each pixel and steps along by the distance to the nearest
surface (sphere tracing: J. C. Hart, The Visual Computer 12, 1996). The bodies are in
fruit_shapes.py. Only NumPy and Pillow are needed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fruit_shapes import banana, mix, noise, prop, ramp, rotation, strawberry
from PIL import Image

CLASSES = ("banana", "strawberry")
N_TRAIN, N_TEST = 10, 4
SEED = 5  # of the pictures in data/fruit
QUALITY = 82  # of the JPEG files
OVERSAMPLE = 2  # rays a pixel, each way

PALETTE = {
    "red": (0.55, 0.03, 0.03),
    "pink": (0.75, 0.25, 0.28),
    "yellow": (0.80, 0.50, 0.05),
    "cream": (0.75, 0.65, 0.42),
    "white": (0.75, 0.74, 0.72),
    "grey": (0.25, 0.26, 0.28),
    "black": (0.03, 0.03, 0.035),
    "oak": (0.42, 0.22, 0.09),
    "walnut": (0.15, 0.07, 0.035),
    "pine": (0.62, 0.41, 0.20),
    "green": (0.10, 0.28, 0.05),
    "moss": (0.16, 0.22, 0.05),
    "blue": (0.06, 0.16, 0.38),
    "teal": (0.05, 0.25, 0.27),
}


ACCENTS = ("red", "yellow", "pink", "cream", "white", "blue")  # of the props
YELLOW_PEEL, RED_PEEL = (0.80, 0.50, 0.045), (0.30, 0.055, 0.04)
STAGES = {  # how ripe; the red banana is a variety, as ripe as the yellow one
    "banana": {
        "green": 0.25,
        "turning": 0.55,
        "yellow": 1.05,
        "spotted": 1.4,
        "brown": 1.8,
        "red": 1.1,
    },
    "strawberry": {"white": 0.1, "blush": 0.45, "red": 0.95},
}
LIGHTS = {  # key light, sky light, height of the key light (sine)
    "day": ((2.3, 2.2, 2.1), (0.75, 0.80, 0.88), 0.75),
    "warm": ((2.7, 1.85, 1.0), (0.70, 0.52, 0.38), 0.60),
    "cold": ((1.6, 2.0, 2.5), (0.55, 0.72, 0.98), 0.80),
    "dim": ((1.1, 1.0, 0.95), (0.34, 0.34, 0.38), 0.55),
    "soft": ((1.3, 1.3, 1.3), (1.15, 1.15, 1.15), 0.85),
}


@dataclass(frozen=True)
class Setting:
    """What a picture shows beside the fruit. Each setting is drawn once with either fruit."""

    ground: str
    colours: tuple[str, str]
    fruit: tuple[str, str]  # the stage of the bananas and that of the strawberries
    props: tuple[str, ...]


SETTINGS = (
    Setting("wood", ("oak", "walnut"), ("green", "red"), ("cup", "leaf")),
    Setting("check", ("red", "white"), ("yellow", "white"), ("block",)),
    Setting("plain", ("yellow", "cream"), ("brown", "red"), ("cup", "ball")),
    Setting("plain", ("pink", "red"), ("turning", "red"), ("leaf",)),
    Setting("marble", ("white", "grey"), ("red", "blush"), ("ball", "leaf")),
    Setting("grass", ("green", "moss"), ("spotted", "red"), ("ball", "leaf")),
    Setting("check", ("yellow", "white"), ("green", "red"), ("cup",)),
    Setting("wood", ("pine", "oak"), ("brown", "white"), ("plate",)),
    Setting("plain", ("blue", "teal"), ("red", "blush"), ("plate",)),
    Setting("check", ("pink", "cream"), ("green", "white"), ("leaf", "leaf")),
    Setting("wood", ("walnut", "black"), ("spotted", "red"), ("plate", "leaf")),
    Setting("plain", ("red", "pink"), ("yellow", "white"), ("block", "leaf")),
    Setting("grass", ("moss", "yellow"), ("turning", "red"), ("leaf",)),
    Setting("marble", ("cream", "oak"), ("red", "blush"), ("cup", "block")),
)


def ground_colour(setting, x, y, shift):
    """Colour the table at the points (x, y); shift, (3, 1), moves the pattern."""
    first, second = (PALETTE[name] for name in setting.colours)
    p = np.stack([x, y, np.zeros_like(x)])
    fine = noise(p * 5 + shift, 2)[None]
    if setting.ground == "wood":
        plank = np.floor(y / 5.5 + shift[0])
        grain = noise(np.stack([x * 0.12 + plank * 7, y * 1.6, plank]) + shift, 4)
        rings = 0.5 + 0.5 * np.sin(38 * noise(np.stack([x * 0.05 + plank * 3, y * 0.28, plank]), 2))
        colour = mix(first, second, ramp(0.2, 0.8, 0.75 * grain + 0.3 * rings - 0.05))
        gap = ramp(0.03, 0.0, np.abs((y / 5.5 + shift[0]) % 1 - 0.5) * -1 + 0.5)
        return colour * (1 - 0.8 * gap) * (0.85 + 0.3 * noise(plank * np.ones_like(p) * 3.7))
    if setting.ground == "check":
        bands = [ramp(0.22, 0.26, np.abs((v / 4.2 + shift[0]) % 1 - 0.5)) for v in (x, y)]
        thread = 0.04 * np.sin(x * 14) * np.sin(y * 14)
        return mix(second, first, 0.5 * bands[0] + 0.5 * bands[1]) * (0.88 + 0.2 * fine + thread)
    if setting.ground == "marble":
        veins = np.abs(noise(p * 0.16 + shift, 5) - 0.5)
        return mix(second, first, 0.35 + 0.65 * ramp(0.0, 0.09, veins)) * (0.9 + 0.1 * fine)
    if setting.ground == "grass":
        blades = [
            noise(np.stack([c * x + s * y, (c * y - s * x) * 0.14, x * 0]) * 2.2 + shift + k * 9, 2)
            for k, (c, s) in enumerate([(0.99, 0.15), (0.9, -0.42), (0.76, 0.65)])
        ]
        tall = np.maximum.reduce(blades)
        return mix(first, second, noise(p * 0.3 + shift, 2)) * (0.15 + 1.9 * ramp(0.45, 0.95, tall))
    return mix(first, second, ramp(-16, 22, y + 4 * noise(p * 0.2 + shift))) * (0.93 + 0.14 * fine)


def march(solid, origin, rays, halo=0.0):
    """Follow rays to a body, and past it where they keep clear by more than `halo` of their way.

    Returns
    -------
    tuple of ndarray
        The way to the surface (infinity for a miss), and how clear of the body the ray kept: the
        least ratio of distance from the surface to way gone, at most 1, as for soft shadows.
    """
    start, ray = solid.local(origin), solid.inward(rays)
    b = (start * ray).sum(0)
    far = (start * start).sum(0)
    inside = b * b - far + (np.float32(solid.reach + 1) + np.float32(halo) * np.sqrt(far)) ** 2
    root = np.sqrt(np.maximum(inside, 0))
    depth, clear = np.full(b.shape, np.inf, np.float32), np.ones(b.shape, np.float32)
    live = np.flatnonzero((inside > 0) & (root > b))
    start = np.broadcast_to(start, ray.shape)
    t = np.maximum(-b - root, 0.05)
    stride = np.float32(0.7) + np.float32(0.3) * (np.arange(t.size) * 0.618 % 1)  # breaks up bands
    for _ in range(80):
        gap = solid.distance(start[:, live] + ray[:, live] * t[live])
        clear[live] = np.minimum(clear[live], np.maximum(gap, 0) / t[live])
        arrived = gap < 0.004
        depth[live[arrived]], clear[live[arrived]] = t[live[arrived]], 0
        t[live] += np.maximum(gap * stride[live], 0.01)
        live = live[~arrived & (t[live] < root[live] - b[live])]
        if not live.size:
            break
    return depth, clear


def settle(parts, turn, x, y, base):
    """Turn a fruit (its first part is the body) and set it down on the table at (x, y)."""
    body = parts[0]
    axis = np.linspace(-body.reach, body.reach, 56, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij")).reshape(3, -1)
    low = (turn @ grid[:, body.distance(grid) < 0.1])[2].min()
    return [replace(part, turn=turn, centre=(x, y, base - low - 0.05)) for part in parts]


def arrange_bananas(rng, stage, base):
    """Lay out one to four bananas on the level `base`, side by side or as a hand."""
    solids = []
    count, yaw = int(rng.choice([1, 1, 2, 3, 4])), rng.uniform(0, 2 * np.pi)
    fan, gap, hand = rng.uniform(0.16, 0.26), rng.uniform(3.3, 3.9), rng.random() < 0.6
    for k in range(count):
        aside = k - (count - 1) / 2
        ripeness = STAGES["banana"][stage] + rng.uniform(-0.1, 0.1)
        parts = banana(rng, ripeness, RED_PEEL if stage == "red" else YELLOW_PEEL)
        if hand:
            turn = rotation(yaw + fan * aside, rng.uniform(-0.1, 0.1))
            stem = np.float32([-2.5, 9.5, 0])
            spot = rotation(yaw) @ stem - turn @ stem
        else:
            turn = rotation(yaw, rng.uniform(-0.15, 0.15))
            spot = turn @ np.float32([aside * gap, rng.uniform(-0.8, 0.8), 0])
        solids += settle(parts, turn, spot[0], spot[1], base + 0.35 * k * hand)
    return solids


def arrange_strawberries(rng, stage, base):
    """Lay out one to five strawberries on the level `base`, at times with one cut in half."""
    solids, gaps = [], np.zeros(1)
    count = int(rng.integers(1, 6))
    while gaps.min() < 5.4:
        spots = rng.uniform(-2.6, 2.6, (count, 2)) * np.sqrt(count)
        gaps = np.hypot(*(spots[:, None] - spots).T) + 9 * np.eye(count)
    cut = count > 1 and rng.random() < 0.4
    for x, y in spots:
        halved = cut and y == spots[:, 1].min()
        ripeness = STAGES["strawberry"][stage] + rng.uniform(-0.1, 0.1)
        parts = strawberry(rng, ripeness, halved)
        turn = rotation(rng.uniform(0, 6.3), rng.uniform(0.9, 2.4), rng.uniform(0, 6.3))
        if halved:
            turn = rotation(rng.uniform(-0.5, 0.5)) @ rotation(0, rng.uniform(-0.8, 0.8), 1.1)
        solids += settle(parts, turn, x, y, base)
    return solids


def furnish(setting, fruit, rng):
    """Put the setting's props where they do not cut into the fruit."""
    solids = []
    for kind in setting.props:
        colour = "green" if kind == "leaf" else rng.choice(ACCENTS)
        solid, room = prop(kind, PALETTE[colour], rng)
        for _ in range(60 if room else 1):
            spot = np.float32([rng.uniform(-12, 12), rng.uniform(-3, 13), 0]) * (room > 0)
            placed = replace(solid, centre=spot, turn=rotation(rng.uniform(0, 6.3)))
            probe = (spot + np.float32([0, 0, 1.5])).reshape(3, 1)
            if all(s.distance(s.local(probe))[0] > room for s in fruit + solids) or not room:
                solids.append(placed)
                break
    return solids


def camera(fruit, width, height, rng):
    """Point a camera at the fruit.

    Returns
    -------
    tuple of ndarray
        The eye, (3, 1); a unit ray for each sample, (3, n); the square of each sample's way from
        the middle of the picture, (n,), 1 at the middle of the longer side's edge.
    """
    lift = rng.uniform(0.6, 1.4)  # radians above the table
    spots = np.float32([solid.centre[:2] for solid in fruit])
    middle = (spots.min(0) + spots.max(0)) / 2
    spread = np.hypot(*(spots - middle).T).max() + 0.75 * max(solid.reach for solid in fruit)
    target = np.float32([*(middle + rng.uniform(-0.15, 0.15, 2) * spread), 1.0]).reshape(3, 1)
    back = np.float32([0, -np.cos(lift), np.sin(lift)]).reshape(3, 1)
    up = np.float32([0, np.sin(lift), np.cos(lift)]).reshape(3, 1)
    longer = max(width, height) * OVERSAMPLE / 2
    u = (np.arange(width * OVERSAMPLE) + 0.5 - width * OVERSAMPLE / 2) / longer
    v = (height * OVERSAMPLE / 2 - np.arange(height * OVERSAMPLE) - 0.5) / longer
    u, v = (plane.ravel().astype(np.float32) for plane in np.meshgrid(u, v))
    rays = np.float32([[1], [0], [0]]) * u * 0.34 + up * v * 0.34 - back
    eye = target + np.float32(spread * rng.uniform(1.8, 2.6) + 8) * back
    return eye, rays / np.sqrt((rays * rays).sum(0)), u * u + v * v


def shade(rays, points, normal, colour, gloss, solids, table, rng):
    """Light the points seen: sun with soft shadows, sky, light from the table, and shine.

    Returns
    -------
    ndarray of shape (3, n)
        Linear RGB, not yet bounded.
    """
    key, sky, high = (np.float32(v) for v in LIGHTS[rng.choice(list(LIGHTS))])
    key, sky, side = key[:, None], sky[:, None], rng.uniform(0, 2 * np.pi)
    flat = np.sqrt(1 - high**2)
    sun = np.float32([flat * np.cos(side), flat * np.sin(side), high]).reshape(3, 1)
    lit, space = np.ones_like(gloss), points[2] + 1.1 * normal[2]
    for solid in solids:
        _, clear = march(solid, points + normal * 0.04, np.broadcast_to(sun, points.shape), 0.3)
        lit = np.minimum(lit, ramp(0, 0.16, clear))
        near = solid.local(points + normal * 1.1)
        close = np.flatnonzero((near * near).sum(0) < (solid.reach + 1) ** 2)
        space[close] = np.minimum(space[close], solid.distance(near[:, close]))
    space = 0.25 + 0.75 * ramp(-0.3, 1.1, space)
    facing = np.maximum((normal * sun).sum(0), 0) * lit
    half = sun - rays
    shine = np.maximum((normal * half).sum(0) / np.sqrt((half * half).sum(0)), 0) ** 60 * lit
    above = 0.5 + 0.5 * normal[2]
    rim = (1 - np.maximum(-(normal * rays).sum(0), 0)) ** 4 * above
    light = colour * (0.8 * key * facing + (sky * above + 0.3 * key * table * (1 - above)) * space)
    return light + gloss * (0.45 * key * shine + 0.5 * sky * rim * space)


def draw(name, index, seed):
    """Draw one picture.

    Parameters
    ----------
    name : {"banana", "strawberry"}
    index : int
        The setting, 0 to 13; every setting serves both classes.
    seed : int

    Returns
    -------
    PIL.Image.Image
        RGB, 300 to 420 px a side.
    """
    setting, kind = SETTINGS[index], CLASSES.index(name)
    rng = np.random.default_rng([seed, index, kind])
    width, height = (int(side) for side in rng.integers(300, 421, 2))
    shift = rng.uniform(0, 30, (3, 1)).astype(np.float32)
    base = 0.5 if "plate" in setting.props else 0.0
    arrange = (arrange_bananas, arrange_strawberries)[kind]
    fruit = arrange(rng, setting.fruit[kind], base)
    solids = fruit + furnish(setting, fruit, rng)
    eye, rays, off_middle = camera(fruit, width, height, rng)

    depth, owner = -eye[2] / rays[2], np.full(rays.shape[1], -1)  # the table, to begin with
    for k, solid in enumerate(solids):
        way, _ = march(solid, eye, rays)
        owner[way < depth] = k
        depth = np.minimum(depth, way)
    points = eye + rays * depth
    colour = ground_colour(setting, points[0], points[1], shift)
    normal, gloss = np.zeros_like(points), np.full(depth.shape, 0.1, np.float32)
    normal[2] = 1
    for k, solid in enumerate(solids):
        mine = np.flatnonzero(owner == k)
        if mine.size:
            normal[:, mine] = solid.normals(points[:, mine])
            colour[:, mine], gloss[mine] = solid.skin(solid.local(points[:, mine]))
    table = np.float32([PALETTE[tone] for tone in setting.colours]).mean(0)[:, None]
    light = shade(rays, points, normal, colour, gloss, solids, table, rng)

    frame = 1 - np.exp(-1.1 * light * (1 - 0.22 * off_middle))
    frame = frame.reshape(3, height, OVERSAMPLE, width, OVERSAMPLE).mean((2, 4))
    frame = frame.transpose(1, 2, 0) ** (1 / 2.2) * 255 + rng.normal(0, 1.5, (height, width, 3))
    return Image.fromarray(np.clip(np.round(frame), 0, 255).astype(np.uint8))


def pictures():
    """List the pictures as (relative path, class, setting); the last four settings are the test."""
    return [
        (f"{'train' if k < N_TRAIN else 'test'}/{name}/{name}_{k + 1:02d}.jpg", name, k)
        for k in range(N_TRAIN + N_TEST)
        for name in CLASSES
    ]


def main():
    """Draw all the pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "fruit", help="folder to write to"
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"default: {SEED}")
    options = parser.parse_args()
    for path, name, setting in pictures():
        target = options.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        draw(name, setting, options.seed).save(target, quality=QUALITY)


if __name__ == "__main__":
    main()
