"""One architecture trained, a checkpoint after every epoch, and at the end its test accuracy, once, and its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from nas.cli.command import make_folder
from nas.cli.folders import OwnFiles
from nas.cli.heartbeat import doing
from nas.cli.stopping import stop_if_asked
from nas.train.result import result_of, trained_architecture
from nas.train.settings import FILES, OWNER, TrainSettings
from proxies.data.load import ImageData
from proxies.data.test_images import HeldOut, shared_notes
from proxies.pretrained import TrainedFor
from proxies.training.checkpoint import Checkpoint, damaged, read_checkpoint, write_checkpoint
from proxies.training.distributed import Processes, process_group
from proxies.training.result import TrainingError
from proxies.training.trainer import Trainer
from proxies.weights import start_from, write_weights
from search_space.errors import InputError
from search_space.files import digest_of, write_json
from search_space.precision import INT8
from studies.facts import DATA_CHANGED

_CPU_IS_FULL = "DefaultCPUAllocator"
"""Stands in torch's RuntimeError for a CPU's memory; a GPU's has a class of its own."""

DATA = "data fingerprint"
LONGEST_REASON = 200
"""Characters of what torch says of weights that are not the network's: it lists all their names."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainOutcome:
    """What a training came to, as plain JSON values, and the files written."""

    metrics: dict[str, Any]
    files: tuple[Path, ...]


def run(settings: TrainSettings, tell: Tell) -> TrainOutcome | None:
    """The outcome of the training that the settings ask for, in the first process; None in the others.

    `tell` is given a line for each epoch.

    Raises:
        InputError: the data, the weights to start from or the checkpoint cannot be used.
        TrainingError: the training gave no network.
        MemoryError: memory is too small for it.
        SystemExit: in place of a TrainingError where this is not the first process, which tells it.
    """
    try:
        with process_group(settings.rank, settings.world, settings.local_rank, settings.device) as processes:
            return _run(settings, processes, tell if processes.is_first else _say_nothing)
    except TrainingError as error:
        if settings.rank == 0:
            raise
        raise SystemExit(1) from error
    except (RuntimeError, MemoryError) as error:
        if not _memory_is_full(error):
            raise
    # Only here has the error let go of the tensors that filled the memory.
    raise MemoryError(f"no room for batches of {settings.recipe.batch_size} images: lower --batch-size")


def _run(settings: TrainSettings, processes: Processes, tell: Tell) -> TrainOutcome | None:
    data, identity, kept, test = processes.first_alone(lambda: _prepare(settings, is_first=processes.is_first))
    with closing(_trainer(settings, processes, data)) as trainer:
        started_from = processes.first_alone(lambda: _start(settings, trainer))
        if kept:
            _restore(trainer, kept, settings)
        elif started_from:
            tell(started_from)
        if not trainer.is_done:
            of_test = (*test.notes, *shared_notes(data, test)) if test else ()
            for line in (*data.notes, *of_test):
                tell(f"images: {line}")
        while not trainer.is_done:
            before = trainer.seconds
            with _doing_epoch(trainer) if processes.is_first else nullcontext():
                trainer.run_epoch()
            if processes.is_first:
                write_checkpoint(settings.checkpoint, Checkpoint(identity, trainer.state_dict()))
            tell(_epoch_line(trainer, trainer.seconds - before))
            stop_if_asked()
    if not processes.is_first:
        return None
    result = kept.result if kept else None
    if result is None:
        with doing("testing the network"):
            result = result_of(settings, trainer, data, test, started_from)
        # With the result, so that the test images are looked at once whatever happens from here on.
        write_checkpoint(settings.checkpoint, Checkpoint(identity, trainer.state_dict(), result))
    if settings.in_int8 and INT8 not in result:
        from proxies.quantization.accuracy import quantised_accuracy  # here, for it imports ONNX Runtime's tools

        with doing("quantising the network"):
            result = {**result, INT8: quantised_accuracy(trainer.trained_network, trainer.data).to_dict()}
        write_checkpoint(settings.checkpoint, Checkpoint(identity, trainer.state_dict(), result))
    return TrainOutcome(result, _write(settings, trainer, data, result))


def _prepare(
    settings: TrainSettings, *, is_first: bool
) -> tuple[ImageData, dict[str, Any], Checkpoint | None, HeldOut | None]:
    """The data, the training's identity, the checkpoint to go on from, and the test images where they will be needed.

    The latter before the training, so that what is wrong with them shows at once.
    """
    data = _load(settings)
    identity = _identity(settings, data)
    kept = _kept(settings, identity)
    is_tested = kept is not None and kept.result is not None
    test = settings.data.load_test() if is_first and not is_tested else None
    if is_first:
        make_folder(settings.out)
        if kept is None:
            OwnFiles(settings.out, OWNER).take(*FILES)
    return data, identity, kept, test


def _load(settings: TrainSettings) -> ImageData:
    data = settings.data.load()
    if len(data.train_images) < 2 * settings.world:
        raise InputError(
            f"every process needs two images to train on, and for {settings.world} there are {len(data.train_images)}"
        )
    return data


def _trainer(settings: TrainSettings, processes: Processes, data: ImageData) -> Trainer:
    return Trainer(
        settings.architecture,
        data,
        settings.recipe,
        seed=settings.seed,
        device=processes.device,
        rank=processes.rank,
        world=processes.world,
    )


def _start(settings: TrainSettings, trainer: Trainer) -> str | None:
    """What was taken from --weights-from, which the moving average starts at as well; None without it."""
    if settings.weights_from is None:
        return None
    text = start_from(trainer.network, settings.weights_from, trainer.data.classes)
    trainer.trained_network.load_state_dict(trainer.network.state_dict())
    return text


def _identity(settings: TrainSettings, data: ImageData) -> dict[str, Any]:
    """What must be the same for a training to go on as if it had never stopped, as plain JSON values."""
    return {
        "architecture": settings.architecture.key(),
        DATA: data.fingerprint,
        "classes": data.num_classes,
        "image size": data.image_size,
        **{f"recipe {name}": value for name, value in settings.recipe.to_dict().items()},
        "seed": settings.seed,
        "weights-from": settings.weights_from and digest_of(settings.weights_from),
        "device": settings.device,
        "processes": settings.world,
    }


def _kept(settings: TrainSettings, identity: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint to go on from; None where none has been written yet."""
    if not settings.resume or not settings.checkpoint.exists():
        return None
    kept = read_checkpoint(settings.checkpoint)
    names = [*identity, *(name for name in kept.identity if name not in identity)]
    changes = [(name, kept.identity.get(name), identity.get(name)) for name in names]
    differing = {name: f"{name} was {was!r}, now {now!r}" for name, was, now in changes if was != now}
    if differing.keys() - {"recipe name"}:  # a recipe is what its fields say, whatever it is called
        reason = f" ({DATA_CHANGED})" if [*differing] == [DATA] else ""
        raise InputError(
            f"the training in {str(settings.out)!r} can only go on with its own settings: "
            f"{'; '.join(differing.values())}{reason}; "
            f"give those, or name another --out"
        )
    return kept


