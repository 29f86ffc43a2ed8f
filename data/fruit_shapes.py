"""The bodies in the sample pictures: fruit and tableware as signed distance functions.

A body is a function from points to the distance of its surface, with a skin (colour and gloss) and
a fine relief. Lengths are about a centimetre for the bananas; colours are linear RGB, 0 to 1.
Points are arrays of shape (3, n), float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LATTICE = np.random.default_rng(1).random((32, 32, 32), dtype=np.float32)


@dataclass(frozen=True)
class Solid:
    """A body: its shape and its skin in its own frame, and where that frame stands."""

    distance: Callable  # (3, n) -> (n,): at most the way to the surface, negative inside
    skin: Callable  # (3, n) -> colour (3, n), gloss 0 to 1
    reach: float  # a sphere of this radius holds the body
    bump: Callable | None = None  # (3, n) -> (n,): height of the fine relief
    centre: np.ndarray | tuple = (0.0, 0.0, 0.0)
    turn: np.ndarray | None = None  # (3, 3), own frame to scene

    def inward(self, vectors):
        """Turn scene vectors into the body's own frame."""
        return vectors if self.turn is None else self.turn.T @ vectors

    def local(self, points):
        """Give scene points in the body's own frame."""
        return self.inward(points - np.float32(self.centre)[:, None])

    def normals(self, points):
        """Give the unit normals of the surface, relief included, at scene points."""
        p, total = self.local(points), 0
        for corner in np.float32([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])[:, :, None]:
            q = p + corner * np.float32(0.02)
            total = total + corner * (self.distance(q) - (self.bump(q) if self.bump else 0))
        total = total if self.turn is None else self.turn @ total
        return total / np.sqrt((total * total).sum(0) + 1e-12)


def noise(points, octaves=1):
    """Value noise, 0 to 1, with features about one unit wide; each octave halves them."""
    total, weight = np.float32(0), 0.0
    for octave in range(octaves):
        q = points * np.float32(2**octave) + np.float32(5.3 * octave)
        cell = np.floor(q)
        f = q - cell
        f = f * f * (3 - 2 * f)
        x, y, z = cell.astype(np.int32)
        lines = []
        for dz in (0, 1):
            for dy in (0, 1):
                near = LATTICE[x & 31, (y + dy) & 31, (z + dz) & 31]
                far = LATTICE[(x + 1) & 31, (y + dy) & 31, (z + dz) & 31]
                lines.append(near + (far - near) * f[0])
        low = lines[0] + (lines[1] - lines[0]) * f[1]
        high = lines[2] + (lines[3] - lines[2]) * f[1]
        total = total + (low + (high - low) * f[2]) * 0.5**octave
        weight += 0.5**octave
    return total / np.float32(weight)


def ramp(low, high, x):
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, share):
    """Blend colours a and b, (3,) or (3, n), by the share of b, (n,)."""
    a, b = (np.float32(c).reshape(3, -1) for c in (a, b))
    return a + (b - a) * share


def rotation(yaw=0.0, pitch=0.0, roll=0.0):
    """Turn about x by roll, then y by pitch, then z by yaw (radians)."""
    c, s = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_z = np.array([[c[0], -s[0], 0], [s[0], c[0], 0], [0, 0, 1]])
    about_y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    about_x = np.array([[1, 0, 0], [0, c[2], -s[2]], [0, s[2], c[2]]])
    return (about_z @ about_y @ about_x).astype(np.float32)


