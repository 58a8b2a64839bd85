"""What moves in the demo clips: sprites, and the ways they turn, tumble, flap, swim and sway.

A sprite is a uint8 RGBA picture, colour premultiplied by alpha. Positions, speeds and lengths are
in heights of the painted ground, times in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.demo.scenery import (
    Colour,
    Field,
    Picture,
    blur,
    coordinates,
    cover_of,
    fill,
    fractal_noise,
    gradient,
    lit,
    mix,
    relief,
    resample,
    skyline,
    smoothstep,
    soft_noise,
    spot,
    stroke,
)

Frame = npt.NDArray[np.uint8]
"""(H, W, 3): what the camera records; painted on in place."""
Sprite = npt.NDArray[np.uint8]
"""(H, W, 4): RGBA, premultiplied."""
Matrix = npt.NDArray[np.float64]
"""(2, 3): an affine map of pixel positions."""
Point = tuple[float, float]
Vector = npt.NDArray[np.float64]


class Subject(Protocol):
    """Anything that can paint itself as it stands at some moment."""

    def paint(self, frame: Frame, time: float, view: Matrix) -> None:
        """Paint onto ``frame``; ``view`` maps pixels of the painted ground to the frame's."""
        ...


# Laying sprites down


def affine(linear: npt.ArrayLike, centre: tuple[float, float], to: tuple[float, float]) -> Matrix:
    """The map that applies ``linear`` (2, 2) around ``centre`` and brings ``centre`` to ``to``."""
    turned = np.asarray(linear, np.float64)
    return np.column_stack([turned, np.asarray(to) - turned @ np.asarray(centre)])


def after(second: Matrix, first: Matrix) -> Matrix:
    """The map that does ``first``, then ``second``."""
    linear = second[:, :2] @ first
    linear[:, 2] += second[:, 2]
    return linear


