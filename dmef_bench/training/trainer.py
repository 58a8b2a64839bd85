"""The training loop: one network, one process or many, from scenes to weights with a record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from dmef_bench.checkpoint import fill_network
from dmef_bench.datasets import load_scenes
from dmef_bench.errors import DmefError, UsageError
from dmef_bench.harness.environment import describe_environment
from dmef_bench.method import traits
from dmef_bench.training.checkpoints import STATE, check_same_run, load_state
from dmef_bench.training.course import Budget, Course, End
from dmef_bench.training.criterion import Criterion, load_criterion
from dmef_bench.training.launch import launch, make_optimizer
from dmef_bench.training.lessons import Lessons, prepare_lessons
from dmef_bench.training.patches import Batch
from dmef_bench.training.recipe import Recipe, choose_recipe
from dmef_bench.training.record import LogRow, read_log
from dmef_bench.training.run_folder import save_run
from dmef_bench.training.trainee import Trainee, load_trainee
from dmef_bench.training.validation import Validation, validate

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what the last ones said)."""


class Answer(NamedTuple):
    """What a step gave, still on the device: reading it would make the device wait."""

    step: int
    batch: Batch
    loss: Tensor
    norm: Tensor


def train(
    method_name: str,
    options: Mapping[str, Any],
    root: Path | str,
    out: Path | str,
    recipe: str | Recipe = "paper",
    *,
    changed: Mapping[str, Any] | None = None,
    dataset: str | None = None,
    budget: Budget | None = None,
    device: str | None = None,
    dtype: str = "float32",
    seed: int = 0,
    resume: bool = False,
    cache: Path | None = None,
    command: Sequence[str] = (),
    decoding: Progress | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Path:
    """Train a method's network on the training scenes of a data set.

    Under ``torchrun`` its processes train together, each on its share of every batch; nothing else
    changes.

    Parameters
    ----------
    method_name : str
        As for `dmef_bench.registry.load_method`.
    options : mapping
        For its constructor.
    root : Path or str
        Folder of the data set; its test scenes are never opened.
    out : Path or str
        The run's folder (see `dmef_bench.training.run_folder.save_run`).
    recipe : str or Recipe
        ``"paper"``, a preset of the method, a TOML file (`choose_recipe`), or the recipe itself.
    changed : mapping, optional
        Fields of the recipe to be set otherwise.
    dataset : str, optional
        Layout of the data set; recognised where left out.
    budget : Budget, optional
        When to end early.
    device : str, optional
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``; a GPU where there is one.
    dtype : {"float32", "bf16-mixed"}
        Of activations; weights stay float32.
    seed : int
        Of weights, crops and their order.
    resume : bool
        Go on where the run in ``out`` ended.
    cache : Path, optional
        Where decoded scenes lie, for many runs; ``out/cache`` where left out.
    command : sequence of str
        For the record.
    decoding, progress : callable, optional
        Told about every scene decoded, and about every step.
    stop : callable, optional
        Asked after every step; True ends the run as if it had been the last.

    Returns
    -------
    Path
        The run's folder, a checkpoint to whoever loads the method.

    Raises
    ------
    UsageError
        Nothing to train, no training scenes, crops larger than scenes, or a run already there.
    CheckpointError
        What is to be resumed is damaged, or belongs to another run.
    UnavailableError
        No room on the disk, no such device, or no weights for the recipe's perceptual loss.
    DmefError
        A loss that is no number; the message names the crops.
    """
    out = Path(out)
    _check_place(out, resume)
    fabric = launch(device, dtype)
    scenes = load_scenes(root, "train", dataset)
    trainee = load_trainee(
        method_name, options, device=str(fabric.device), seed=seed, truth_is_linear=scenes.linear
    )
    recipe = _chosen(recipe, trainee, changed or {}, fabric.world_size)
    with fabric.rank_zero_first():
        criterion = load_criterion(recipe, fabric.device)
        lessons = prepare_lessons(
            scenes,
            recipe,
            seed,
            cache or out / "cache",
            decoding,
            stride=trainee.stride,
            preparation=trainee.preparation,
        )
    out.mkdir(parents=True, exist_ok=True)
    training = Training(fabric, trainee, lessons, criterion, out, budget or Budget())
    training.identity = {
        "method": method_name.rpartition("/")[2],
        "options": {key: str(value) for key, value in options.items()},
        "data": scenes.digest,
        "seed": seed,
        "dtype": dtype,
        **{f"recipe.{key}": str(value) for key, value in recipe.to_record().items()},
    }
    training.command = tuple(command)
    if resume:
        training.resume()
    training.run(progress, stop)
    return out


class Training:
    """A run in the making.

    Parameters
    ----------
    fabric : Fabric
        Device, precision, processes.
    trainee : Trainee
        The network, and what it eats.
    lessons : Lessons
        What it learns from, and how.
    criterion : Criterion
        What it is to make small.
    out : Path
        The run's folder.
    budget : Budget
        When to end early.

    Attributes
    ----------
    identity : mapping
        What makes a run this run and no other; it must not change when it is resumed.
    command : tuple of str
        For the record.
    course : Course
        How far it has come.
    log : list of LogRow
        The lines of ``log.csv``.
    """

    def __init__(
        self,
        fabric: Fabric,
        trainee: Trainee,
        lessons: Lessons,
        criterion: Criterion,
        out: Path,
        budget: Budget,
    ) -> None:
        self.fabric, self.trainee, self.lessons = fabric, trainee, lessons
        self.criterion = criterion
        self.out, self.budget, self.recipe = out, budget, lessons.recipe
        self.identity: Mapping[str, Any] = {}
        self.command: tuple[str, ...] = ()
        self.course, self.log = Course(), list[LogRow]()
        self.network, self.optimizer = fabric.setup(
            trainee.network, make_optimizer(trainee.network, self.recipe)
        )
        self._environment = describe_environment()
        self._answers: list[tuple[float, float]] = []
        self._loading_s = self._row_began_s = 0.0
        self._stopped = False

    @property
    def steps(self) -> int:
        """How many there will be, unless time runs out first."""
        whole = self.recipe.steps(len(self.lessons.training))
        return min(whole, self.budget.max_steps or whole)

    @property
    def epoch(self) -> float:
        """Passes over the training scenes done."""
        return self.course.step / self.lessons.steps_an_epoch

    def run(self, progress: Progress | None = None, stop: Callable[[], bool] | None = None) -> End:
        """Train until the recipe or the budget ends, or ``stop`` says so."""
        course, fabric = self.course, self.fabric
        batches = self.lessons.batches(course.step, fabric.global_rank, fabric.world_size)
        begin = time.monotonic() - course.seconds
        self._row_began_s = course.seconds
        waiting: Answer | None = None
        self.network.train()
        end = self._end()
        while end is None:
            answer = self.learn(batches)
            # The loss before, read while the device computes: it never waits for being asked.
            self._read(waiting)
            waiting = answer
            course.seconds, self._stopped = self._agreed(
                time.monotonic() - begin, stop is not None and stop()
            )
            end = self._end()
            if end or course.step % self.recipe.validate_every == 0:
                self._read(waiting)
                waiting = None
                self.checkpoint(end)
            if progress is not None and fabric.is_global_zero:
                # How many steps there will be, as far as one can tell.
                progress(course.step, round(course.step / self._progress()), self._news())
        batches.close()
        return end

    def learn(self, batches: Iterator[Batch]) -> Answer:
        """One step: fetch a batch, forward, backward, clip, update."""
        begin = time.monotonic()
        batch = next(batches)
        inputs = self.trainee.inputs(batch)
        target = self.trainee.target(batch, self.fabric.device)
        self._loading_s += time.monotonic() - begin
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.epoch, self._progress())
        self.optimizer.zero_grad(set_to_none=True)
        fused = self.network(*inputs)
        loss = self.criterion(fused, target, linear=self.trainee.linear)
        self.fabric.backward(loss)
        norm = self.fabric.clip_gradients(
            self.network,
            self.optimizer,
            max_norm=self.recipe.clip_norm or math.inf,
            error_if_nonfinite=False,
        )
        self.optimizer.step()
        self.course.step += 1
        return Answer(self.course.step, batch, loss.detach(), cast(Tensor, norm).detach())

    def _read(self, answer: Answer | None) -> None:
        """Fetch a step's numbers from the device; stop at the first that is none."""
        if answer is None:
            return
        loss, norm = float(answer.loss), float(answer.norm)
        if math.isfinite(loss) and math.isfinite(norm):
            self._answers.append((loss, norm))
            return
        crops = ", ".join(
            f"{self.lessons.training[crop.scene].scene_id} at row {crop.top}, column {crop.left}"
            for crop in answer.batch.crops
        )
        raise DmefError(
            f"Step {answer.step}: the loss is {loss:g}, its gradient's norm {norm:g}. The crops of "
            f"{self.recipe.crop} pixels were: {crops}. The weights of the last checkpoint in "
            f"{self.out} are kept. Look at these scenes, or lower the learning rate."
        )

    def _end(self) -> End | None:
        course, minutes = self.course, self.budget.max_minutes
        if self._stopped:
            return "interrupt"
        if course.step >= self.steps:
            return "max-steps" if self.steps == self.budget.max_steps else "recipe"
        if minutes is not None and course.seconds >= 60 * minutes:
            return "max-minutes"
        return None

    def _progress(self) -> float:
        """The share of the run that is done, by the limit that comes first."""
        minutes = self.budget.max_minutes
        of_time = self.course.seconds / (60 * minutes) if minutes else 0.0
        return max(self.course.step / self.steps, of_time)

    def _agreed(self, seconds: float, stopped: bool) -> tuple[float, bool]:
        """The same answer in all processes: their clocks differ, and one alone may be stopped."""
        if self.fabric.world_size == 1:
            return seconds, stopped
        both = torch.tensor([seconds, float(stopped)], device=self.fabric.device)
        most = self.fabric.all_reduce(both, reduce_op="max")
        return float(most[0]), bool(most[1])

    def _news(self) -> str:
        loss = f"loss {self._answers[-1][0]:.4f}" if self._answers else ""
        best = f", best {self.course.best_db:.2f} dB" if self.course.best_step else ""
        return loss + best

    def checkpoint(self, end: End | None) -> None:
        """Validate, and put everything on the disk; ``end`` where the run is over."""
        if not all(bool(part.isfinite().all()) for part in self.trainee.network.parameters()):
            raise DmefError(
                f"After step {self.course.step} weights are infinite or no numbers. Those of the "
                f"last checkpoint in {self.out} are kept; lower the learning rate."
            )
        batches, device = self.lessons.validation, self.fabric.device
        score = validate(self.trainee, self.network, batches, device) if batches else None
        is_best = score is None or score.psnr_db > self.course.best_db
        if is_best:
            self.course.best_step = self.course.step
            self.course.best_db = math.inf if score is None else score.psnr_db
        if self._answers:
            self.log.append(self._row(score))
        if self.fabric.is_global_zero:
            save_run(
                self.out,
                network=self.trainee.network,
                header=self.trainee.header,
                is_best=is_best,
                state=self._state(),
                log=self.log,
                record=self._record(end),
            )
        self.fabric.barrier()

    def _row(self, score: Validation | None) -> LogRow:
        elapsed = max(self.course.seconds - self._row_began_s, 1e-9)
        row = LogRow(
            step=self.course.step,
            epoch=self.epoch,
            minutes=self.course.seconds / 60,
            loss=fmean(loss for loss, _ in self._answers),
            gradient_norm=fmean(norm for _, norm in self._answers),
            learning_rate=self.optimizer.param_groups[0]["lr"],
            loading_share=self._loading_s / elapsed,
            psnr_db=None if score is None else score.psnr_db,
            ssim=None if score is None else score.ssim,
        )
        self._answers, self._loading_s = [], 0.0
        self._row_began_s = self.course.seconds
        return row

    def _state(self) -> dict[str, Any]:
        on_gpu = self.fabric.device.type == "cuda"
        return {
            "identity": dict(self.identity),
            "course": asdict(self.course),
            "network": self.trainee.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": torch.get_rng_state(),
            "gpu_generators": torch.cuda.get_rng_state_all() if on_gpu else [],
        }

    def resume(self) -> None:
        """Take up the run that ended in the folder.

        Raises
        ------
        UsageError
            There is none.
        CheckpointError
            It is damaged, or another run.
        """
        path = self.out / STATE
        state = load_state(path)
        check_same_run(state["identity"], self.identity)
        fill_network(self.trainee.network, state["network"], str(path))
        self.optimizer.load_state_dict(state["optimizer"])
        self.course = Course(**state["course"])
        self.log = read_log(self.out, until=self.course.step)
        torch.set_rng_state(state["generator"])
        if self.fabric.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["gpu_generators"])

    def _record(self, end: End | None) -> dict[str, Any]:
        course, method = self.course, self.trainee.method
        return {
            "method": method.name,
            "paper": method.paper,
            "identity": dict(self.identity),
            "parameters": sum(part.numel() for part in self.trainee.network.parameters()),
            "data": self.lessons.facts,
            "recipe": self.recipe.to_record(),
            "budget": asdict(self.budget),
            "ended_by": end,
            "steps": course.step,
            "epochs": round(self.epoch, 2),
            "minutes": round(course.seconds / 60, 3),
            "processes": self.fabric.world_size,
            "device": str(self.fabric.device),
            "command": list(self.command),
            "best_step": course.best_step,
            "environment": self._environment,
        }


def _chosen(
    recipe: str | Recipe, trainee: Trainee, changed: Mapping[str, Any], processes: int
) -> Recipe:
    own = traits(trainee.method).recipes
    chosen = recipe if isinstance(recipe, Recipe) else choose_recipe(recipe, own)
    chosen = replace(chosen, **changed)
    if chosen.crop % trainee.stride:
        fitting = -(-chosen.crop // trainee.stride) * trainee.stride
        raise UsageError(
            f"Crops of {chosen.crop} pixels are no multiple of {trainee.stride}, which "
            f"{trainee.name} would have to fill up; take --crop {fitting}."
        )
    if chosen.batch % processes:
        raise UsageError(
            f"A batch of {chosen.batch} cannot be shared by {processes} processes; "
            "give a multiple with --batch."
        )
    return chosen


def _check_place(out: Path, resume: bool) -> None:
    if not resume and (out / STATE).exists():
        raise UsageError(
            f"{out} holds a training already. Go on with it by --resume, or give another folder."
        )