def banana(rng, ripeness, tint):
    """Make a banana that bends round the z axis, its stem towards +y.

    Parameters
    ----------
    rng : numpy.random.Generator
    ripeness : float
        0 is green, 1 is ripe, 2 is brown.
    tint : tuple of float
        The colour when ripe.
    """
    bend, half, fat = rng.uniform(8.5, 12), rng.uniform(7.0, 8.0), rng.uniform(1.55, 1.85)
    facet, shift = rng.uniform(0, 2 * np.pi), rng.uniform(0, 30, (3, 1)).astype(np.float32)
    knots = [-1.2, -1.1, -1.06, -1.0, -0.85, -0.6, -0.2, 0.3, 0.65, 0.88, 1.05, 1.2, 1.4, 1.5, 1.6]
    width = [0.2, 0.24, 0.26, 0.40, 0.74, 0.94, 1, 1, 0.9, 0.62, 0.36, 0.27, 0.26, 0.33, 0.36]
    along_axis = np.linspace(-1.2, 1.6, 280)
    outline = np.interp(along_axis, knots, width)
    outline = np.convolve(np.pad(outline, 8, mode="edge"), np.hanning(19)[1:-1] / 9, "valid")

    def unbend(p):
        angle = np.clip(np.arctan2(p[1], p[0] + bend), -half / bend, half / bend)
        c, s = np.cos(angle), np.sin(angle)
        across = c * (p[0] + bend) + s * p[1] - bend
        return (bend * angle + c * p[1] - s * (p[0] + bend)) / half, across, p[2]

    def section(across, z):
        total = np.float32(1e-9)
        for side in facet + np.arange(5) * 2 * np.pi / 5:
            d = np.maximum(np.float32(np.cos(side)) * across + np.float32(np.sin(side)) * z, 0)
            d = d * d
            total = total + d * d * d
        return np.cbrt(np.sqrt(total))

    def distance(p):
        u, across, z = unbend(p)
        radius = np.interp(u, along_axis, outline).astype(np.float32) * np.float32(fat)
        return np.maximum(section(across, z) - radius, np.abs(u - 0.19) * half - 1.31 * half) * 0.85

    def skin(p):
        u, across, z = unbend(p)
        cloud = noise(p * 0.45 + shift, 3)
        grain = noise(np.stack([u * 2.5, across * 2.2, z * 2.2]) + shift, 2)
        ends = ramp(0.55, 1.15, np.abs(u))
        green = np.clip(1.15 - ripeness + 0.8 * ends * (1.5 - ripeness) + 0.5 * (cloud - 0.5), 0, 1)
        ripe = mix(tint, np.float32(tint) * 1.2, grain)
        colour = mix(ripe, (0.24, 0.38, 0.045), green * 0.9)
        ridge = np.cos(5 * (np.arctan2(z, across) - facet))
        colour = mix(colour, colour * np.float32([[0.72], [0.66], [0.5]]), ramp(-0.75, -1, ridge))
        specks = ramp(0.70, 0.78, noise(p * 2.6 + shift, 2)) * ramp(0.85, 1.3, ripeness + cloud / 2)
        bruise = ramp(0.62, 0.72, cloud + 0.25 * (ripeness - 1.5)) * ramp(1.1, 1.5, ripeness)
        colour = mix(colour, (0.13, 0.055, 0.018), np.maximum(0.8 * specks, 0.75 * bruise))
        colour = mix(colour, (0.045, 0.028, 0.015), ramp(-1.0, -1.06, u + 0.05 * (grain - 0.5)))
        return mix(colour, (0.12, 0.075, 0.03), ramp(1.3, 1.46, u + 0.2 * (grain - 0.5))), 0.22

    def bump(p):
        return 0.05 * noise(p * 0.9 + shift, 2) + 0.008 * noise(p * 6)

    return [Solid(distance, skin, 1.75 * half, bump)]