def rotation(angle: float) -> Matrix:
    """(2, 2): turn by ``angle`` radians, clockwise on the screen."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def middle_of(sprite: Sprite) -> tuple[float, float]:
    """Centre of a sprite, (x, y) in its pixels."""
    return sprite.shape[1] / 2, sprite.shape[0] / 2


def lay(frame: Frame, sprite: Sprite, place: Matrix, light: float = 1.0) -> None:
    """Lay a sprite over a frame, in place; ``light`` dims its colours."""
    height, width = sprite.shape[:2]
    corners = place @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    left, top = np.maximum(np.floor(corners.min(axis=1)).astype(int) - 1, 0)
    right, bottom = np.ceil(corners.max(axis=1)).astype(int) + 2
    region = frame[top : max(bottom, 0), left : max(right, 0)]
    if region.size == 0:
        return
    moved = place - np.array([[0, 0, left], [0, 0, top]])
    piece = cv2.warpAffine(sprite, moved, (region.shape[1], region.shape[0]))
    if light != 1.0:
        piece = cv2.multiply(piece, (light, light, light, 1.0))
    blend(region, piece)


def blend(ground: Frame | Sprite, piece: Sprite) -> None:
    """Blend a sprite over a ground of the same size, in place: ``piece + (1 − alpha) · ground``."""
    channels = ground.shape[2]
    clear = cv2.merge([cv2.bitwise_not(piece[..., 3])] * channels)
    colour = piece if channels == 4 else cv2.cvtColor(piece, cv2.COLOR_RGBA2RGB)
    cv2.add(cv2.multiply(ground, clear, scale=1 / 255), colour, dst=ground)


def sprite_of(colour: Picture, cover: Field) -> Sprite:
    """Premultiply a picture by its cover mask and store both as codes."""
    alpha = np.clip(cover, 0, 1)
    planes = lit(np.clip(colour, 0, 1), 255 * alpha)
    return np.round(np.dstack([planes, 255 * alpha])).astype(np.uint8)


def mottled(sprite: Sprite, rng: np.random.Generator, cell: float, strength: float) -> Sprite:
    """Vary the light on a sprite as living surfaces do, by noise of ``cell`` sprite heights."""
    size = (sprite.shape[0], sprite.shape[1])
    light = 1 + strength * fractal_noise(size, rng, cell, gain=0.7)
    colour = lit(sprite[..., :3].astype(np.float32), light)
    # Premultiplied colour never exceeds alpha.
    colour = np.clip(np.round(colour), 0, sprite[..., 3:]).astype(np.uint8)
    return np.dstack([colour, sprite[..., 3]])


def shadow_of(sprite: Sprite, softness: float, strength: float) -> Sprite:
    """The soft shadow a sprite throws: black, its alpha blurred by ``softness`` sprite heights."""
    room = round(3 * softness * sprite.shape[0])
    alpha = np.pad(sprite[..., 3].astype(np.float32), room)
    soft = cv2.GaussianBlur(alpha, (0, 0), room / 3)
    shadow = np.zeros((*soft.shape, 4), np.uint8)
    shadow[..., 3] = np.round(strength * soft)
    return shadow


@dataclass(frozen=True)
class Course:
    """Where a subject is: a straight line with a gentle wobble."""

    start: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    wobble: float = 0.0
    hertz: float = 1.0

    def at(self, time: float, unit: float) -> tuple[float, float]:
        """Position in pixels of a ground ``unit`` pixels high."""
        phase = 2 * np.pi * (self.hertz * time + self.start[0])
        x = self.start[0] + self.velocity[0] * time + 0.6 * self.wobble * np.cos(0.7 * phase)
        y = self.start[1] + self.velocity[1] * time + self.wobble * np.sin(phase)
        return float(x * unit), float(y * unit)


# Solids of revolution: balloons and lanterns


@dataclass(frozen=True, eq=False)
class Turning:
    """A solid of revolution that drifts while it turns about its upright axis.

    Parameters
    ----------
    cloth : ndarray, shape (h, w, 4)
        What is painted around it: columns once around, rows from top to bottom.
    profile : ndarray, shape (H,)
        Radius of each row, in sprite heights; 0 where there is nothing.
    light : (x, y, z)
        Unit vector to the light; y points down, z to the camera.
    ambient : float
        Light in the shade, where full light is 1.
    rest : ndarray, shape (H, W, 4)
        What hangs below and does not turn.
    course : Course
    turns : float
        Turns a second.
    unit : float
        Pixels of one ground height.
    """

    cloth: Sprite
    profile: Field
    light: tuple[float, float, float]
    ambient: float
    rest: Sprite
    course: Course
    turns: float
    unit: float

    def paint(self, frame: Frame, time: float, view: Matrix) -> None:
        """Look the cloth up where it faces the camera now, shade it, lay it down."""
        rows, columns = self.cloth.shape[:2]
        around, down, shade = self._face
        # Longitudes beyond the seam come in again on the other side.
        seen = (around + np.float32(self.turns * time)) % 1 * columns
        cloth = resample(self.cloth, seen, down * rows, cv2.BORDER_WRAP)
        sprite = self.rest.copy()
        blend(sprite, cv2.multiply(cloth, shade, scale=1 / 255))
        tilt = rotation(0.03 * np.sin(2 * np.pi * (0.4 * time + self.course.start[0])))
        place = affine(tilt, middle_of(sprite), self.course.at(time, self.unit))
        lay(frame, sprite, after(view, place))

    @cached_property
    def _face(self) -> tuple[Field, Field, Sprite]:
        """Longitude in turns, place from top to bottom in [0, 1], and shading of each pixel."""
        height, width = self.rest.shape[:2]
        across = (np.arange(width) + 0.5 - width / 2)[None] / height
        radius = self.profile[:, None]
        slope = np.gradient(self.profile, 1 / height)[:, None]
        # Where the outline runs flat, near the crown, its distance is measured upright.
        inside = (radius - np.abs(across)) / np.sqrt(1 + slope * slope)
        cover = cover_of(inside, height) * (radius > 0)
        longitude = np.arcsin(np.clip(across / np.maximum(radius, 1e-3), -1, 1))
        x, y, z = self.light
        facing = np.sin(longitude) * x - slope * y + np.cos(longitude) * z
        facing = np.clip(facing / np.sqrt(1 + slope * slope), 0, 1)
        shade = np.repeat((self.ambient + (1 - self.ambient) * facing)[..., None], 3, axis=2)
        down = (np.arange(height) + 0.5)[:, None] / np.count_nonzero(self.profile)
        return (longitude / (2 * np.pi)).astype(np.float32), down, sprite_of(shade, cover)


def balloon(
    height: float, course: Course, turns: float, colours: Sequence[Colour], unit: float
) -> Turning:
    """A hot-air balloon with zigzag gores, ``height`` ground heights from crown to basket."""
    rows = round(height * unit)
    y = (np.arange(rows) + 0.5) / rows / 0.8
    crown = np.sqrt(np.clip(1 - ((y - 0.42) / 0.42) ** 2, 0, 1))
    skirt = np.cos(np.clip((y - 0.42) / 0.58, 0, 1) * 1.42) ** 0.9
    profile = np.where(y <= 1, 0.36 * np.where(y < 0.42, crown, skirt), 0)
    basket = _basket((rows, round(0.75 * rows)))
    sun = (-0.54, -0.59, 0.59)
    return Turning(_gores(colours), profile, sun, 0.31, basket, course, turns, unit)


def _gores(colours: Sequence[Colour]) -> Sprite:
    rng = np.random.default_rng(0)
    x, y = coordinates((512, 2048))
    around = x / 4 * 16
    zigzag = 2 * np.abs(around % 1 - 0.5)
    band = np.floor(7 * y + 0.9 * zigzag).astype(np.int32) % len(colours)
    cloth = np.array(colours, np.float32)[band]
    gore = 2 * around % 1
    puff = 0.78 + 0.22 * np.sin(np.pi * gore)
    seam = 1 - 0.35 * np.exp(-((np.minimum(gore, 1 - gore) / 0.03) ** 2))
    weave = 1 + 0.03 * fractal_noise((512, 2048), rng, 0.05, gain=0.7)
    return sprite_of(lit(cloth, puff * seam * weave), np.ones_like(weave))


def _basket(size: tuple[int, int]) -> Sprite:
    sprite = np.zeros((*size, 4), np.uint8)
    middle = size[1] / size[0] / 2
    for side in (-0.03, -0.012, 0.012, 0.03):
        rope = [(middle + 1.7 * side, 0.79), (middle + side, 0.93)]
        stroke(sprite, rope, 0.002, (0.18, 0.15, 0.12, 1))
    x, y = coordinates(size)
    across = (x - middle) / 0.036
    weave = 0.7 + 0.3 * np.sin(700 * x) * np.sin(900 * y)
    wicker = lit(mix((0.62, 0.42, 0.23), (0.20, 0.12, 0.06), 0.5 + 0.4 * across), weave)
    wicker[np.abs(y[:, 0] - 0.928) < 0.004] = (0.30, 0.18, 0.10)
    inside = (np.abs(across) < 1) & (np.abs(y - 0.955) < 0.031)
    blend(sprite, sprite_of(wicker.astype(np.float32), inside.astype(np.float32)))
    return sprite


def lantern(height: float, course: Course, turns: float, unit: float) -> Turning:
    """A paper lantern that floats on the warm air of its own flame."""
    rows = round(height * unit)
    y = (np.arange(rows) + 0.5) / rows
    dome = np.sqrt(np.clip(1 - ((y - 0.3) / 0.3) ** 2, 0, 1))
    wall = 1 - 0.42 * (np.clip(y - 0.3, 0, 1) / 0.66) ** 1.4
    profile = np.where(y <= 0.96, 0.33 * np.where(y < 0.3, dome, wall), 0)
    rest = np.zeros((rows, round(0.72 * rows), 4), np.uint8)
    return Turning(_paper(), profile, (0.0, 0.1, 0.995), 0.64, rest, course, turns, unit)


def _paper() -> Sprite:
    """Crumpled rice paper lit from inside: nearly white by the flame, red above."""
    rng = np.random.default_rng(0)
    size = (512, 1024)
    x, y = coordinates(size)
    glow = y + 0.05 * fractal_noise(size, rng, 0.25, gain=0.6)
    stops = (
        (0.0, (0.52, 0.15, 0.09)),
        (0.45, (0.86, 0.40, 0.16)),
        (0.8, (0.96, 0.74, 0.38)),
        (0.93, (0.965, 0.89, 0.65)),
        (1.0, (0.80, 0.50, 0.22)),
    )
    creases = 1 - 0.13 * np.exp(-((fractal_noise(size, rng, 0.12, gain=0.55) / 0.07) ** 2))
    panel = x / 2 * 8 % 1
    rib = 1 - 0.4 * np.exp(-((np.minimum(panel, 1 - panel) / 0.025) ** 2))
    hoop = 1 - 0.5 * smoothstep(0.965, 0.975, y)
    return sprite_of(lit(gradient(stops, glow), creases * rib * hoop), np.ones_like(glow))


# Flat things: sails and leaves


@dataclass(frozen=True, eq=False)
class Tumbling:
    """A flat thing that spins in the picture plane and tumbles out of it.

    Parameters
    ----------
    sprite : ndarray, shape (H, W, 4)
    course : Course
    spin : float
        Radians a second in the picture plane.
    tumble : float
        Radians a second about an axis of the sprite; 0 keeps it flat.
    unit : float
        Pixels of one ground height.
    shadow : ndarray, shape (H, W, 4), optional
        Thrown on what stands behind.
    """

    sprite: Sprite
    course: Course
    spin: float
    tumble: float
    unit: float
    shadow: Sprite | None = None

    def paint(self, frame: Frame, time: float, view: Matrix) -> None:
        """Foreshorten, turn, dim what is seen edge-on, and lay down over the shadow."""
        phase = 7 * self.course.start[0]
        lean = self.tumble * time + (phase if self.tumble else 0)
        facing = np.cos(lean)
        # Never thinner than an edge: a leaf is not flat.
        squash = np.copysign(max(abs(facing), 0.08), facing)
        linear = rotation(self.spin * time + phase) @ np.diag([squash, 1.0]) @ rotation(0.6)
        x, y = self.course.at(time, self.unit)
        if self.shadow is not None:
            away = (x + 0.05 * self.unit, y + 0.06 * self.unit)
            lay(frame, self.shadow, after(view, affine(linear, middle_of(self.shadow), away)))
        light = 1.0 if not self.tumble else 0.62 + 0.38 * abs(np.cos(lean - 0.5))
        place = affine(linear, middle_of(self.sprite), (x, y))
        lay(frame, self.sprite, after(view, place), float(light))


def sails(radius: float, course: Course, spin: float, unit: float) -> Tumbling:
    """The four lattice sails of a windmill, half covered with cloth."""
    rows = round(2.04 * radius * unit)
    sprite = np.zeros((rows, rows, 4), np.uint8)
    for number in range(4):
        _sail(sprite, number * np.pi / 2)
    spot(sprite, (0.5, 0.5), (0.018, 0.018), 0, (0.25, 0.18, 0.13, 1))
    spot(sprite, (0.497, 0.497), (0.010, 0.010), 0, (0.50, 0.40, 0.30, 1))
    return Tumbling(sprite, course, spin, 0.0, unit)


def _sail(sprite: Sprite, angle: float) -> None:
    def at(along: float, across: float) -> tuple[float, float]:
        x, y = rotation(angle) @ np.array([along, across])
        return 0.5 + 0.49 * x, 0.5 + 0.49 * y

    cloth = 0.88 - 0.10 * np.sin(angle + 0.8)
    corners = [at(0.30, 0.02), at(0.97, 0.02), at(0.97, 0.17), at(0.30, 0.17)]
    fill(sprite, corners, (0.95 * cloth, 0.91 * cloth, 0.82 * cloth, 1))
    wood = (0.33, 0.24, 0.16, 1)
    for along in np.linspace(0.24, 0.97, 15):
        stroke(sprite, [at(along, -0.055), at(along, 0.175)], 0.003, wood)
    for across in (-0.05, 0.06, 0.115, 0.17):
        stroke(sprite, [at(0.24, across), at(0.97, across)], 0.0025, wood)
    stroke(sprite, [at(0, 0), at(1, 0)], 0.010, (0.24, 0.17, 0.12, 1))
    stroke(sprite, [at(0, -0.005), at(1, -0.005)], 0.003, (0.52, 0.40, 0.28, 1))


MAPLE = (
    (0.0, -0.50), (0.055, -0.36), (0.13, -0.40), (0.115, -0.22), (0.22, -0.31), (0.26, -0.25),
    (0.40, -0.27), (0.36, -0.16), (0.48, -0.09), (0.33, 0.02), (0.36, 0.08), (0.20, 0.13),
    (0.22, 0.19), (0.02, 0.17),
)  # fmt: skip
"""Right half of a maple leaf's outline, from tip to stem, around (0, 0)."""


