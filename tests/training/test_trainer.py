from __future__ import annotations

import csv
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from dmef_bench.checkpoint import read_state
from dmef_bench.cli import main
from dmef_bench.datasets import load_scenes
from dmef_bench.errors import CheckpointError, DmefError, UnavailableError, UsageError
from dmef_bench.imagefile import bytes_sha256
from dmef_bench.metrics import psnr
from dmef_bench.registry import load_method
from dmef_bench.training.course import Budget
from dmef_bench.training.recipe import Recipe
from dmef_bench.training.record import read_record
from dmef_bench.training.trainer import train

HERE = Path(__file__).parent
SMALL = f"{HERE / 'small_network.py'}:Small"


def weights(folder, name="last.safetensors"):
    return read_state(folder / name)


def assert_equal_states(one, two) -> None:
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_ten_steps_equal_five_and_five_more(run) -> None:
    straight = run("straight", steps=10)
    run("paused", steps=5)
    paused = run("paused", steps=10, resume=True)
    assert_equal_states(weights(straight), weights(paused))
    assert_equal_states(weights(straight, "best.safetensors"), weights(paused, "best.safetensors"))
    before = [row["loss"] for row in csv.DictReader((straight / "log.csv").open())]
    assert before == [row["loss"] for row in csv.DictReader((paused / "log.csv").open())]


def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(run) -> None:
    straight = run("straight", steps=10)
    asked = iter([False, False, True])  # between two checkpoints
    stopped = run("stopped", steps=10, stop=lambda: next(asked))
    record = read_record(stopped)
    assert (record["ended_by"], record["steps"]) == ("interrupt", 3)
    assert_equal_states(weights(straight), weights(run("stopped", steps=10, resume=True)))


def test_a_state_from_before_a_recipe_gained_a_field_goes_on(run) -> None:
    straight = run("straight", steps=10)
    state = torch.load(run("old", steps=5) / "state.pt", weights_only=True)
    del state["identity"]["recipe.perceptual"]
    torch.save(state, straight.with_name("old") / "state.pt")
    assert_equal_states(weights(straight), weights(run("old", steps=10, resume=True)))


def test_a_seed_decides_everything(run) -> None:
    one, two, three = run("one"), run("two"), run("three", seed=1)
    assert_equal_states(weights(one), weights(two))
    assert not torch.equal(weights(one)["mix.weight"], weights(three)["mix.weight"])


def test_the_network_learns_and_its_run_is_a_checkpoint(run, built) -> None:
    folder = run(steps=60, changed={"validate_every": 30})
    record = read_record(folder)
    scene = next(s for s in load_scenes(built, "train") if s.scene_id in record["data"]["held_out"])
    fused = load_method(SMALL, checkpoint=str(folder), device="cpu").fuse(scene.stack)
    copied = psnr(scene.stack.images[1], scene.ground_truth)
    # A linear mix undoes most of a stop on a clip never learnt from; measured 9 dB.
    assert psnr(fused, scene.ground_truth) > copied + 5


def test_the_record_tells_how_the_weights_came_about(run, built) -> None:
    folder = run(command=("dmef", "train"), budget=Budget(max_minutes=0.0005))
    record = read_record(folder)
    assert record["ended_by"] == "max-minutes"
    assert record["minutes"] >= 0.0005
    assert record["data"]["digest"] == load_scenes(built, "train").digest
    assert record["weights"]["best.safetensors"] == bytes_sha256(folder / "best.safetensors")
    assert record["parameters"] == 9 * 3 + 3
    assert record["environment"]["packages"]["torch"] == torch.__version__.partition("+")[0]
    # A record is published: it names no folder of the machine.
    assert str(built.parent) not in (folder / "train.json").read_text()
    assert str(HERE) not in (folder / "train.json").read_text()


def test_the_curve_is_a_picture(run) -> None:
    assert cv2.imread(str(run(steps=2) / "curve.png")).std() > 5


def test_weights_say_what_network_they_belong_to(run) -> None:
    from safetensors import safe_open

    with safe_open(run(steps=1) / "best.safetensors", "pt") as opened:
        assert opened.metadata() == {"width": "9"}


def test_no_test_scene_is_opened(run, built, tmp_path) -> None:
    import shutil

    without = Path(shutil.copytree(built, tmp_path / "without-test"))
    shutil.rmtree(without / "test")
    assert_equal_states(weights(run("with")), weights(run("without", root=without)))


def test_a_loss_that_is_no_number_names_the_crops_and_keeps_the_weights(run) -> None:
    folder = run("good", steps=5)
    kept = weights(folder)
    wild = {"learning_rate": 1e30, "validate_every": 1000, "schedule": "steps", "decay_every": 1.0}
    with pytest.raises(DmefError, match=r"Step \d+: the loss is .*row \d+, column \d+.*are kept"):
        run("wild", steps=50, changed=wild)
    with pytest.raises(DmefError, match="weights are infinite"):
        run("wilder", steps=50, changed={**wild, "validate_every": 1})
    assert_equal_states(kept, weights(folder))
    assert not (folder.parent / "wild" / "last.safetensors").exists()


def test_a_full_disk_keeps_the_checkpoint_before(run) -> None:
    folder = run(steps=5)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    most, ceiling = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system refuses larger files, as it would on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, ceiling))
    try:
        with pytest.raises(UnavailableError, match=r"could not be written.*kept.*--resume"):
            run(steps=10, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, ceiling))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert read_record(run(steps=10, resume=True))["steps"] == 10


