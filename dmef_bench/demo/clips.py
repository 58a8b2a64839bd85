"""Short clips of our own making, filmed by hand: a data set anybody can build within minutes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from dmef_bench.demo import scenery
from dmef_bench.demo.scenery import Colour, Picture, Size
from dmef_bench.demo.subjects import (
    Coat,
    Course,
    Frame,
    Matrix,
    Mirrored,
    Rippling,
    Subject,
    affine,
    balloon,
    butterfly,
    fish,
    lantern,
    maple_leaf,
    reeds,
    rotation,
    sails,
    swallow,
    wheat,
)
from dmef_bench.errors import UsageError, VideoError
from dmef_bench.scene import size_text

MARGIN = 0.03
"""How far the painted ground reaches beyond the frame on each side, in frame heights."""
GRAIN = 1.3
"""Standard deviation of the sensor's grain, in codes."""
GRAIN_SHIFT = 64
"""How many pixels, down and across, the sheet of grain is larger than the frame."""

Place = tuple[Picture, list[Subject]]
"""A painted ground, and what moves before it, far to near."""


# Four places


def palette(codes: str) -> tuple[Colour, ...]:
    """Colours from hexadecimal codes.

    Examples
    --------
    >>> palette("000000 ff0033")
    ((0.0, 0.0, 0.0), (1.0, 0.0, 0.2))
    """
    return tuple(tuple(byte / 255 for byte in bytes.fromhex(code)) for code in codes.split())  # type: ignore[misc]


def windmill(ground: Size, rng: np.random.Generator) -> Place:
    """Balloons cross behind a turning mill; swallows over wheat in the wind."""
    unit = ground[0]
    calm, gay = palette("337373 e6d6b3 d97333 592947"), palette("c72921 f2c74d ede6d6 26478c")
    subjects: list[Subject] = [
        balloon(0.30, Course((0.44, 0.29), (0.13, -0.02)), 0.05, calm, unit),
        balloon(0.52, Course((0.82, 0.34), (-0.14, 0.01)), 0.07, gay, unit),
        sails(0.33, Course(scenery.MILL), 0.75, unit),
    ]
    for x, y, span in (
        (0.15, 0.62, 0.10),
        (0.45, 0.70, 0.14),
        (0.80, 0.60, 0.08),
        (1.1, 0.72, 0.12),
    ):
        subjects.append(swallow(span, Course((x, y), (0.30, -0.06), 0.02, 1.3), 1.3, unit))
    return scenery.wheat_field(ground, rng), [*subjects, wheat(ground, rng)]


def courtyard(ground: Size, rng: np.random.Generator) -> Place:
    """Maple leaves fall and butterflies pass, from a sunlit wall into the shade of a door."""
    unit = ground[0]
    autumn = [palette(codes) for codes in ("edb333 bf2e14", "f2d959 e0801f", "ccb840 737a1f")]
    subjects: list[Subject] = []
    for number, (x, y, size) in enumerate(FALLS):
        course = Course((x, y), (0.05 * rng.standard_normal(), 1.2 * size), 0.03, 0.8)
        motion = (1.4 * rng.standard_normal(), 2.5 + 2 * rng.random())
        subjects.append(maple_leaf(size, course, motion, autumn[number % 3], unit))
    monarch, morpho = (
        Course((0.55, 0.72), (0.28, -0.12), 0.03, 1.6),
        Course((1.2, 0.62), (-0.22, -0.1)),
    )
    subjects += [
        butterfly(0.28, monarch, 1.1, palette("d94d0d f29e26"), unit),
        butterfly(0.20, morpho, -0.8, palette("1f4d9e 73b3e6"), unit),
    ]
    return scenery.courtyard(ground, rng), subjects