def maple_leaf(
    size: float,
    course: Course,
    motion: tuple[float, float],
    colours: Sequence[Colour],
    unit: float,
) -> Tumbling:
    """An autumn leaf, from one colour in the middle to another at its rim, veined.

    ``motion`` is (spin, tumble) in radians a second.
    """
    rows = round(size * unit)
    area = (rows, rows)
    cover = np.zeros(area, np.uint8)
    outline = [*MAPLE, *((-x, y) for x, y in reversed(MAPLE))]
    fill(cover, np.array(outline) + 0.5, (1.0,))
    stroke(cover, [(0.5, 0.66), (0.51, 0.80), (0.54, 0.96)], 0.014, (1.0,))
    vein = _veins(area)
    x, y = coordinates(area)
    rng = np.random.default_rng(round(1000 * course.start[0]))
    blotch = fractal_noise(area, rng, 0.3, gain=0.65)
    inner, outer = colours
    colour = mix(inner, outer, np.clip(1.7 * np.hypot(x - 0.5, y - 0.55) + 0.14 * blotch, 0, 1))
    colour = mix(colour, (0.90, 0.78, 0.50), 0.5 * vein)
    spots = smoothstep(1.1, 1.8, fractal_noise(area, rng, 0.10, gain=0.6))
    colour = mix(colour, (0.38, 0.20, 0.10), 0.6 * spots)
    # Blades bulge between the veins.
    bulge = 1 + 0.05 * blotch + 0.5 * relief(blur(vein, 0.012), (-0.6, -0.8), 0.012)
    sprite = sprite_of(lit(colour, bulge), cover.astype(np.float32) / 255)
    return Tumbling(sprite, course, *motion, unit, shadow_of(sprite, 0.03, 0.5))


