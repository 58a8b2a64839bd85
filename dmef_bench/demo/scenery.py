"""Painted grounds of the demo clips: fractal noise, and skies, fields, walls and water made of it.

Pictures here are float32 (H, W, 3), display-encoded RGB, about [0, 1]; lengths are in picture
heights, so that a small picture shows the same place as a large one. The constants are a painter's:
chosen by eye.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.floating[Any]]
"""(H, W), or a row or column of it: one number a pixel."""
Picture = npt.NDArray[np.floating[Any]]
"""(H, W, 3): display-encoded RGB, about [0, 1]; float32."""
AnyPicture = TypeVar("AnyPicture", bound=npt.NDArray[np.generic])
Size = tuple[int, int]
"""(height, width) in pixels."""
Colour = tuple[float, float, float]

HORIZON = 0.60
"""Where sky meets land or water, in picture heights from the top."""


# Tools


def coordinates(size: Size) -> tuple[Field, Field]:
    """Pixel centres in picture heights: x of shape (1, W), y of shape (H, 1)."""
    height, width = size
    x = (np.arange(width, dtype=np.float32) + 0.5) / height
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    return x[None], y[:, None]


def fractal_noise(
    size: Size, rng: np.random.Generator, cell: float, gain: float = 0.5, stretch: float = 1.0
) -> Field:
    """Sum octaves of smooth noise, from lattice ``cell`` down to two pixels.

    Parameters
    ----------
    size : (height, width)
    rng : numpy.random.Generator
        A child is spawned, so that a picture of another size leaves the same state behind.
    cell : float
        Coarsest lattice constant in picture heights.
    gain : float
        Amplitude of each octave relative to the coarser one: 0.4 is soft, 0.7 is gritty.
    stretch : float
        How much wider than high the cells are.

    Returns
    -------
    ndarray, shape (H, W), float32
        Mean near 0, standard deviation near 1.
    """
    own = rng.spawn(1)[0]
    height, width = size
    total = np.zeros(size, np.float32)
    amplitude, power = 1.0, 0.0
    while cell * height >= 2:
        rows, columns = int(1 / cell) + 3, int(width / height / cell / stretch) + 3
        lattice = own.standard_normal((rows, columns), dtype=np.float32)
        octave = cv2.resize(lattice, (width, height), interpolation=cv2.INTER_CUBIC)
        total = cv2.scaleAdd(octave, amplitude, total)
        power += amplitude**2
        amplitude *= gain
        # Not 2: lattices whose lines coincide show as a grid.
        cell /= 2.03
    # Cubic interpolation between lattice points leaves about 0.75 of their deviation.
    return total * np.float32(1 / (0.75 * max(power, 1e-9) ** 0.5))


def soft_noise(
    size: Size, rng: np.random.Generator, cell: float, gain: float = 0.5, stretch: float = 1.0
) -> Field:
    """`fractal_noise` without its finest two octaves, at a tenth of the cost."""
    height, width = size
    small = fractal_noise((height // 4, width // 4), rng, cell, gain, stretch)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def skyline(size: Size, rng: np.random.Generator, cell: float, gain: float) -> Field:
    """One row (1, W) of fractal noise."""
    own = rng.spawn(1)[0]
    height, width = size
    total = np.zeros((1, width), np.float32)
    amplitude = 1.0
    while cell * height >= 2:
        lattice = own.standard_normal((1, int(width / height / cell) + 3), dtype=np.float32)
        total += amplitude * cv2.resize(lattice, (width, 1), interpolation=cv2.INTER_CUBIC)
        amplitude *= gain
        cell /= 2.03
    return total


def smoothstep(low: float, high: float, values: Field) -> Field:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(first: Picture | Colour, second: Picture | Colour, share: Field) -> Picture:
    """Blend two pictures or colours: ``first + share · (second − first)``."""
    # Channel by channel: numpy is far slower along a last axis of three.
    share = share.astype(np.float32, copy=False)
    return cv2.merge(
        [_plane(first, c) + (_plane(second, c) - _plane(first, c)) * share for c in range(3)]
    )


def lit(picture: Picture | Colour, light: Field) -> Picture:
    """Multiply a picture, or one colour, by the light that falls on it."""
    light = light.astype(np.float32, copy=False)
    return cv2.merge([_plane(picture, channel) * light for channel in range(3)])


def _plane(picture: Picture | Colour, channel: int) -> Field:
    if isinstance(picture, np.ndarray):
        return picture[..., channel]
    return np.array(picture[channel], np.float32)


def gradient(stops: Sequence[tuple[float, Colour]], at: Field) -> Picture:
    """Colours interpolated between ``(position, colour)`` stops."""
    places, colours = [place for place, _ in stops], np.array([colour for _, colour in stops])
    channels = [np.interp(at, places, colours[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def blur(field: Field, radius: float) -> Field:
    """Gaussian blur by ``radius`` picture heights."""
    return cv2.GaussianBlur(field, (0, 0), max(radius * field.shape[0], 0.3))


def relief(heights: Field, light: tuple[float, float], reach: float) -> Field:
    """Brightness of a height field, up to a constant, lit from the direction ``light``."""
    rows, columns = heights.shape
    dx, dy = -light[0] * reach * rows, -light[1] * reach * rows
    moved = cv2.warpAffine(
        heights,
        np.array([[1, 0, dx], [0, 1, dy]], np.float32),
        (columns, rows),
        borderMode=cv2.BORDER_REFLECT,
    )
    return heights - moved


def resample(
    picture: AnyPicture, x: Field, y: Field, border: int = cv2.BORDER_REFLECT
) -> AnyPicture:
    """Look a picture up at pixel positions, broadcast against each other."""
    # OpenCV takes float64 maps without complaint and reads them as noise.
    x, y = np.broadcast_arrays(x.astype(np.float32), y.astype(np.float32))
    columns, rows = np.ascontiguousarray(x), np.ascontiguousarray(y)
    return cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=border)


def cover_of(inside: Field, rows: int) -> Field:
    """Mask of where ``inside`` is positive; its edge, in picture heights, is antialiased."""
    return np.clip(inside * rows + 0.5, 0, 1)


# Pencils: antialiased drawing on uint8 grounds, in lengths of the ground's height


def _pixels(ground: npt.NDArray[np.uint8], points: npt.ArrayLike) -> npt.NDArray[np.int32]:
    # cv2 takes sixteenths of a pixel with shift=4.
    return np.round(np.asarray(points) * (16 * ground.shape[0])).astype(np.int32)


def _ink(colour: Sequence[float]) -> tuple[float, ...]:
    return tuple(255 * channel for channel in colour)


def fill(ground: npt.NDArray[np.uint8], points: npt.ArrayLike, colour: Sequence[float]) -> None:
    """Fill the polygon through ``points`` (N, 2)."""
    cv2.fillPoly(ground, [_pixels(ground, points)], _ink(colour), cv2.LINE_AA, 4)


def stroke(
    ground: npt.NDArray[np.uint8], points: npt.ArrayLike, width: float, colour: Sequence[float]
) -> None:
    """Draw a line through ``points`` (N, 2)."""
    thick = max(1, round(width * ground.shape[0]))
    cv2.polylines(ground, [_pixels(ground, points)], False, _ink(colour), thick, cv2.LINE_AA, 4)


def spot(
    ground: npt.NDArray[np.uint8],
    centre: tuple[float, float],
    axes: tuple[float, float],
    turn: float,
    colour: Sequence[float],
) -> None:
    """Fill an ellipse with half axes ``axes``, turned by ``turn`` degrees."""
    middle, radii = _pixels(ground, centre), _pixels(ground, axes)
    cv2.ellipse(ground, middle, radii, turn, 0, 360, _ink(colour), -1, cv2.LINE_AA, 4)


# Sky and land


def clouds(
    size: Size, rng: np.random.Generator, cover: float, light: tuple[float, float]
) -> tuple[Field, Field]:
    """Cloud cover and how brightly it is lit, both in [0, 1], seen from below in perspective.

    The picture's lower edge is the horizon.
    """
    height, width = size
    x, y = coordinates(size)
    middle = width / height / 2
    distance = 1.565 / (1.565 - y)
    bend = soft_noise(size, rng, 0.32)
    across = ((x - middle) * distance * 0.8 + middle + 0.03 * bend) * height
    away = ((distance - 1) * 0.89 + 0.02 * bend[::-1]) * height
    billows = fractal_noise(size, rng, 0.55, gain=0.53)
    billows -= 0.35 * (np.abs(fractal_noise(size, rng, 0.19, gain=0.55)) - 0.7)
    density = resample(billows, across, away)
    thickness = density + cover
    shape = blur(cv2.resize(density, (width // 8, height // 8), interpolation=cv2.INTER_AREA), 0.02)
    sides = cv2.resize(relief(shape, light, 0.08), (width, height), interpolation=cv2.INTER_CUBIC)
    wisps = relief(blur(density, 0.0024), light, 0.016)
    sunny = 0.62 + 0.42 * sides + 0.55 * wisps - 0.22 * smoothstep(0.2, 1.8, thickness)
    return smoothstep(-0.05, 0.75, thickness), np.clip(sunny, 0, 1)


def summer_sky(size: Size, rng: np.random.Generator) -> Picture:
    """Blue sky with fair-weather clouds, hazy at the lower edge."""
    fall = coordinates(size)[1]
    air = mix((0.22, 0.42, 0.72), (0.72, 0.82, 0.90), fall)
    cover, sunny = clouds(size, rng, cover=0.15, light=(-0.6, -0.8))
    haze = smoothstep(0.55, 1.05, fall)
    cloud = mix((0.56, 0.60, 0.68), (0.965, 0.955, 0.93), sunny)
    cloud = mix(cloud, (0.86, 0.86, 0.86), 0.6 * haze)
    return mix(air, cloud, cover * (1 - 0.35 * haze))


def dusk_sky(size: Size, rng: np.random.Generator) -> Picture:
    """Sky after sunset: deep blue above, afterglow below, clouds lit from under."""
    x, fall = coordinates(size)
    stops = [
        (0.0, (0.24, 0.28, 0.49)),
        (0.27, (0.50, 0.44, 0.62)),
        (0.50, (0.87, 0.60, 0.55)),
        (0.75, (0.96, 0.76, 0.54)),
        (1.0, (0.965, 0.86, 0.64)),
    ]
    sky = gradient(stops, fall)
    glow = np.exp(-((x - 1.85) ** 2) / 1.4 - (fall - 1) ** 2 / 0.14)
    sky = mix(sky, (0.96, 0.90, 0.72), 0.6 * glow)
    cover, sunny = clouds(size, rng, cover=0.28, light=(0.25, 0.9))
    low = smoothstep(0.1, 1.0, fall)
    shaded = mix((0.24, 0.24, 0.40), (0.57, 0.41, 0.47), low)
    bright = mix((0.88, 0.54, 0.54), (0.96, 0.81, 0.59), low)
    cloud = mix(shaded, bright, np.clip(1.25 * sunny - 0.25, 0, 1))
    return mix(sky, cloud, 0.88 * cover)


def mountains(
    picture: Picture,
    rng: np.random.Generator,
    base: float,
    rise: float,
    colours: tuple[Colour, Colour],
    mist: tuple[float, Colour],
) -> None:
    """Lay a mountain range over a picture, in place, its foot in mist ``(share, colour)``."""
    rows, columns = picture.shape[:2]
    top = base - rise * skyline((rows, columns), rng, 0.55, 0.42)
    band, height, zoom = _band(picture, float(top.min()))
    size = (band.shape[0], columns)
    slopes = relief(fractal_noise(size, rng, 0.14 * zoom, 0.57, 0.6), (-0.8, -0.35), 0.007 * zoom)
    rock = mix(*colours, np.clip(0.5 + 0.4 * slopes, 0, 1))
    share, air = mist
    rock = mix(rock, air, share * smoothstep(0, 0.1, height - top))
    band[:] = mix(band, rock, cover_of(height - top, rows))


def woods(picture: Picture, rng: np.random.Generator, base: float, rise: float) -> None:
    """Lay a row of distant trees over a picture, in place: crowns lit from the upper left."""
    rows, columns = picture.shape[:2]
    line = skyline((rows, columns), rng, 0.4, 0.5)
    top = base - rise * (0.9 + line) - 0.004 * skyline((rows, columns), rng, 0.02, 0.7)
    band, height, zoom = _band(picture, float(top.min()))
    size = (band.shape[0], columns)
    crowns = np.abs(fractal_noise(size, rng, 0.012 * zoom, 0.55))
    crowns += 0.8 * fractal_noise(size, rng, 0.024 * zoom, 0.6)
    light = 0.42 + 0.5 * relief(crowns, (-0.6, -0.8), 0.003 * zoom)
    light -= 4.0 * np.clip(height - top, 0, 0.06)
    leaves = mix((0.09, 0.15, 0.10), (0.40, 0.46, 0.25), np.clip(light, 0, 1))
    band[:] = mix(band, leaves, cover_of(height - top, rows))


def _band(picture: Picture, top: float) -> tuple[Picture, Field, float]:
    """Rows from ``top`` to just below the horizon, their y, and what 1 / their share is."""
    rows = picture.shape[0]
    first, last = max(int(top * rows) - 1, 0), int((HORIZON + 0.03) * rows)
    return picture[first:last], coordinates((rows, 1))[1][first:last], rows / (last - first)


def grass(
    picture: Picture,
    rng: np.random.Generator,
    distances: tuple[float, float],
    colours: tuple[Colour, Colour],
    rows: int = 44,
) -> None:
    """Grow rows of blades on the ground, far to near, in place.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)
    rng : numpy.random.Generator
    distances : (far, near)
        From 0, the horizon, to 1, the lower edge.
    colours : (root, tip)
    rows : int
        Rows between horizon and lower edge, denser in the distance.
    """
    light = 1 + 0.16 * soft_noise((256, picture.shape[1]), rng, 0.3)
    for number in range(rows + 1):
        near = (number / rows) ** 2.1
        seeds = rng.spawn(1)[0].random((2, 4096), dtype=np.float32)
        if distances[0] <= near < distances[1]:
            _row_of_blades(picture, near, seeds, light[int(255 * near)], colours)


def _row_of_blades(
    picture: Picture, near: float, seeds: Field, light: Field, colours: tuple[Colour, Colour]
) -> None:
    size = picture.shape[0], picture.shape[1]
    base = HORIZON + 0.01 + (1.11 - HORIZON) * near
    length, width = 0.012 + 0.17 * near, 0.0008 + 0.006 * near
    first = int((base - 1.15 * length) * size[0])
    last = min(size[0], int((base + 0.55 * length) * size[0]) + 2)
    if first >= last:
        return
    x, y = coordinates(size)
    height = (base - y[first:last]) / length
    lean = 0.35 * length * height * height * np.sin(7 * x + 800 * near)
    place = (x + lean) / width + 97 * near
    blade = np.floor(place)
    inside = place - blade
    index = blade.astype(np.int32) % seeds.shape[1]
    tall, bright = 0.45 + 0.55 * seeds[0][index], 0.72 + 0.4 * seeds[1][index]
    half = 0.5 * np.clip(1.25 * (1 - height / tall), 0, 1) ** 0.6
    cover = cover_of((half - np.abs(inside - 0.5)) * width, size[0])
    cover = np.where(height < 0.12, np.float32(1), np.where(height < tall, cover, np.float32(0)))
    shade = np.clip(0.35 + 0.75 * height, 0, 1.1) * bright * light * (1 + 0.2 * (0.5 - inside))
    hay = mix(*colours, np.clip(shade, 0, 1.15))
    hay = mix(hay, (0.80, 0.76, 0.62), np.full_like(shade, 0.5 * np.exp(-14 * near)))
    picture[first:last] = mix(picture[first:last], hay, cover)


# Walls


def bricks(size: Size, rng: np.random.Generator, courses: int = 22) -> tuple[Picture, Field]:
    """Colour of an old brick wall, and how far its surface stands out, about [0, 1]."""
    x, y = coordinates(size)
    uneven = fractal_noise(size, rng, 0.05, gain=0.58)
    course = (y + 0.0028 * uneven) * courses
    row = np.floor(course)
    place = (x + 0.0022 * uneven[::-1]) * courses / 3.1 + 0.5 * (row % 2) + 0.13 * np.sin(7.1 * row)
    column = np.floor(place)
    across, along = course - row, (place - column) * 3.1
    joint = np.minimum(np.minimum(along, 3.1 - along), np.minimum(across, 1 - across))
    grit = fractal_noise(size, rng, 0.02, gain=0.68)
    brick = smoothstep(0.04, 0.12, joint + 0.02 * grit)
    seeds = rng.spawn(1)[0].random((64, 64, 3), dtype=np.float32)
    seed = seeds[row.astype(np.int32) % 64, column.astype(np.int32) % 64]
    clay = mix((0.46, 0.24, 0.17), (0.70, 0.43, 0.31), seed[..., 0])
    clay = mix(clay, (0.80, 0.60, 0.47), 0.55 * (seed[..., 1] > 0.82))
    clay = mix(clay, (0.30, 0.21, 0.20), 0.6 * (seed[..., 2] > 0.88))
    mortar = lit((0.70, 0.65, 0.57), 1 + 0.08 * grit)
    heights = brick * (0.5 + 0.1 * seed[..., 1]) + 0.07 * grit + 0.25 * smoothstep(0.04, 0.3, joint)
    return mix(mortar, lit(clay, 1 + 0.10 * grit), brick), heights


def planks(size: Size, rng: np.random.Generator, width: float, colour: Colour) -> Picture:
    """Upright weathered boards, ``width`` picture heights wide."""
    x, _ = coordinates(size)
    board = np.floor(x / width)
    inside = x / width - board
    seeds = rng.spawn(1)[0].random(512, dtype=np.float32)
    grain = fractal_noise(size, rng, 0.5, gain=0.75, stretch=0.02)
    rings = np.sin(9 * fractal_noise(size, rng, 0.6, gain=0.3, stretch=0.12))
    gap = smoothstep(0, 0.05, np.minimum(inside, 1 - inside))
    tone = 0.75 + 0.4 * seeds[board.astype(np.int32) % 512] + 0.07 * grain + 0.08 * rings
    return lit(colour, tone * (0.25 + 0.75 * gap))


def _mill_tower(picture: Picture, rng: np.random.Generator, foot: tuple[float, float]) -> None:
    """Build a round whitewashed tower with a shingled cap, 0.4 high, in place."""
    rows = picture.shape[0]
    left, top = int((foot[0] - 0.1) * rows), int((foot[1] - 0.41) * rows)
    part = picture[top : int(foot[1] * rows) + 1, left : left + int(0.2 * rows)]
    x, y = (axis * part.shape[0] / rows for axis in coordinates((part.shape[0], part.shape[1])))
    up, across = (0.41 - y) / 0.4, x - 0.1
    half = np.where(up < 0.8, 0.085 - 0.045 * up, 0.052 * np.sqrt(np.clip(5 - 5 * up, 0, 1)))
    side = np.clip(across / np.maximum(half, 1e-4), -1, 1)
    light = (0.66 - 0.42 * side) * np.where(up < 0.8, np.float32(1), np.float32(0.55))
    stain = fractal_noise((part.shape[0], part.shape[1]), rng, 0.12, gain=0.62)
    around = (0.09 * np.arcsin(side) + 0.1) * rows
    stain = resample(stain, around, y * rows)
    wall = mix((0.84, 0.80, 0.72), (0.72, 0.60, 0.45), smoothstep(0.5, 2.0, stain))
    wall = lit(wall, light + 0.16 * relief(stain, (-0.8, -0.5), 0.007))
    shingle = np.sign(np.sin(168 * up) * np.sin(95 * np.arcsin(side) + 84 * up))
    wall = mix(lit((0.42, 0.30, 0.23), light * (0.8 + 0.3 * shingle)), wall, up < 0.8)
    for storey in (0.22, 0.52):
        opening = (np.abs(side + 0.3) < 0.11) & (np.abs(up - storey) < 0.035)
        wall = mix(wall, (0.16, 0.13, 0.12), opening)
    part[:] = mix(part, wall, cover_of(half - np.abs(across), rows) * (up > 0))


def wheat_field(size: Size, rng: np.random.Generator) -> Picture:
    """Ripe wheat under a summer sky, hills, woods and a mill at `MILL`."""
    picture = _sky_above(size, summer_sky, rng)
    far, near = ((0.47, 0.57, 0.70), (0.62, 0.70, 0.78)), ((0.32, 0.43, 0.48), (0.48, 0.58, 0.56))
    mountains(picture, rng, 0.56, 0.035, far, (0.5, (0.70, 0.76, 0.80)))
    mountains(picture, rng, 0.59, 0.03, near, (0.5, (0.66, 0.73, 0.74)))
    woods(picture, rng, HORIZON + 0.015, 0.028)
    hay = ((0.20, 0.14, 0.05), (0.82, 0.66, 0.35))
    grass(picture, rng, (0, 0.06), hay)
    _mill_tower(picture, rng, (MILL[0], MILL[1] + 0.34))
    grass(picture, rng, (0.06, 2), hay)
    return picture


MILL = (1.25, 0.35)
"""Hub of the mill's sails in `wheat_field`: x, y."""


