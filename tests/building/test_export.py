"""What travels with a data set tells its manifest, to people and to machines, and no secret."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from dmef_bench.building.build import build_dataset
from dmef_bench.building.card import blanks
from dmef_bench.building.derived import derived_names, write_derived
from dmef_bench.building.describing import describe_dataset
from dmef_bench.building.export import export_dataset
from dmef_bench.building.overview import write_overview
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.split import SplitRule
from dmef_bench.building.verify import verify_dataset
from dmef_bench.cli import main
from dmef_bench.datasets import load_scenes
from dmef_bench.errors import ManifestError, UnavailableError, UsageError
from dmef_bench.imagefile import read_image
from dmef_bench.manifest import CANONICAL, Manifest


def papers(root: Path) -> dict[str, bytes]:
    names = (*derived_names(Manifest.load(root)), "manifest-sha256.txt")
    return {name: (root / name).read_bytes() for name in names}


def test_writing_the_papers_again_gives_the_same_bytes(dataset) -> None:
    before = papers(dataset)
    write_derived(dataset)
    assert papers(dataset) == before


def test_the_checksums_are_those_of_sha256sum(built) -> None:
    tool = shutil.which("sha256sum")
    if tool is None:
        pytest.skip("sha256sum is not installed")
    command = [tool, "--check", "--strict", "--quiet", "manifest-sha256.txt"]
    assert subprocess.run(command, cwd=built, check=False).returncode == 0


def test_the_table_holds_every_line_of_the_manifest(built) -> None:
    from pyarrow import parquet

    rows = parquet.read_table(built / "manifest.parquet").to_pylist()
    lines = (built / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(row["record"]) for row in rows] == [json.loads(line) for line in lines]
    for row, scene in zip(rows, Manifest.load(built).scenes, strict=True):
        assert row["medium_curve_db"] == scene.audit["medium"]["curve_db"]
        assert row["seconds"] == [float(time) for time in scene.frame_times]
        for role in CANONICAL:
            data = (built / row[role]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == row[f"{role}_sha256"]


def test_croissant_is_valid_and_gives_the_pictures(built) -> None:
    croissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    described = croissant.Dataset(jsonld=str(built / "croissant.json"))
    assert not described.metadata.issues.errors
    scenes = {scene.scene: scene for scene in Manifest.load(built).scenes}
    rows = list(described.records("scenes"))
    assert {row["scenes/scene"].decode() for row in rows} == set(scenes)
    for row in described.records("gt"):
        scene = scenes[row["gt/scene"].decode()]
        truth = read_image(built / scene.canonical_file("gt").path)
        assert np.array_equal(np.asarray(row["gt/picture"]), truth)


def test_image_folder_readers_find_the_four_pictures_of_each_scene(built) -> None:
    manifest = Manifest.load(built)
    for split in ("train", "test"):
        lines = (built / split / "metadata.jsonl").read_text().splitlines()
        records = {record["scene"]: record for record in map(json.loads, lines)}
        assert set(records) == {scene.scene for scene in manifest.of_split(split)}
        for scene in manifest.of_split(split):
            for role in CANONICAL:
                named = built / split / records[scene.scene][f"{role}_file_name"]
                assert named == built / scene.canonical_file(role).path


def test_the_card_states_the_figures_of_the_manifest(built) -> None:
    card = (built / "README.md").read_text()
    stated = json.loads((built / "dataset.json").read_text())
    assert "2 training and 2 test scenes from 4 videos in 4 groups" in card
    assert "EV -1" in card
    assert "EV +1" in card
    assert "EV +3" in card
    assert f"{stated['audit']['median_curve_db']:.1f}" in card
    assert "never carries highlight detail" in card
    assert "| not recorded | not-recorded | 4 | 4 |" in card


def test_answers_are_kept_and_blanks_are_named(dataset) -> None:
    sheet = dataset / "DATASHEET.md"
    asked = blanks(sheet.read_text())
    assert "Who funded the creation of the dataset? TODO: grant, or none." in asked
    sheet.write_text(sheet.read_text().replace("TODO: grant, or none.", "Nobody.\n\nReally."))
    assert "dmef describe" in verify_dataset(dataset).problems[0]
    left = describe_dataset(dataset, {"licence": "CC-BY-4.0", "contact": "a@example.org"})
    assert "Nobody.\n\nReally.\n" in sheet.read_text()
    # The answer, licence and contact in the card, licence and contact in the datasheet.
    assert len(left) == len(asked) - 3
    assert verify_dataset(dataset).problems == ()
    assert "Licence of the data set: CC-BY-4.0." in (dataset / "README.md").read_text()


def test_a_later_build_keeps_what_people_said(dataset, clips, recipe) -> None:
    describe_dataset(dataset, {"contact": "a@example.org", "description": "Of windmills."})
    build_dataset(clips, dataset, recipe)
    stated = json.loads((dataset / "dataset.json").read_text())
    assert (stated["contact"], stated["description"]) == ("a@example.org", "Of windmills.")
    assert "Of windmills." in (dataset / "README.md").read_text()


def test_words_from_outside_stay_words(dataset, tmp_path) -> None:
    name = "<script>alert(1)</script> | a\nlicense: none"
    describe_dataset(dataset, {"name": name, "licence": name})
    card = (dataset / "README.md").read_text()
    assert "<script>" not in card.split("---")[2]
    assert "\nlicense: none" not in card
    page = write_overview(dataset, tmp_path / "look").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def tagged_clip(path: Path, source: Path) -> list[str]:
    """The frames of a clip in a file that says where, with what and by whom it was filmed."""
    secrets = {
        "location": "+48.1371+011.5754/",
        "com.apple.quicktime.make": "Hasselmann",
        "com.apple.quicktime.model": "Hasselmann X-11 Geheim",
        "artist": "Erika Mustermann",
    }
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(source)) as given, av.open(str(path), "w", options=options) as tagged:
        tagged.metadata.update(secrets)
        stream = tagged.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                tagged.mux(packet)
    with av.open(str(path)) as tagged:
        carried = set(tagged.metadata.values())
    assert set(secrets.values()) <= carried
    return list(secrets.values())


def test_place_maker_and_owner_of_a_recording_reach_no_file(clips, tmp_path) -> None:
    clip, root = tmp_path / "a.mp4", tmp_path / "dataset"
    secrets = tagged_clip(clip, clips[0])
    assert build_dataset([clip], root, Recipe(store="triple", pick="uniform")).scenes
    write_overview(root, tmp_path / "look")
    export_dataset(root, tmp_path / "tar", "webdataset")
    folders = (root, tmp_path / "look", tmp_path / "tar")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 15
    for path in files:
        written = path.read_bytes()
        assert not any(secret.encode() in written for secret in secrets), path


def test_an_image_folder_is_a_data_set_of_the_canonical_pictures(built, tmp_path) -> None:
    out = tmp_path / "hf"
    export_dataset(built, out, "hf")
    assert verify_dataset(out).problems == ()
    assert len(list(out.rglob("*.png"))) == 4 * len(CANONICAL)
    for ours, theirs in zip(load_scenes(built, "all"), load_scenes(out, "all"), strict=True):
        assert ours.digest == theirs.digest


def test_shards_hold_a_sample_a_scene_and_are_the_same_twice(built, tmp_path) -> None:
    largest = max(
        sum(scene.canonical_file(role).bytes for role in CANONICAL)
        for scene in Manifest.load(built).scenes
    )
    shards = export_dataset(built, tmp_path / "one", "webdataset", shard_bytes=largest * 3 // 2)
    again = export_dataset(built, tmp_path / "two", "webdataset", shard_bytes=largest * 3 // 2)
    assert [path.name for path in shards] == [
        "train-000000.tar", "train-000001.tar", "test-000000.tar", "test-000001.tar",
    ]  # fmt: skip
    assert [p.read_bytes() for p in shards] == [p.read_bytes() for p in again]
    scenes = {scene.scene: scene for scene in Manifest.load(built).scenes}
    for path in shards:
        with tarfile.open(path) as tar:
            members = {name: tar.extractfile(name).read() for name in tar.getnames()}
        (scene,) = {name.partition(".")[0] for name in members}
        assert set(members) == {f"{scene}.{role}.png" for role in CANONICAL} | {f"{scene}.json"}
        for role in CANONICAL:
            sha256 = scenes[scene].canonical_file(role).sha256
            assert hashlib.sha256(members[f"{scene}.{role}.png"]).hexdigest() == sha256


def test_a_changed_picture_is_not_exported(dataset, tmp_path) -> None:
    path = dataset / Manifest.load(dataset).scenes[0].canonical_file("gt").path
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UnavailableError, match="was changed after the build"):
        export_dataset(dataset, tmp_path / "out", "webdataset")


def test_nothing_is_exported_over_other_files(built, tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        export_dataset(built, tmp_path, "hf")


def test_the_overview_shows_every_scene_and_stays_out_of_the_data_set(built, tmp_path) -> None:
    page = write_overview(built, tmp_path / "look")
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "")
    for scene in Manifest.load(built).scenes:
        assert f'id="{scene.scene}"' in text
        assert f"{scene.audit['medium']['curve_db']:.1f}" in text
        assert (page.parent / "previews" / f"{scene.scene}.gif").stat().st_size
        sheet = read_image(page.parent / "sheets" / f"{scene.scene}.jpg")
        # Three moments down; three exposures and the truth across.
        assert sheet.shape[0] > 3 * 202
        assert sheet.shape[1] > 4 * 360
        # Burnt-out pixels of the brightest exposure are vermilion, but for JPEG's rounding.
        burnt = np.abs(sheet.astype(int) - (213, 94, 0)).max(axis=2) < 12
        assert burnt[:, 2 * 368 : 3 * 368].mean() > 0.2
        assert burnt[240:, 3 * 368 :].mean() < 0.01, "the truth is shown as it is"
    assert text.count("data:image/jpeg;base64,") == 16
    with pytest.raises(UsageError, match="inside the data set"):
        write_overview(built, built / "look")


def test_a_preview_moves_at_one_brightness_whatever_is_stored(clips, tmp_path) -> None:
    import imageio.v3 as iio

    root = tmp_path / "triple"
    build_dataset(clips[:1], root, Recipe(store="triple", split=SplitRule(1, 0)))
    write_overview(root, tmp_path / "look")
    (preview,) = (tmp_path / "look" / "previews").iterdir()
    frames = iio.imread(preview).astype(float)
    assert len(frames) == 4
    means = frames.mean(axis=(1, 2, 3))
    # Low and high stand four stops apart, 0.25 and 0.82 of full scale, before their curves.
    assert np.ptp(means) < 0.05 * 255
    assert np.abs(frames[0] - frames[1]).max() > 50


def test_a_scene_whose_name_is_a_path_writes_nothing_outside(dataset, tmp_path) -> None:
    path = dataset / "manifest.jsonl"
    name = Manifest.load(dataset).scenes[0].scene
    path.write_text(path.read_text().replace(f'"scene": "{name}"', '"scene": "../../out"'))
    with pytest.raises(ManifestError, match="leaves the dataset"):
        write_overview(dataset, tmp_path / "look")
    with pytest.raises(ManifestError, match="leaves the dataset"):
        export_dataset(dataset, tmp_path / "tar", "webdataset")
    assert not list(tmp_path.glob("out*"))


def test_the_command_line_describes_shows_and_exports(dataset, tmp_path) -> None:
    def call(*words: str) -> str:
        result = CliRunner().invoke(main, list(words))
        assert result.exit_code == 0, result.output
        return result.output

    root = str(dataset)
    assert "blanks left" in call("describe", root, "--licence", "CC0-1.0")
    assert "overview.html" in call("overview", root, "-o", str(tmp_path / "look"))
    assert "metadata.jsonl" in call("export", root, "-o", str(tmp_path / "hf"), "--to", "hf")
    assert "all as built" in call("verify", root)