def _veins(area: tuple[int, int]) -> Field:
    """Five main veins from the stem, each with side veins."""
    drawn = np.zeros(area, np.uint8)
    stem = np.array([0.5, 0.66])
    for x, y in ((0, -0.60), (0.36, -0.40), (-0.36, -0.40), (0.42, -0.22), (-0.42, -0.22)):
        tip = stem + np.array([x, y])
        stroke(drawn, [stem, tip], 0.007, (1.0,))
        for along in np.linspace(0.15, 0.85, 8):
            start = stem + along * (tip - stem)
            for side in (-0.75, 0.75):
                twig = rotation(side) @ (tip - stem) * 0.30 * (1.1 - along)
                stroke(drawn, [start, start + twig], 0.003, (0.7,))
    return drawn.astype(np.float32) / 255


# Wings


@dataclass(frozen=True, eq=False)
class Flapping:
    """A body between two beating wings.

    Parameters
    ----------
    wing : ndarray, shape (H, W, 4)
        The right wing, its root in the middle of the left edge.
    body : ndarray, shape (H, W, 4)
    course : Course
    heading : float
        Radians, clockwise from up.
    hertz : float
        Beats a second.
    unit : float
        Pixels of one ground height.
    """

    wing: Sprite
    body: Sprite
    course: Course
    heading: float
    hertz: float
    unit: float

    def paint(self, frame: Frame, time: float, view: Matrix) -> None:
        """Paint both wings as they stand in their beat, the body between them."""
        beat = 2 * np.pi * (self.hertz * time + 3 * self.course.start[0])
        x, y = self.course.at(time, self.unit)
        lift = 0.03 * self.wing.shape[0] * np.cos(beat)
        root = (0.0, self.wing.shape[0] / 2)
        turn = rotation(self.heading)
        for side, slant in ((-1, 0.8), (1, 1.0)):
            stroke_angle = 0.25 + 0.95 * np.sin(beat)
            wide, raised = side * slant * np.cos(stroke_angle), -0.55 * np.sin(stroke_angle)
            linear = turn @ np.array([[wide, 0.0], [raised, 1.0]])
            light = 0.68 + 0.32 * np.cos(stroke_angle - 0.3 * side)
            lay(frame, self.wing, after(view, affine(linear, root, (x, y + lift))), float(light))
        lay(frame, self.body, after(view, affine(turn, middle_of(self.body), (x, y + lift))))


