"""A data set on one page, scene by scene, for a person to look through."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dmef_bench.building.card import decibel, percent
from dmef_bench.building.facts import Facts
from dmef_bench.building.inventory import file_stem
from dmef_bench.building.sheet import MOTION, Picture, contact_sheet
from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.exposure.audit import best_tone_curve
from dmef_bench.exposure.marks import mark_clipped, mark_motion
from dmef_bench.exposure.synthesis import apply_curve
from dmef_bench.imagefile import read_image, write_animation, write_atomic
from dmef_bench.manifest import Manifest, SceneEntry
from dmef_bench.metrics.motion_mask import moving_mask
from dmef_bench.scene import ExposureStack, size_text, to_uint8
from dmef_bench.strict_json import number

Progress = Callable[[int, int], None]

PAGE = "overview.html"
PREVIEWS, SHEETS = "previews", "sheets"
_WIDTH = 360
_QUALITY = 80
_SECONDS = 0.4
_TEMPLATES = Path(__file__).with_name("templates")


def write_overview(
    root: Path | str, out: Path | str, *, jobs: int = 1, progress: Progress | None = None
) -> Path:
    """Write a page of all scenes, and of each a moving preview and a contact sheet.

    Parameters
    ----------
    root : Path or str
        Of the data set.
    out : Path or str
        Folder for ``overview.html``, ``previews/SCENE.gif`` and ``sheets/SCENE.jpg``; not inside
        ``root``, whose videos may show people who agreed to one thing and not to the other.
    jobs : int
        Threads.
    progress : callable, optional
        Called with (scenes done, scenes in all).

    Returns
    -------
    Path
        The page. It needs no network and no script.

    Raises
    ------
    UsageError
        ``out`` lies inside the data set.
    ManifestError, ImageFileError
        The data set is damaged.
    """
    root, out = Path(root), Path(out)
    if out.resolve().is_relative_to(root.resolve()):
        raise UsageError(
            f"{out} lies inside the data set, which holds only what its manifest names. "
            "Give a folder outside of it."
        )
    manifest = Manifest.load(root)
    facts = Facts.of(manifest)
    for folder in (PREVIEWS, SHEETS):
        (out / folder).mkdir(parents=True, exist_ok=True)
    scenes = []
    with ThreadPoolExecutor(jobs) as pool:
        shown = pool.map(lambda scene: _show(manifest, scene, out), manifest.scenes)
        for scene in shown:
            scenes.append(scene)
            if progress:
                progress(len(scenes), len(manifest.scenes))
    page = out / PAGE
    write_atomic(page, _render(facts, scenes).encode())
    return page


def _render(facts: Facts, scenes: list[dict[str, Any]]) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"decibel": decibel, "percent": percent}
    style = (_TEMPLATES / "overview.css").read_text(encoding="utf-8")
    # The page's own policy lets in this style and these pictures, and nothing else.
    known = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = environment.get_template("overview.html")
    return template.render(
        facts=facts, scenes=scenes, style=Markup(style), style_hash=f"sha256-{known}"
    )


def _show(manifest: Manifest, scene: SceneEntry, out: Path) -> dict[str, Any]:
    """What the page says of a scene; preview and contact sheet are written on the way."""
    small, marked = _pictures(manifest, scene)
    preview = f"{PREVIEWS}/{file_stem(scene)}.gif"
    sheet = f"{SHEETS}/{file_stem(scene)}.jpg"
    write_atomic(out / sheet, _jpeg(contact_sheet(scene, marked)))
    one, two, three = _moments(scene, small)
    write_animation(out / preview, [one, two, three, two], seconds=_SECONDS)
    medium = scene.audit["medium"]
    return {
        "id": scene.scene,
        "split": scene.split,
        "group": scene.group,
        "source": str(scene.source.get("name")),
        "size": size_text((scene.height, scene.width)),
        "flags": ", ".join(scene.audit["flags"]),
        "moving": _each(scene.selection.get("visible"), percent),
        "curve": decibel(number(medium["curve_db"])),
        "clip": percent(number(medium["clip"])),
        "preview": preview,
        "sheet": sheet,
        "pictures": [
            _thumbnail(small[scene.canonical[name]], caption) for name, caption in _captions(scene)
        ],
        "figures": _figures(scene),
    }


def _pictures(
    manifest: Manifest, scene: SceneEntry
) -> tuple[dict[str, Picture], dict[str, Picture]]:
    """Every picture small, by its role; and again, what is clipped and what moves marked."""
    small, marked = {}, {}
    for entry in scene.files:
        picture = read_image(manifest.file(entry))
        small[entry.role] = _small(to_uint8(picture))
        # Marked before it is shrunk: a few burnt-out pixels are not lost among others.
        marked[entry.role] = _small(mark_clipped(picture))
    marked[scene.canonical["gt"]] = small[scene.canonical["gt"]]
    low, medium, high = (small[scene.canonical[name]] for name in ("low", "medium", "high"))
    with suppress(ImageContractError):  # too small for optical flow
        moving = moving_mask(ExposureStack((low, medium, high), scene.evs))
        marked[MOTION] = mark_motion(medium, moving)
    return small, marked


def _captions(scene: SceneEntry) -> Iterable[tuple[str, str]]:
    times = [f"{float(time):.3f} s" for time in scene.frame_times]
    for name, ev, time in zip(("low", "medium", "high"), scene.evs, times, strict=True):
        yield name, f"{name}, EV {ev:+.3g}, {time}"
    yield "gt", f"truth, {times[1]}"


def _moments(scene: SceneEntry, small: dict[str, Picture]) -> list[Picture]:
    """The three samples equally bright: at one exposure, or each through a tone curve."""
    roles = [f"sample{sample}_medium" for sample in (1, 2, 3)]
    if all(role in small for role in roles):
        return [small[role] for role in roles]
    truth = small[scene.canonical["gt"]]
    one, three = (small[scene.canonical[name]] for name in ("low", "high"))
    return [
        apply_curve(one, best_tone_curve(one, truth)),
        truth,
        apply_curve(three, best_tone_curve(three, truth)),
    ]


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _thumbnail(picture: Picture, caption: str) -> dict[str, Any]:
    address = f"data:image/jpeg;base64,{base64.b64encode(_jpeg(picture)).decode()}"
    height, width = picture.shape[:2]
    return {"address": address, "caption": caption, "width": width, "height": height}


def _jpeg(picture: Picture) -> bytes:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def _figures(scene: SceneEntry) -> list[tuple[str, str]]:
    """Motion and audit in words; what was not measured is left out."""
    measured, medium = scene.selection, scene.audit["medium"]
    ways: dict[str, tuple[Any, Callable[[float], str]]] = {
        "moves visibly, of pixels": (measured.get("visible"), percent),
        "moves at all, of pixels": (measured.get("moving12"), percent),
        "camera moves, px at 4K": (measured.get("global_px_4k"), _short),
        "fastest 5 % move, px at 4K": (measured.get("residual_p95_px_4k"), _short),
        "frames apart, ms": (measured.get("gap_ms"), _short),
        "sharpness, of the clip's best": (measured.get("sharpness"), _short),
        "brightness drifts": (measured.get("drift"), percent),
        "medium as it is, dB": ([medium["copy_db"]], decibel),
        "medium by best tone curve, dB": ([medium["curve_db"]], decibel),
        "clips (low, medium, high)": ([scene.audit[x]["clip"] for x in _LEVELS], percent),
        "black (low, medium, high)": ([scene.audit[x]["black"] for x in _LEVELS], percent),
    }
    figures = [(name, _each(values, way)) for name, (values, way) in ways.items() if values]
    return [("picked", str(measured.get("pick", ""))), *figures]


_LEVELS = ("low", "medium", "high")


def _short(value: float) -> str:
    return f"{value:.3g}"


def _each(values: Any, way: Callable[[float], str]) -> str:
    """Several figures; nothing where they were not measured."""
    return ", ".join(way(number(value)) for value in values) if values else ""