def lake(ground: Size, rng: np.random.Generator) -> Place:
    """Paper lanterns rise over a lake at dusk that mirrors them; swallows, and reeds in front."""
    unit, shore = ground[0], int(scenery.HORIZON * ground[0])
    lanterns: list[Subject] = []
    for x, y, size in LANTERNS:
        drift = (0.25 * size + 0.03 * rng.standard_normal(), -0.75 * size)
        lanterns.append(lantern(size, Course((x, y), drift, 0.01), 0.1, unit))
    flock = ((0.30, 0.20, 0.09), (0.39, 0.14, 0.08), (0.47, 0.21, 0.07), (0.55, 0.12, 0.06))
    birds = [swallow(span, Course((x, y), (0.22, -0.04), 0.008), 1.3, unit) for x, y, span in flock]
    water: list[Subject] = [Mirrored(lanterns, shore), Rippling(shore, ground)]
    front = reeds(ground, rng, (0.10, 0.11, 0.09))
    return scenery.lake_at_dusk(ground, rng), [*water, *birds, *lanterns, front]


def reef(ground: Size, rng: np.random.Generator) -> Place:
    """Fish of four kinds pass each other over corals; weed sways in the swell."""
    coats = (
        Coat(palette("1a2666 f2bf33 f5edcc 1f1f40 f2b326"), bars=3, depth=0.22),
        Coat(palette("99380d ed731a f5b866 f2ebe0 e66614"), bars=3, depth=0.22),
        Coat(palette("0d1f59 1f59cc 73a6eb 0a0d1f ebcc33"), bars=1, depth=0.20),
        Coat(palette("4d575c b8c2c2 edf0eb 9e8040 b3b899"), bars=6, depth=0.15),
    )
    subjects: list[Subject] = []
    for number, (x, y, length) in enumerate(SHOAL):
        speed = (0.10 + 0.45 * length) * rng.uniform(0.8, 1.2)
        velocity = (speed if number % 3 else -speed, 0.03 * rng.standard_normal())
        subjects.append(fish(length, Course((x, y), velocity, 0.008), coats[number % 4], ground[0]))
    return scenery.reef(ground, rng), [*subjects, reeds(ground, rng, (0.12, 0.20, 0.13))]


FALLS = (
    (0.20, 0.15, 0.14), (0.62, 0.05, 0.20), (0.86, 0.42, 0.26), (1.12, 0.10, 0.16),
    (1.36, 0.36, 0.22), (1.58, 0.02, 0.15), (0.38, 0.55, 0.17), (0.98, 0.30, 0.13),
)  # fmt: skip
LANTERNS = (
    (0.25, 0.42, 0.09), (0.62, 0.30, 0.11), (1.02, 0.46, 0.10), (1.50, 0.33, 0.13),
    (0.42, 0.50, 0.20), (1.22, 0.40, 0.24), (0.93, 0.56, 0.34),
)  # fmt: skip
SHOAL = (
    (0.30, 0.30, 0.13), (0.48, 0.36, 0.12), (1.30, 0.25, 0.15), (1.10, 0.40, 0.14),
    (1.45, 0.62, 0.22), (0.30, 0.62, 0.26), (0.95, 0.68, 0.24), (1.25, 0.48, 0.42),
    (0.62, 0.46, 0.50),
)  # fmt: skip
"""Leaves, lanterns and fish, far to near: x, y at the start, and size."""

PLACES: dict[str, Callable[[Size, np.random.Generator], Place]] = {
    "windmill": windmill,
    "courtyard": courtyard,
    "lake": lake,
    "reef": reef,
}


# The camera


@dataclass(frozen=True, eq=False)
class Tremor:
    """Hand shake: a few sines of random phase for each of x, y and angle.

    Parameters
    ----------
    hertz, phase, reach : ndarray, shape (3, N)
        Of shifts in frame heights, then of the angle in radians.
    """

    hertz: npt.NDArray[np.float64]
    phase: npt.NDArray[np.float64]
    reach: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rng: np.random.Generator) -> Tremor:
        """Draw a hand: slow sway reaches far, quick tremble little, as with real hands."""
        hertz = np.array([0.35, 0.9, 2.1, 4.3]) * rng.uniform(0.85, 1.15, (3, 4))
        reach = np.array([[0.010], [0.010], [0.0024]]) * np.array([1.0, 0.45, 0.13, 0.04])
        return cls(hertz, rng.uniform(0, 2 * np.pi, (3, 4)), reach)

    def view(self, time: float, frame: Size, ground: Size) -> Matrix:
        """Map pixels of the painted ground to pixels of the frame, as the hand holds it now."""
        swing = self.reach * np.sin(2 * np.pi * self.hertz * time + self.phase)
        x, y, angle = swing.sum(axis=1)
        centre = (ground[1] / 2, ground[0] / 2)
        to = (frame[1] / 2 + x * frame[0], frame[0] / 2 + y * frame[0])
        return affine(rotation(float(angle)), centre, to)