def butterfly(
    span: float, course: Course, heading: float, colours: Sequence[Colour], unit: float
) -> Flapping:
    """A butterfly with veined, dark-bordered wings, ``span`` wide."""
    rows = round(0.62 * span * unit)
    hind, hind_cover = _wing_cell(rows, 0.68, 0.72, (0.0, 1.5), colours)
    fore, fore_cover = _wing_cell(rows, 0.78, -0.52, (-1.4, 0.2), colours)
    wing = mix(0.92 * hind, fore, fore_cover)
    sprite = sprite_of(wing, np.maximum(fore_cover, hind_cover))
    body = np.zeros((rows, rows, 4), np.uint8)
    spot(body, (0.5, 0.56), (0.035, 0.22), 0, (0.13, 0.10, 0.09, 1))
    spot(body, (0.49, 0.50), (0.018, 0.10), 0, (0.34, 0.28, 0.24, 1))
    for side in (-1, 1):
        stroke(body, [(0.5, 0.36), (0.5 + 0.07 * side, 0.18)], 0.008, (0.12, 0.09, 0.08, 1))
        spot(body, (0.5 + 0.07 * side, 0.18), (0.010, 0.010), 0, (0.12, 0.09, 0.08, 1))
    return Flapping(sprite, body, course, heading, 4.3, unit)


def _wing_cell(
    rows: int, reach: float, axis: float, arc: tuple[float, float], colours: Sequence[Colour]
) -> tuple[Picture, Field]:
    """One of the two parts of a butterfly's wing: a lobe of polar outline around the root."""
    x, y = coordinates((rows, round(0.85 * rows)))
    radius, angle = np.hypot(x, y - 0.5), np.arctan2(y - 0.5, x)
    outline = reach * np.exp(-(((angle - axis) / 0.66) ** 4))
    outline *= 1 + 0.02 * np.cos(16 * np.pi * (angle - arc[0]) / (arc[1] - arc[0]))
    along = radius / np.maximum(outline, 1e-3)
    step = (arc[1] - arc[0]) / 8
    ray = np.abs((angle - arc[0]) / step % 1 - 0.5)
    vein = np.exp(-(((0.5 - ray) * step * radius / 0.007) ** 2)) * smoothstep(0.1, 0.3, along)
    border = smoothstep(0.75, 0.83, along + 0.04 * np.cos(2 * np.pi * (angle - arc[0]) / step))
    dots = np.exp(-((ray / 0.22) ** 4) - ((along - 0.90) / 0.045) ** 4)
    dots += np.exp(-((ray / 0.14) ** 4) - ((along - 0.81) / 0.025) ** 4)
    scales = fractal_noise(radius.shape, np.random.default_rng(0), 0.02, gain=0.8)
    colour = mix(colours[0], colours[1], np.clip(along, 0, 1))
    colour = lit(colour, 1 + 0.04 * scales)
    colour = mix(colour, (0.07, 0.05, 0.05), np.maximum(border, vein))
    colour = mix(colour, (0.93, 0.91, 0.86), np.clip(dots, 0, 1) * border)
    return colour, cover_of(outline - radius, rows)


def swallow(span: float, course: Course, heading: float, unit: float) -> Flapping:
    """A swallow seen from the side and below, ``span`` wide."""
    rows = round(0.5 * span * unit)
    wing = np.zeros((rows, rows, 4), np.uint8)
    edge = [(0, 0.44), (0.3, 0.33), (0.62, 0.36), (1.0, 0.62), (0.6, 0.50), (0.3, 0.53), (0, 0.58)]
    coverts = [(0, 0.48), (0.3, 0.40), (0.55, 0.42), (0.3, 0.48), (0, 0.55)]
    fill(wing, edge, (0.10, 0.12, 0.20, 1))
    fill(wing, coverts, (0.26, 0.29, 0.40, 1))
    for x in np.linspace(0.12, 0.66, 8):
        stroke(wing, [(x, 0.42), (x + 0.05, 0.50)], 0.004, (0.05, 0.06, 0.11, 1))
    body = np.zeros((rows, rows, 4), np.uint8)
    tail = [(0.46, 0.66), (0.38, 1.0), (0.5, 0.78), (0.62, 1.0), (0.54, 0.66)]
    fill(body, tail, (0.09, 0.11, 0.18, 1))
    spot(body, (0.5, 0.50), (0.075, 0.24), 0, (0.11, 0.13, 0.22, 1))
    spot(body, (0.49, 0.54), (0.045, 0.16), 0, (0.82, 0.78, 0.70, 1))
    spot(body, (0.5, 0.31), (0.045, 0.05), 0, (0.55, 0.24, 0.14, 1))
    return Flapping(wing, body, course, heading, 5.1, unit)


# Fish