def test_a_run_is_not_continued_as_another_one(run) -> None:
    run(steps=1)
    with pytest.raises(UsageError, match="--resume"):
        run(steps=2)
    with pytest.raises(CheckpointError, match=r"recipe.batch: '2' before, '4' now"):
        run(steps=2, resume=True, changed={"batch": 4})
    with pytest.raises(CheckpointError, match=r"seed: 0 before, 3 now"):
        run(steps=2, resume=True, seed=3)
    with pytest.raises(CheckpointError, match=r"method: .*Small.*Other"):
        run(steps=2, resume=True, method=SMALL.replace("Small", "Other"))


def test_a_network_that_changed_under_its_name_is_noticed(run, tmp_path) -> None:
    source = (HERE / "small_network.py").read_text()
    file = tmp_path / "changing.py"
    file.write_text(source)
    run(steps=1, method=f"{file}:Small")
    file.write_text(source.replace("return Affine()", "return nn.Sequential(Affine())"))
    with pytest.raises(CheckpointError, match=r"state.pt does not fit.*0\.mix\.weight"):
        run(steps=2, resume=True, method=f"{file}:Small")


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_nothing_in_a_state_is_run(run, monkeypatch, tmp_path) -> None:
    folder = run(steps=1)
    monkeypatch.chdir(tmp_path)
    (folder / "state.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="damaged"):
        run(steps=2, resume=True)
    assert not (tmp_path / "exploded").exists()


def test_there_must_be_something_to_resume(run) -> None:
    with pytest.raises(UsageError, match=r"holds no state.pt"):
        run(resume=True)


def test_a_data_set_without_training_scenes_is_refused(run, dataset) -> None:
    manifest = dataset / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"split": "train"', '"split": "test"'))
    with pytest.raises(UsageError, match="no training scenes"):
        run(root=dataset)


def test_crops_must_fit_the_scenes_and_the_network(run, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"smallest is .*480x270. Take --crop 256 or less"):
        run("never", changed={"crop": 512})
    with pytest.raises(UsageError, match=r"no multiple of 16.*take --crop 80"):
        run("never", changed={"crop": 70})
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("method", "options", "told"),
    [
        ("reference", {}, "no network"),
        ("response-fill", {}, "no network"),
        (SMALL, {"checkpoint": "x"}, "makes them afresh"),
    ],
)
def test_what_cannot_be_trained_is_refused(built, tmp_path, method, options, told) -> None:
    from dmef_bench.training.trainer import train

    with pytest.raises(UsageError, match=told):
        train(method, options, built, tmp_path / "run", device="cpu")


def test_the_command_trains_and_says_so(built, decoded, tmp_path) -> None:
    out = tmp_path / "run"
    words = ["train", "--method", SMALL, "--data", built, "-o", out, "--cache", decoded]
    words += ["--crop", 64, "--batch", 2, "--max-steps", 2, "--device", "cpu"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert "2 steps" in done.output
    again = CliRunner().invoke(main, [str(word) for word in words])
    assert again.exit_code == 2
    assert "--resume" in again.output


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(run, built, decoded, tmp_path) -> None:
    # Without dropout, whose generators differ between processes.
    method = tmp_path / "plain.py"
    method.write_text(
        (HERE / "small_network.py").read_text().replace("Dropout(0.05)", "Identity()")
    )
    recipe = tmp_path / "quick.toml"
    recipe.write_text("learning_rate = 0.02\ncrop = 64\nbatch = 2\nvalidate_every = 5\n")
    words = ["-m", "dmef_bench.cli", "train", "--method", f"{method}:Small", "--data", built]
    words += ["--cache", decoded, "--recipe", recipe, "--max-steps", 10, "--device", "cpu", "-o"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, start in (("one", []), ("two", launch)):
        command = [sys.executable, *start, *map(str, words), str(tmp_path / name)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    one, two = (weights(tmp_path / name) for name in ("one", "two"))
    assert read_record(tmp_path / "two")["processes"] == 2
    for key in one:
        # Two means of one crop, averaged, against one mean of two: rounding, after ten steps.
        np.testing.assert_allclose(one[key], two[key], atol=1e-5)


def test_a_network_behind_another_method_learns_from_its_pictures(built, decoded, tmp_path) -> None:
    options = {"first": "reference", "blocks": 1, "drtm": False}
    recipe = Recipe(name="still", learning_rate=1e-12, crop=64, batch=2, validate_every=1)
    how = {"device": "cpu", "cache": decoded, "budget": Budget(max_steps=1)}
    plain = {**options, "first": ""}
    behind = train("ipl-tiny", options, built, tmp_path / "behind", recipe, **how)
    before = train("ipl-tiny", plain, built, tmp_path / "plain", recipe, **how)
    # The reference is the medium exposure: the untrained network starts at the same score.
    assert read_record(behind)["validation"] == read_record(before)["validation"]
    assert read_record(behind)["identity"]["options"]["first"] == "reference"
    again = load_method("ipl-tiny", checkpoint=behind, device="cpu")
    assert again.config.first == "reference"
    files = {path.name.split(".")[1] for path in decoded.iterdir()}
    assert any(part.startswith("exposures-") for part in files)