def strawberry(rng, ripeness, cut=False):
    """Make a strawberry round the z axis, its tip down: the body, then the leaves and the stem.

    Parameters
    ----------
    rng : numpy.random.Generator
    ripeness : float
        0 is white, 0.5 is red at the tip, 1 is red.
    cut : bool
        Whether to keep only the half with y below 0.
    """
    size, narrow, tall = rng.uniform(2.3, 2.8), rng.uniform(0.24, 0.40), rng.uniform(1.1, 1.35)
    shift = rng.uniform(0, 30, (3, 1)).astype(np.float32)
    lean, squash, step = rng.uniform(-0.1, 0.1), rng.uniform(0.86, 1.0), 0.21
    rows = np.arange(16)

    def width(z):
        return np.maximum(0.84 + narrow * z - 0.10 * z * z, 0.3)

    belt = np.sin((rows + 0.5) * step) * width(-np.cos((rows + 0.5) * step) * tall)
    around = np.maximum(1, np.round(2 * np.pi * belt * 0.9 / step))
    stagger, jitter = rng.random(16), rng.uniform(-0.22, 0.22, (2, 16, 64)).astype(np.float32)
    n_leaves, stem_bend = int(rng.integers(7, 11)), rng.uniform(-0.5, 0.5)
    deep = 0.04 + 0.035 * min(ripeness, 1)
    lengths, curl = rng.uniform(0.75, 1.15, 12), rng.uniform(-0.15, 0.5, 12)

    def straighten(p):
        x, y, z = p / np.float32(size)
        w = width(z)
        x = x + lean * z + 0.05 * np.sin(2.3 * z + lean * 40)
        return np.stack([x / w, y / (w * squash), z / tall]), w

    def body(p):
        q, w = straighten(p)
        return (np.sqrt((q * q).sum(0)) - 1) * w * (size * 0.85)

    def distance(p):
        return np.maximum(body(p), p[1]) if cut else body(p)

    def face(p):
        return ramp(-0.05, -0.02, p[1]) * ramp(-0.05, -0.10, body(p)) if cut else np.float32(0)

    def seeds(p):
        """Give where each point lies in the cell of its seed, in units of the body's width."""
        q, _ = straighten(p)
        polar = np.arccos(np.clip(-q[2] / np.sqrt((q * q).sum(0)), -1, 1)) / step
        row = np.clip(polar.astype(np.int32), 0, 15)
        turns = (np.arctan2(q[1], q[0]) / (2 * np.pi) + 0.5) * around[row] + stagger[row]
        cell = np.floor(turns).astype(np.int32) % around[row].astype(np.int32)
        dx = (turns % 1 - 0.5) + jitter[0, row, cell & 63]
        dy = (polar - row - 0.5) + jitter[1, row, cell & 63]
        return dx * 2 * np.pi * belt[row] / around[row], dy * step * tall

    def skin(p):
        dx, dy = seeds(p)
        height, cloud = p[2] / (size * tall), noise(p * 0.5 + shift, 2)
        red = ramp(0, 1, 2.6 * ripeness - 0.55 - 0.6 * height - 0.5 * cloud)
        pale = mix((0.56, 0.58, 0.22), (0.76, 0.68, 0.44), ramp(0.25, 0.75, cloud - 0.15 * height))
        colour = mix(mix(pale, (0.72, 0.22, 0.13), ramp(0, 0.4, red)), (0.58, 0.018, 0.02), red)
        colour = colour * (0.85 + 0.3 * noise(p * 2 + shift, 2))
        dimple = np.exp(-(dx * dx + dy * dy) / 0.07**2)
        colour = mix(colour, colour * 0.55, (0.15 + 0.55 * red) * dimple)
        grain = ramp(0.3, 0.6, np.exp(-((dx / 0.024) ** 2 + (dy / 0.042) ** 2)))
        colour = mix(colour, mix((0.42, 0.30, 0.09), (0.72, 0.48, 0.12), red), grain)
        across = np.sqrt(p[0] ** 2 + (p[2] * 0.72) ** 2) / size
        streak = noise(np.stack([np.arctan2(p[2], p[0]) * 5, across, across]) + shift, 2)
        flesh = mix((0.80, 0.66, 0.56), (0.72, 0.10, 0.08), ramp(0.1, 0.85, across + streak - 0.5))
        flesh = mix(pale, flesh, min(1.0, ripeness + 0.2))
        return mix(colour, flesh, face(p)), 0.8 - 0.4 * face(p)

    def bump(p):
        dx, dy = seeds(p)
        dimple = np.exp(-(dx * dx + dy * dy) / 0.065**2)
        grain = np.exp(-((dx / 0.026) ** 2 + (dy / 0.045) ** 2))
        relief = size * (0.055 * grain - deep * dimple) + 0.05 * noise(p * 1.1 + shift)
        return relief * (1 - face(p))

    def crown(p):
        x, y, z = p / np.float32(size)
        turns = np.arctan2(y, x) * n_leaves / (2 * np.pi)
        leaf = np.round(turns).astype(np.int32) % n_leaves
        out, share = np.sqrt(x * x + y * y), (turns - np.round(turns)) * 2 * np.pi / n_leaves
        length = lengths[leaf].astype(np.float32)
        rise = tall + 0.06 - 0.34 * out**2 + curl[leaf].astype(np.float32) * out**4
        part = np.clip(out / length, 0, 1)
        wide = 0.23 * np.sin(np.pi * part**0.75) + 0.05 * (1 - part)
        aside = np.maximum(np.abs(out * np.sin(share)) - wide, 0)
        over = np.maximum(out - length, 0)
        leaves = np.sqrt(aside**2 + (0.8 * (z - rise)) ** 2 + over**2) - 0.03
        bent = x - stem_bend * (z - tall) ** 2
        stem = np.maximum(np.sqrt(bent**2 + y * y) - 0.075, np.abs(z - tall - 0.35) - 0.4)
        green = np.minimum(leaves, stem) * (size * 0.6)
        return np.maximum(green, p[1]) if cut else green

    def crown_skin(p):
        light = noise(p * 1.5 + shift, 2)
        return mix((0.07, 0.22, 0.025), (0.25, 0.42, 0.08), light), 0.25

    return [Solid(distance, skin, 1.4 * size, bump), Solid(crown, crown_skin, 2.2 * size)]