@dataclass(frozen=True, eq=False)
class Swimming:
    """A fish that swims by a wave running down its body; its nose is at the sprite's right."""

    sprite: Sprite
    course: Course
    hertz: float
    unit: float

    def paint(self, frame: Frame, time: float, view: Matrix) -> None:
        """Bend the sprite by the wave as it stands now, and lay it down along its course."""
        height, width = self.sprite.shape[:2]
        tail = 1 - coordinates((width, width))[0]
        wave = np.sin(2 * np.pi * (self.hertz * time + 0.8 * tail + self.course.start[1]))
        bend = 0.075 * width * (0.12 + tail * tail) * wave
        x, y = np.arange(width)[None], np.arange(height)[:, None]
        # The tail swings to and from the camera too, which shortens it.
        x = x - 0.03 * width * tail**2 * (1 - wave)
        bent = resample(self.sprite, x, y + bend, cv2.BORDER_CONSTANT)
        right = np.sign(self.course.velocity[0]) or 1.0
        rise = np.arctan2(self.course.velocity[1], abs(self.course.velocity[0]))
        linear = np.diag([right, 1.0]) @ rotation(float(rise))
        place = affine(linear, middle_of(bent), self.course.at(time, self.unit))
        lay(frame, bent, after(view, place))


@dataclass(frozen=True)
class Coat:
    """How a fish is dressed.

    Parameters
    ----------
    colours : sequence of Colour
        Of back, flank, belly, bars and fins.
    bars : int
        Number of bars across the body.
    depth : float
        Half its height, in lengths.
    """

    colours: Sequence[Colour]
    bars: int
    depth: float


def fish(length: float, course: Course, coat: Coat, unit: float) -> Swimming:
    """A fish ``length`` long: shaded body with scales, bars and rayed fins."""
    size = (round(0.8 * length * unit), round(length * unit))
    x, y = coordinates(size)
    nose, up = 1 - x * size[0] / size[1], (0.5 - y) * 0.8
    half = coat.depth * _arch(nose - 0.01, 0.87, 0.62) ** 0.85
    half = half + 0.022 * smoothstep(0.2, 0.8, nose)
    half = np.where(nose < 0.86, half, np.float32(0))
    body = cover_of(half - np.abs(up), size[1])
    fins, cover = _fins(nose, up, half, coat.colours[-1], size[1])
    skin = _skin(nose, up / np.maximum(half, 1e-3), coat)
    sprite = sprite_of(mix(fins, skin, body), np.maximum(body, 0.92 * cover))
    _face(sprite, size, coat)
    sprite = mottled(sprite, np.random.default_rng(0), 0.08, 0.06)
    return Swimming(sprite, course, 1.6, unit)


def _arch(along: Field, length: float, skew: float = 1.0) -> Field:
    """Half a sine wave over ``length``, leaning forward for a skew below 1."""
    return np.clip(np.sin(np.pi * np.clip(along / length, 0, 1) ** skew), 0, 1)


def _skin(nose: Field, height: Field, coat: Coat) -> Picture:
    back, flank, belly, bar, _ = coat.colours
    colour = gradient(((-1.0, belly), (-0.25, flank), (0.4, flank), (1.0, back)), height)
    bars = np.cos(2 * np.pi * (coat.bars * (nose - 0.10) / 0.8 + 0.05 * height**2))
    colour = mix(colour, bar, smoothstep(0.45, 0.65, bars) * (nose > 0.16))
    # Scales: arcs of a staggered grid, each brighter at its free edge.
    row = np.floor(14 * height)
    scale = (46 * nose + 0.5 * (row % 2)) % 1
    arc = np.abs(np.hypot(scale - 0.5, (14 * height) % 1 - 0.5) - 0.45)
    colour = lit(colour, 1 - 0.22 * np.exp(-((arc / 0.12) ** 2)) * (nose > 0.22))
    gill = np.exp(-(((nose - 0.21 - 0.03 * height**2) / 0.006) ** 2)) * (np.abs(height) < 0.7)
    round_light = 0.55 + 0.45 * np.sqrt(np.clip(1 - height * height, 0, 1)) + 0.12 * height
    shine = 0.14 * np.exp(-(((height - 0.5) / 0.16) ** 2))
    return lit(colour, round_light * (1 - 0.4 * gill)) + shine[..., None]


def _fins(nose: Field, up: Field, half: Field, colour: Colour, width: int) -> tuple[Picture, Field]:
    """Tail, back and belly fins with their rays."""
    spread = 0.02 + 0.26 * np.clip((nose - 0.80) / 0.2, 0, 1) ** 1.2
    fork = 1 - 0.09 * (1 - np.clip(np.abs(up) / 0.26, 0, 1))
    is_tail = nose > 0.80
    tail = np.where(is_tail, np.minimum(spread - np.abs(up), fork - nose), -1)
    back, belly = 0.11 * _arch(nose - 0.26, 0.5) ** 0.6, 0.10 * _arch(nose - 0.5, 0.26) ** 0.6
    above = np.where(back > 0, np.minimum(half + back - up, up - 0.3 * half), -1)
    under = np.where(belly > 0, np.minimum(half + belly + up, -up - 0.3 * half), -1)
    cover = cover_of(np.maximum(tail, np.maximum(above, under)), width)
    slant = np.where(is_tail, 9 * up / np.maximum(spread, 1e-3), 60 * nose + 30 * np.abs(up))
    return lit(colour, (0.80 + 0.2 * np.cos(2 * np.pi * slant)) * (0.75 + up)), cover