def _sky_above(size: Size, sky: Callable[..., Picture], rng: np.random.Generator) -> Picture:
    height, width = size
    edge = int(height * (HORIZON + 0.01))
    picture = np.empty((height, width, 3), np.float32)
    picture[:edge] = sky((edge, width), rng)
    picture[edge:] = picture[edge - 1]
    return picture


def courtyard(size: Size, rng: np.random.Generator) -> Picture:
    """Crumbling limewash over brick, half in the sun; a dark door; shadows of a tree."""
    brick, heights = bricks(size, rng)
    whole = 0.55 - 0.5 * coordinates(size)[1] + soft_noise(size, rng, 0.35, gain=0.58)
    whole += 0.16 * fractal_noise(size, rng, 0.04, gain=0.6)
    washed = smoothstep(-0.06, 0.0, whole)
    stain = fractal_noise(size, rng, 0.3, gain=0.6)
    lime = mix((0.95, 0.90, 0.80), (0.76, 0.66, 0.52), smoothstep(-0.6, 2.4, stain))
    trowel = fractal_noise(size, rng, 0.03, gain=0.66, stretch=1.6)
    surface = blur((1 - washed) * heights + washed * (0.95 + 0.05 * trowel), 0.0006)
    shade = 0.94 + 0.75 * relief(surface, (-0.7, -0.7), 0.0022)
    wall = lit(mix(brick, lime, washed), shade)
    _doorway(wall, rng, (1.32, 0.36), 0.21)
    return wall * _sun(size, rng)