def _restore(trainer: Trainer, kept: Checkpoint, settings: TrainSettings) -> None:
    """Has the trainer go on from the checkpoint, whose identity is right and whose content may not be."""
    try:
        trainer.load_state_dict(kept.trainer)
        trainer.training.to_dict()  # reads the curves, row by row
    except torch.OutOfMemoryError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        raise damaged(settings.checkpoint, reason) from error


def _doing_epoch(trainer: Trainer) -> AbstractContextManager[object]:
    began = time.monotonic()

    def seconds_left() -> float | None:
        return _seconds_left(trainer) - (time.monotonic() - began) if trainer.epoch else None

    return doing(f"epoch {trainer.epoch + 1} of {trainer.recipe.epochs}", seconds_left)


def _seconds_left(trainer: Trainer) -> float:
    return (trainer.recipe.epochs - trainer.epoch) * trainer.seconds / trainer.epoch


def _epoch_line(trainer: Trainer, seconds: float) -> str:
    training, recipe = trainer.training, trainer.recipe
    accuracy = ""
    if training.validated_epochs and training.validated_epochs[-1] == trainer.epoch:
        accuracy = f"validation accuracy {100 * training.accuracy:.2f} %, "
    left = timedelta(seconds=round(_seconds_left(trainer)))
    return (
        f"epoch {trainer.epoch} of {recipe.epochs}: training loss {training.training_losses[-1]:.4f}, {accuracy}"
        f"{training.images_seen / trainer.epoch / seconds:.0f} images/s, {left} left"
    )


def _write(settings: TrainSettings, trainer: Trainer, data: ImageData, result: dict[str, Any]) -> tuple[Path, ...]:
    """The files written: weights, architecture and metrics."""
    architecture, training = trained_architecture(settings), trainer.training
    mean, std = trainer.data.channel_stats
    trained_for = TrainedFor(
        architecture, data.classes, data.channels, training.stem_stride, training.image_size, mean, std
    )
    return (
        write_weights(settings.out / "weights.safetensors", trainer.trained_network, trained_for),
        write_json(settings.out / "architecture.json", architecture.to_dict()),
        write_json(settings.out / "metrics.json", result),
    )


def _memory_is_full(error: BaseException | None) -> bool:
    """Whether memory is what lacked, also where an error came of that."""
    if error is None:
        return False
    is_it = isinstance(error, torch.OutOfMemoryError | MemoryError) or _CPU_IS_FULL in str(error)
    return is_it or _memory_is_full(error.__cause__)


def _say_nothing(line: str) -> None:
    """Says nothing: the first process speaks for all."""