def _face(sprite: Sprite, size: tuple[int, int], coat: Coat) -> None:
    nose = size[1] / size[0]
    eye = (nose * 0.89, 0.46)
    spot(sprite, eye, (0.036, 0.036), 0, (0.93, 0.86, 0.62, 1))
    spot(sprite, eye, (0.024, 0.024), 0, (0.05, 0.05, 0.06, 1))
    spot(sprite, (eye[0] + 0.009, 0.449), (0.007, 0.007), 0, (0.95, 0.95, 0.93, 1))
    colour = np.array(coat.colours[-1])
    fin = [(0.74, 0.53), (0.66, 0.60), (0.58, 0.70), (0.60, 0.58)]
    fill(sprite, [(nose * x, y) for x, y in fin], (*(0.7 * colour), 1))
    for end in ((0.655, 0.605), (0.62, 0.655), (0.60, 0.61)):
        ray = [(nose * 0.735, 0.535), (nose * end[0], end[1])]
        stroke(sprite, ray, 0.004, (*colour, 1))


# What grows and what ripples


@dataclass(frozen=True, eq=False)
class Swaying:
    """A strip as wide as the ground, at its lower edge, through which a wave runs.

    Parameters
    ----------
    strip : ndarray, shape (H, W, 4)
    reach : ndarray, shape (H, W)
        How far each pixel moves sideways, in pixels.
    phase : ndarray, shape (H, W)
        Where each pixel stands in the wave, in radians.
    hertz : float
        Waves a second.
    ground : int
        Rows of the painted ground, the strip's among them.
    """

    strip: Sprite
    reach: Field
    phase: Field
    hertz: float
    ground: int

    def paint(self, frame: Frame, time: float, view: Matrix) -> None:
        """Sample the strip at the frame's own pixels, so that it is interpolated only once."""
        top = self.ground - self.strip.shape[0]
        first = max(int(view[1] @ (0, top, 1)) - 2, frame.shape[0] - self.strip.shape[0], 0)
        region = frame[first:]
        back = cv2.invertAffineTransform(view)
        x = np.arange(region.shape[1], dtype=np.float32)[None]
        y = np.arange(first, frame.shape[0], dtype=np.float32)[:, None]
        columns, rows = (
            np.float32(a) * x + np.float32(b) * y + np.float32(c)
            for a, b, c in back - np.array([[0, 0, 0], [0, 0, top]])
        )
        # The wave stays with the frame while the strip shakes under it: it is so smooth that a
        # few pixels do not matter.
        columns += self._wave(time)[: region.shape[0], : region.shape[1]]
        blend(region, cv2.remap(self.strip, columns, rows, cv2.INTER_LINEAR))

    def _wave(self, time: float) -> Field:
        # sin(phase − angle), spelt out so that no sine is taken per frame and pixel.
        angle = 2 * np.pi * self.hertz * time
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        return cv2.addWeighted(self._sine, cosine, self._cosine, -sine, 0)

    @cached_property
    def _sine(self) -> Field:
        return self.reach * np.sin(self.phase)

    @cached_property
    def _cosine(self) -> Field:
        return self.reach * np.cos(self.phase)


def _rooted(
    strip: Sprite, rng: np.random.Generator, unit: int, hertz: float, reach: float
) -> Swaying:
    """Plants: still at the root, moving most at the tip, gusts running across."""
    size = (strip.shape[0], strip.shape[1])
    x, y = coordinates(size)
    gusts = skyline(size, rng, 0.8, 0.3)
    bend = reach * unit * (1 - y) ** 1.6 * (1 + 0.3 * gusts)
    phase = 2.2 * x + 0.8 * gusts + 0.9 * y
    return Swaying(mottled(strip, rng, 0.06, 0.12), bend, phase, hertz, unit)


def wheat(ground: tuple[int, int], rng: np.random.Generator) -> Swaying:
    """Ears of wheat and poppies close to the camera."""
    strip = np.zeros((round(0.40 * ground[0]), ground[1], 4), np.uint8)
    width = ground[1] / strip.shape[0]
    own = rng.spawn(1)[0]
    for number, (place, tall, lean, tone) in enumerate(own.random((260, 4))):
        near = number / 260
        tip = (width * place + 0.16 * (lean - 0.5), 0.80 - 0.38 * tall - 0.25 * near * tall)
        root = (width * place, 1.02)
        shade = (0.50 + 0.42 * near) * (0.8 + 0.3 * tone)
        if number % 13 == 6:
            _poppy(strip, root, tip, shade, own)
        else:
            _ear(strip, root, tip, shade)
    return _rooted(strip, rng, ground[0], 0.55, 0.022)


def _ear(strip: Sprite, root: Point, tip: Point, shade: float) -> None:
    straw = (0.86 * shade, 0.70 * shade, 0.36 * shade, 1)
    dark = (0.52 * shade, 0.38 * shade, 0.15 * shade, 1)
    bow = ((2 * root[0] + tip[0]) / 3, (root[1] + tip[1]) / 2)
    stroke(strip, [root, bow, tip], 0.006, dark)
    stroke(strip, [root, bow, tip], 0.003, straw)
    direction = np.array(tip) - np.array(bow)
    direction /= np.hypot(*direction)
    across = np.array([-direction[1], direction[0]])
    turn = float(np.degrees(np.arctan2(direction[1], direction[0])))
    for grain in range(9):
        for side in (-1, 1):
            place = np.array(tip) + direction * 0.016 * grain + across * 0.008 * side
            stroke(strip, [place, place + direction * 0.085 + across * 0.03 * side], 0.0015, straw)
            spot(strip, place, (0.014, 0.0062), turn + 24 * side, dark)
            spot(strip, place - 0.002 * across, (0.011, 0.004), turn + 24 * side, straw)