@dataclass(frozen=True, eq=False)
class Shot:
    """One place before one hand-held camera."""

    size: Size
    ground: Frame
    subjects: Sequence[Subject]
    tremor: Tremor
    vignette: Frame
    grain: npt.NDArray[np.int8]

    def frame(self, index: int, time: float) -> Frame:
        """Record frame ``index`` at ``time`` seconds: uint8, (H, W, 3), RGB."""
        height, width = self.size
        view = self.tremor.view(time, self.size, (self.ground.shape[0], self.ground.shape[1]))
        frame = cv2.warpAffine(self.ground, view, (width, height), borderMode=cv2.BORDER_REFLECT)
        for subject in self.subjects:
            subject.paint(frame, time, view)
        frame = cv2.multiply(frame, self.vignette, scale=1 / 255)
        # One sheet of grain, shifted, does for every frame: nobody sees it come back.
        top, left = 37 * index % GRAIN_SHIFT, 23 * index % GRAIN_SHIFT
        return cv2.add(frame, self.grain[top : top + height, left : left + width], dtype=cv2.CV_8U)


def shoot(name: str, size: Size, seed: int) -> Shot:
    """Build one of `PLACES` and take the camera in hand.

    Parameters
    ----------
    name : str
        A key of `PLACES`.
    size : (height, width)
        Of the frames. A smaller size shows the same scene.
    seed : int
        Decides clouds, stones, courses and hands.
    """
    rng = np.random.default_rng([seed, list(PLACES).index(name)])
    scene_rng, hand_rng, grain_rng = rng.spawn(3)
    border = 2 * round(MARGIN * size[0])
    painted, subjects = PLACES[name]((size[0] + border, size[1] + border), scene_rng)
    ground = np.round(255 * np.clip(painted, 0, 1)).astype(np.uint8)
    return Shot(
        size, ground, subjects, Tremor.of(hand_rng), _vignette(size), _grain(size, grain_rng)
    )


def _vignette(size: Size) -> Frame:
    x, y = scenery.coordinates(size)
    corner = np.hypot(x - x.mean(), y - 0.5) / np.hypot(x.max() / 2, 0.5)
    share = np.round(255 * (1 - 0.13 * corner**3)).astype(np.uint8)
    return np.repeat(share[..., None], 3, axis=2)