def _doorway(
    wall: Picture, rng: np.random.Generator, crown: tuple[float, float], half: float
) -> None:
    """Set a round-arched wooden door into a wall, in place, deep in its shadow."""
    rows = wall.shape[0]
    left = int((crown[0] - half - 0.08) * rows)
    part = wall[:, left : left + int(2 * (half + 0.08) * rows)]
    size = (rows, part.shape[1])
    x, y = coordinates(size)
    across, above = x - half - 0.08, np.minimum(y - crown[1], 0)
    ring = np.hypot(across, above)
    stone = _voussoirs(np.arctan2(above, across), y - crown[1], size, rng)
    part[:] = mix(part, stone, cover_of(half + 0.075 - ring, rows))
    door = planks(size, rng, 0.047, (0.46, 0.36, 0.27))
    for band in (0.12, 0.42):
        iron = np.exp(-(((y - crown[1] - band) / 0.012) ** 8)) * np.ones_like(x)
        door = mix(door, (0.20, 0.19, 0.20), iron)
    inset = np.hypot(across - 0.03, np.minimum(y - crown[1] - 0.04, 0))
    depth = 0.35 + 0.65 * smoothstep(0.0, 0.05, half - inset)
    part[:] = mix(part, lit(door, depth), cover_of(half - ring, rows))