def _poppy(strip: Sprite, root: Point, tip: Point, shade: float, own: np.random.Generator) -> None:
    stroke(strip, [root, tip], 0.005, (0.34 * shade, 0.38 * shade, 0.20 * shade, 1))
    for petal, (dx, turn) in enumerate(own.random((5, 2))):
        place = (tip[0] + 0.026 * (dx - 0.5), tip[1] + 0.010 * (petal % 2))
        axes, slant = (0.046 - 0.004 * petal, 0.028 - 0.002 * petal), 50 * turn - 25
        for rim, light in ((1.0, 0.52), (0.94, 0.72 + 0.06 * petal)):
            light = light * (0.45 + 0.6 * shade)
            red = (min(0.95, light), 0.13 * light, 0.07 * light, 1)
            spot(strip, place, (rim * axes[0], rim * axes[1]), slant, red)
    spot(strip, (tip[0], tip[1] + 0.002), (0.011, 0.008), 0, (0.13, 0.09, 0.11, 1))
    spot(strip, (tip[0], tip[1]), (0.004, 0.003), 0, (0.42, 0.45, 0.30, 1))


def reeds(ground: tuple[int, int], rng: np.random.Generator, colour: Colour) -> Swaying:
    """Long dark leaves close to the camera: reeds by a lake, or weed on the sea floor."""
    strip = np.zeros((round(0.42 * ground[0]), ground[1], 4), np.uint8)
    width = ground[1] / strip.shape[0]
    for clump, tall, lean, tone, spread in rng.spawn(1)[0].random((150, 5)):
        # Denser towards both sides, so that the middle stays open.
        side = 0.5 + 0.5 * np.sign(clump - 0.5) * abs(2 * clump - 1) ** 0.4
        root = np.array([width * side + 0.3 * (spread - 0.5), 1.02])
        top = root + np.array([0.5 * (lean - 0.5), -0.35 - 0.6 * tall * abs(2 * side - 1)])
        _leaf_blade(strip, root, top, tuple(channel * (0.5 + tone) for channel in colour))
    return _rooted(strip, rng, ground[0], 0.45, 0.03)


def _leaf_blade(strip: Sprite, root: Vector, tip: Vector, colour: Sequence[float]) -> None:
    along = np.linspace(0, 1, 24)[:, None]
    bend = np.array([0.05 * np.sign(tip[0] - root[0] + 1e-9), 0.0])
    line = root + (tip - root) * along + bend * np.sin(np.pi * along)
    half = 0.010 * (1 - along**2) * np.array([1.0, 0.0])
    fill(strip, np.concatenate([line - half, (line + half)[::-1]]), (*colour, 1))
    bright = (min(1.0, 1.7 * channel) for channel in colour)
    stroke(strip, line - 0.4 * half, 0.003, (*bright, 1))


@dataclass(frozen=True, eq=False)
class Mirrored:
    """The reflection of some subjects in still water below the row ``shore`` of the ground."""

    subjects: Sequence[Subject]
    shore: int
    share: float = 0.45

    def paint(self, frame: Frame, time: float, view: Matrix) -> None:
        """Paint the subjects upside down and let them shine through the water."""
        flip = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 2.0 * self.shore]])
        mirror = frame.copy()
        for subject in self.subjects:
            subject.paint(mirror, time, after(view, flip))
        row = int(view[1] @ (0, self.shore, 1)) + 2
        cv2.addWeighted(mirror[row:], self.share, frame[row:], 1 - self.share, 0, dst=frame[row:])


@dataclass(frozen=True, eq=False)
class Rippling:
    """Water below the row ``shore`` of the ground: moves whatever is painted there up and down."""

    shore: int
    size: tuple[int, int]

    def paint(self, frame: Frame, time: float, view: Matrix) -> None:
        """Shift the rows of the water by waves that run towards the camera and shrink far away."""
        row = int(view[1] @ (0, self.shore, 1)) + 2
        water = frame[row:].copy()
        x = np.arange(water.shape[1], dtype=np.float32)[None]
        y = np.arange(water.shape[0], dtype=np.float32)[:, None]
        reach, phase = self._swell
        phase = phase[: water.shape[0], : water.shape[1]] + np.float32(2 * np.pi * 0.8 * time)
        frame[row:] = resample(water, x, y + reach[: water.shape[0]] * np.sin(phase))

    @cached_property
    def _swell(self) -> tuple[Field, Field]:
        rng = np.random.default_rng(0)
        size = (self.size[0] - self.shore, self.size[1])
        x, y = coordinates(size)
        phase = 50 / (0.25 + y) + 1.5 * x + 2.5 * soft_noise(size, rng, 0.3, stretch=3)
        return (0.0005 + 0.0025 * y) * self.size[0], phase.astype(np.float32)