def prop(kind, colour, rng):
    """Make a thing that is no fruit, and say how much room it takes on the table."""
    tone = np.float32(colour).reshape(3, 1) * np.float32(rng.uniform(0.8, 1.15))
    size = rng.uniform(0.85, 1.15)

    def cup(p):
        ring, z = np.sqrt(p[0] ** 2 + p[1] ** 2), p[2] - 3.2
        wall = np.maximum(np.abs(ring - 2.7 - 0.12 * z) - 0.14, np.abs(z) - 3.2)
        base = np.maximum(ring - 2.6, np.abs(p[2] - 0.3) - 0.3)
        loop = np.sqrt((np.sqrt((p[0] - 2.9) ** 2 + (z * 0.85) ** 2) - 1.6) ** 2 + p[1] ** 2) - 0.3
        return np.minimum(np.minimum(wall, base), np.maximum(loop, 2.7 - ring)) * 0.85 - 0.08

    def block(p):
        q = np.abs(p - np.float32([[0], [0], [2.0]])) - np.float32([[2.4], [1.9], [1.7]])
        return np.sqrt((np.maximum(q, 0) ** 2).sum(0)) + np.minimum(q.max(0), 0) - 0.3

    def ball(p):
        return np.sqrt(p[0] ** 2 + p[1] ** 2 + (p[2] - 2.3) ** 2) - 2.3

    def leaf(p):
        part = np.clip(p[0] / 9 + 0.5, 0, 1)
        wide = 2.1 * np.sin(np.pi * part**0.8) + 0.08
        rise = 0.25 + 0.025 * p[0] ** 2 + 0.12 * p[1] ** 2
        aside = np.maximum(np.abs(p[1]) - wide, 0)
        over = np.maximum(np.abs(p[0]) - 4.5, 0)
        return (np.sqrt(aside**2 + (p[2] - rise) ** 2 + over**2) - 0.08) * 0.6

    def plate(p):
        ring = np.sqrt(p[0] ** 2 + p[1] ** 2)
        rise = 0.3 + 1.3 * ramp(7.5, 11.5, ring)
        return (np.sqrt((p[2] - rise) ** 2 + np.maximum(ring - 11, 0) ** 2) - 0.22) * 0.8

    def skin(p):
        vein = ramp(0.12, 0.0, np.abs(p[1])) * 0.5 if kind == "leaf" else np.float32(0)
        return mix(tone * (0.9 + 0.2 * noise(p * 0.8, 2)), (0.4, 0.5, 0.2), vein), 0.45

    shapes = {"cup": (cup, 5.2), "block": (block, 3.0), "ball": (ball, 2.4), "leaf": (leaf, 3.2)}
    shape, room = shapes.get(kind, (plate, 0.0))
    return Solid(lambda p: shape(p / size) * size, skin, 12.0 if kind == "plate" else 7.5), room