def _voussoirs(turn: Field, down: Field, size: Size, rng: np.random.Generator) -> Picture:
    """Hewn stones around an arch and down its sides."""
    place = np.where(down < 0, 4.2 * turn, 9 * down + 40)
    stone = np.floor(place)
    seam = np.minimum(place - stone, stone + 1 - place)
    seeds = rng.spawn(1)[0].random(128, dtype=np.float32)
    grit = fractal_noise(size, rng, 0.05, gain=0.66)
    tone = 0.74 + 0.16 * seeds[stone.astype(np.int32) % 128] + 0.05 * grit
    return lit((0.98, 0.92, 0.82), tone * (0.72 + 0.28 * smoothstep(0, 0.05, seam)))


def _sun(size: Size, rng: np.random.Generator) -> Picture:
    """Light on the wall: full sun, the shadow of a roof, dapples of a tree, all with penumbra."""
    height, width = size
    x, y = coordinates(size)
    leaves = np.zeros((height // 2, width // 2), np.uint8)
    own = rng.spawn(1)[0]
    for _ in range(700):
        ax, ay, length, turn = own.random(4)
        centre = (0.8 * ax * ax + 0.1 * own.standard_normal(), 0.62 * ay * ay)
        spot(leaves, centre, (0.012 + 0.02 * length, 0.005 + 0.009 * length), 180 * turn, (1.0,))
    tree = blur(cv2.resize(leaves, (width, height)).astype(np.float32) / 255, 0.004)
    roof = smoothstep(-0.012, 0.012, x - 0.98 - 0.22 * y)
    return mix((1.0, 0.985, 0.95), (0.30, 0.33, 0.40), np.maximum(0.8 * tree, roof))


# Water


def lake_at_dusk(size: Size, rng: np.random.Generator) -> Picture:
    """Mountains and the afterglow over still water that mirrors them."""
    picture = _sky_above(size, dusk_sky, rng)
    ranges = (
        (0.545, 0.048, ((0.42, 0.36, 0.48), (0.60, 0.47, 0.53)), 0.35),
        (0.580, 0.036, ((0.22, 0.21, 0.31), (0.37, 0.32, 0.40)), 0.30),
        (HORIZON, 0.020, ((0.08, 0.09, 0.13), (0.20, 0.19, 0.21)), 0.0),
    )
    for base, rise, colours, mist in ranges:
        mountains(picture, rng, base, rise, colours, (mist, (0.80, 0.60, 0.55)))
    _mirror(picture, int(size[0] * HORIZON), rng)
    return picture


def _mirror(picture: Picture, shore: int, rng: np.random.Generator) -> None:
    """Fill all below row ``shore`` with water that reflects what stands above, in place."""
    height, width = picture.shape[0] - shore, picture.shape[1]
    x, y = coordinates((height, width))
    waves = fractal_noise((height, width), rng, 0.10, gain=0.55, stretch=5)
    waves = resample(waves, x * height, np.sqrt(1 / (0.03 + y)) * height / 3)
    tilt = waves * (0.012 + 0.05 * y) * height
    seen = np.clip(shore - 1 - 0.94 * y * height + tilt, 0, shore - 1)
    above = resample(picture[:shore], x * height + 0.2 * tilt, seen)
    mirrored = lit(above, 0.90 - 0.28 * y)
    glint = lit((1.0, 0.85, 0.8), 0.05 * np.clip(waves, -1, 2) * (0.25 + y))
    picture[shore:] = mirrored * np.array((0.97, 0.98, 1.02), np.float32) + glint


def cells(size: Size, rng: np.random.Generator, cell: float, stretch: float = 1.0) -> Field:
    """Distance to the border between irregular cells, in cells: 0 on the border (Worley noise)."""
    x, y = coordinates(size)
    u, v = x / (cell * stretch), y / cell
    column, row = np.floor(u), np.floor(v)
    seeds = rng.spawn(1)[0].random((int(v[-1, 0]) + 3, int(u[0, -1]) + 3, 2), dtype=np.float32)
    nearest = np.full(size, 9, np.float32)
    second = nearest
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            seed = seeds[row.astype(np.int32) + dy + 1, column.astype(np.int32) + dx + 1]
            distance = np.hypot(column + dx + seed[..., 0] - u, row + dy + seed[..., 1] - v)
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    return second - nearest


def caustics(size: Size, rng: np.random.Generator, cell: float, stretch: float) -> Field:
    """Net of light that waves throw on the ground, in [0, 1]."""
    small = (size[0] // 2, size[1] // 2)
    x, y = coordinates(small)
    bend = 0.35 * cell * small[0] * soft_noise(small, rng, 1.2 * cell, gain=0.35)
    net = resample(
        np.exp(-cells(small, rng, cell, stretch) / 0.13),
        x * small[0] + bend,
        y * small[0] + 0.6 * bend[::-1],
    )
    return cv2.resize(net, size[::-1], interpolation=cv2.INTER_CUBIC)


SEA = (
    (0.0, (0.74, 0.93, 0.93)),
    (0.12, (0.50, 0.83, 0.86)),
    (0.3, (0.23, 0.64, 0.75)),
    (0.55, (0.10, 0.43, 0.58)),
    (0.8, (0.05, 0.26, 0.40)),
    (1.0, (0.03, 0.18, 0.29)),
)
"""Colour of the water by depth below its surface."""


def reef(size: Size, rng: np.random.Generator) -> Picture:
    """Shallow sea: shafts of light from the surface, rocks, sand with a net of caustics."""
    y = coordinates(size)[1]
    water = gradient(SEA, y)
    picture: Picture = water + lit((0.10, 0.12, 0.11), _shafts(size, rng))
    surface = caustics(size, rng, 0.07, 3.5) * np.clip(1 - y / 0.2, 0, 1)
    picture = mix(picture, (0.95, 0.965, 0.93), 0.6 * surface)
    for base, rise, murk in ((0.72, 0.10, 0.62), (0.92, 0.12, 0.18)):
        rock, cover = _rocks(size, rng, base, rise)
        picture = mix(picture, mix(rock, water, np.full_like(cover, murk)), cover)
    picture = _corals(picture, rng)
    top = 0.91 + 0.02 * skyline(size, rng, 0.9, 0.35)
    ripples = fractal_noise(size, rng, 0.04, gain=0.6, stretch=5)
    sand = mix((0.30, 0.38, 0.34), (0.64, 0.66, 0.52), np.clip(0.45 + 0.16 * ripples, 0, 1))
    sand = lit(sand, 0.72 + 0.65 * caustics(size, rng, 0.045, 3.5))
    return mix(picture, sand, cover_of(y - top, size[0]))


def _shafts(size: Size, rng: np.random.Generator) -> Field:
    x, y = coordinates(size)
    fan = np.arctan2(x - 1.0, y + 0.55)
    beams = skyline((1024, 2048), rng, 0.18, 0.62)
    seen = resample(beams, (fan + 1.4) / 2.8 * 2047, np.zeros_like(fan))
    return np.clip(seen, 0, 1.6) * np.exp(-2.2 * y)


def _rocks(size: Size, rng: np.random.Generator, base: float, rise: float) -> tuple[Picture, Field]:
    line = 0.5 + skyline(size, rng, 0.5, 0.36)
    below = coordinates(size)[1] - base + rise * line + 0.004 * skyline(size, rng, 0.03, 0.6)
    heights = np.abs(fractal_noise(size, rng, 0.10, gain=0.6)) + 0.5 * soft_noise(size, rng, 0.2)
    light = 0.42 + 0.5 * relief(blur(heights, 0.001), (-0.3, -0.95), 0.006)
    light -= 0.8 * np.clip(below, 0, 0.4)
    stone = mix((0.04, 0.12, 0.15), (0.36, 0.48, 0.42), np.clip(light, 0, 1.2))
    weed = mix((0.12, 0.06, 0.10), (0.62, 0.36, 0.42), np.clip(light, 0, 1.2))
    overgrown = smoothstep(0.5, 1.1, soft_noise(size, rng, 0.15))
    return mix(stone, weed, overgrown), cover_of(below, size[0])


def _corals(picture: Picture, rng: np.random.Generator) -> Picture:
    """Branching corals along the foot of the rocks."""
    rows, columns = picture.shape[:2]
    drawn = np.zeros((rows, columns, 4), np.uint8)
    own = rng.spawn(1)[0]
    colours = ((0.85, 0.42, 0.38), (0.80, 0.62, 0.35), (0.62, 0.40, 0.62), (0.86, 0.55, 0.62))
    for number in range(12):
        place, size, light = own.random(3)
        root = (columns / rows * (number + place) / 12, 0.96)
        colour = np.array(colours[number % 4]) * (0.55 + 0.4 * light)
        _branch(drawn, root, -np.pi / 2, 0.04 + 0.05 * size, colour, own)
    # Polyps and grazing marks; and the deeper, the more light the water has taken.
    polyps = 1 + 0.14 * fractal_noise((rows, columns), rng, 0.012, gain=0.8)
    shade = polyps * (1.06 - 0.38 * coordinates((rows, columns))[1])
    coral = drawn.astype(np.float32) / 255
    return lit(picture, 1 - coral[..., 3]) + lit(coral[..., :3], shade)


def _branch(
    ground: npt.NDArray[np.uint8],
    root: tuple[float, float],
    heading: float,
    length: float,
    colour: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    tip = (root[0] + length * np.cos(heading), root[1] + length * np.sin(heading))
    width = 0.16 * length + 0.001
    stroke(ground, [root, tip], width, (*(0.6 * colour), 1))
    sunny_side = [(x - 0.2 * width, y) for x, y in (root, tip)]
    stroke(ground, sunny_side, 0.4 * width, (*colour, 1))
    if length < 0.012:
        spot(ground, tip, (0.0028, 0.0028), 0, (*np.minimum(1.15 * colour, 1), 1))
        return
    for turn in rng.uniform(-0.75, 0.75, 3):
        _branch(ground, tip, heading + turn, length * rng.uniform(0.62, 0.80), colour, rng)