def _grain(size: Size, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    more = GRAIN_SHIFT + 32
    sheet = rng.standard_normal((size[0] + more, size[1] + more), dtype=np.float32)
    codes = np.round(np.clip(GRAIN * sheet, -6, 6)).astype(np.int8)
    # Three cuttings of one sheet: drawing three sheets would take three times as long.
    return cv2.merge([codes[cut : cut - 32, cut : cut - 32] for cut in (0, 15, 31)])


# The film

BT709 = 1
"""What H.264 calls these primaries, this transfer and this matrix alike."""
MARK = "dmef demo clip"
EDITION = 1
"""Rises when the same seed gives other frames, so that old clips are made anew."""


def write_clips(
    folder: Path,
    *,
    size: Size = (2160, 3840),
    seconds: float = 1.0,
    fps: int = 30,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, ...]:
    """Write one H.264 clip for each of `PLACES`; leave those alone that are already there.

    Parameters
    ----------
    folder : Path
        Made if missing.
    size : (height, width)
        Even numbers, at least 128.
    seconds : float
        Length of each clip.
    fps : int
        Frames a second.
    seed : int
        The same seed gives the same frames; the encoder's bytes may differ between its versions.
    progress : callable, optional
        Called as ``progress(frames_done, frames_in_all)`` after each frame.

    Returns
    -------
    tuple of Path
        One file a place, in the order of `PLACES`.

    Raises
    ------
    UsageError
        A size, length or rate no clip can have.
    VideoError
        A file of the same name that is none of these clips: it is not overwritten.

    Notes
    -----
    H.264 High, yuv420p, BT.709, limited range, CRF 18. A clip appears under its name only when it
    is whole; an interrupted run leaves no part of one behind.
    """
    frames = _check_request(size, seconds, fps)
    folder.mkdir(parents=True, exist_ok=True)
    films = [Film(name, size, frames, fps, seed) for name in PLACES]
    total = frames * len(films)
    for number, film in enumerate(films):

        def tell(done: int, before: int = number * frames) -> None:
            if progress is not None:
                progress(before + done, total)

        if film.lies_in(folder):
            tell(frames)
        else:
            film.record(folder, tell)
    return tuple(film.path_in(folder) for film in films)


def _check_request(size: Size, seconds: float, fps: int) -> int:
    """How many frames a clip has, if it can be made."""
    if min(size) < 128 or size[0] % 2 or size[1] % 2:
        raise UsageError(f"Clips of {size_text(size)} cannot be made: even sizes from 128 on can.")
    frames = round(seconds * fps) if fps > 0 else 0
    if frames < 1:
        raise UsageError(f"{seconds} s at {fps} frames a second hold no frame; ask for more.")
    return frames


@dataclass(frozen=True)
class Film:
    """What one clip file holds."""

    name: str
    size: Size
    frames: int
    fps: int
    seed: int

    @property
    def label(self) -> str:
        """What the file says about itself, so that a finished clip is known again."""
        return (
            f"{MARK} {EDITION}: {self.name}, {size_text(self.size)}, "
            f"{self.frames} frames at {self.fps} a second, seed {self.seed}"
        )

    def path_in(self, folder: Path) -> Path:
        """Where the clip lies in a folder."""
        return folder / f"{self.name}.mp4"

    def lies_in(self, folder: Path) -> bool:
        """Whether this very clip is there; False for none, or for one of other size or seed."""
        path = self.path_in(folder)
        if not path.exists():
            return False
        try:
            with av.open(path) as container:
                label = container.metadata.get("comment", "")
        except av.FFmpegError:
            label = ""
        if not label.startswith(MARK):
            raise VideoError(
                f"{path} is in the way: it is no clip of the demo. "
                "Move it, or let the demo write to another folder."
            )
        return label == self.label

    def record(self, folder: Path, tell: Callable[[int], None]) -> None:
        """Shoot, encode, put the clip in place; ``tell`` how many frames are done after each."""
        path = self.path_in(folder)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with av.open(partial, "w", format="mp4") as container:
                container.metadata["comment"] = self.label
                stream = self._stream(container)
                shot = shoot(self.name, self.size, self.seed)
                for index in range(self.frames):
                    picture = shot.frame(index, index / self.fps)
                    container.mux(stream.encode(self._encodable(picture, index)))
                    tell(index + 1)
                container.mux(stream.encode())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _stream(self, container: OutputContainer) -> VideoStream:
        # superfast takes three quarters of veryfast's time and, at about 70 Mb/s, a phone's room.
        # The bytes depend on the number of threads, and the scenes' names on the bytes: so four.
        options = {"preset": "superfast", "crf": "18", "profile": "high", "g": str(self.fps)}
        stream = container.add_stream("libx264", rate=self.fps, options=options)
        stream.height, stream.width = self.size
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.thread_count = 4
        codec.color_primaries = codec.color_trc = codec.colorspace = BT709
        return stream

    def _encodable(self, picture: Frame, index: int) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p",
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = index, Fraction(1, self.fps)
        return frame
