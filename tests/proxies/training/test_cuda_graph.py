import copy
from collections.abc import Callable, Sequence
from types import MappingProxyType

import pytest
import torch
from torch import Tensor, nn

import proxies.training.cuda_graph
from proxies.network import build
from proxies.training.block_diagonal import use_block_diagonal
from proxies.training.cuda_graph import CapturedStep, CaptureError, Recording, restored
from search_space import PRESETS

CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


class Training:
    """A network, its momenta and a step over them: Nesterov SGD by hand, with a learning rate that is a tensor."""

    def __init__(self, network: nn.Module, device: str = "cpu", momentum: float = 0.9) -> None:
        self.network = network.to(device).train()
        self.momentum = momentum
        self.parameters = list(self.network.parameters())
        self.momenta = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.learning_rate = torch.tensor(0.05, device=device)
        self.runs = 0

    @property
    def state(self) -> list[Tensor]:
        return [*self.parameters, *self.network.buffers(), *self.momenta]

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        self.runs += 1
        for parameter in self.parameters:
            parameter.grad = None
        loss = nn.functional.cross_entropy(self.network(images), labels)
        loss.backward()
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        with torch.no_grad():
            torch._foreach_mul_(self.momenta, self.momentum)
            torch._foreach_add_(self.momenta, gradients)
            ahead = torch._foreach_add(gradients, self.momenta, alpha=self.momentum)
            torch._foreach_mul_(ahead, self.learning_rate)
            torch._foreach_sub_(self.parameters, ahead)
        return loss


def small_network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Flatten(), nn.Linear(64, 3))


def batch(count: int, seed: int, channels: int = 2, size: int = 6, device: str = "cpu") -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, channels, size, size, generator=generator)
    return images.to(device), torch.randint(3, (count,), generator=generator).to(device)


def assert_same(found: Sequence[Tensor], expected: Sequence[Tensor], *, exact: bool = True) -> None:
    for mine, other in zip(found, expected, strict=True):
        if exact:
            assert torch.equal(mine, other)
        else:
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


# restored


def test_the_state_is_restored_with_its_random_numbers() -> None:
    weight, count = nn.Parameter(torch.tensor([1.0, 2.0])), torch.tensor(3)
    random = torch.get_rng_state()
    with restored([weight, count], CPU):
        weight.data += torch.rand(2)
        count += 1
    assert weight.tolist() == [1, 2]
    assert weight.requires_grad
    assert count == 3
    assert torch.equal(torch.get_rng_state(), random)


def test_the_state_is_restored_after_an_error() -> None:
    value = torch.zeros(2)
    with pytest.raises(ZeroDivisionError), restored([value], CPU):
        value += 1 / 0 + value.add_(1)
    assert value.tolist() == [0, 0]


# on a CPU


def test_on_a_cpu_it_is_a_plain_call_and_making_it_runs_nothing() -> None:
    training = Training(small_network())
    expected = Training(small_network())
    step = CapturedStep(training.step, batch(4, seed=0), training.state)
    assert not step.is_captured
    assert training.runs == 0
    for seed in range(3):
        random = torch.get_rng_state()
        loss = step(*batch(4, seed))
        torch.set_rng_state(random)
        assert torch.equal(loss, expected.step(*batch(4, seed)))
        assert not loss.requires_grad
    assert_same(training.state, expected.state)


def test_on_a_cpu_closing_it_changes_nothing() -> None:
    training = Training(small_network())
    with CapturedStep(training.step, batch(4, seed=0), training.state) as step:
        step(*batch(4, seed=0))
    assert training.parameters[0].grad is not None
    assert step(*batch(2, seed=1)).shape == ()


# the order of things around a recording, with a recorder of our own: it runs the step once more where CUDA captures


class Recorder:
    """Records a step as a replay that runs it on the recorded tensors, and counts."""

    def __init__(self) -> None:
        self.inputs: tuple[Tensor, ...] = ()
        self.lookup = self.resets = 0

    def __call__(self, step: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Recording:
        for _ in range(4):
            loss = step(*inputs).detach()
        self.inputs = inputs

        def replay() -> None:
            self.lookup += 1
            loss.copy_(step(*inputs).detach())

        def reset() -> None:
            self.resets += 1

        return Recording(loss, replay, reset)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(proxies.training.cuda_graph, "RECORDERS", MappingProxyType({"cpu": recorder}))
    return recorder


def test_recording_trains_nothing_and_draws_no_random_numbers(recorder: Recorder) -> None:
    training = Training(small_network())
    before, random = copy.deepcopy(training.state), torch.get_rng_state()
    step = CapturedStep(training.step, batch(4, seed=0), training.state)
    assert step.is_captured
    assert step.capture_seconds > 0
    assert training.runs == 4
    assert_same(training.state, before)
    assert torch.equal(torch.get_rng_state(), random)


def test_replays_on_other_batches_and_learning_rates_are_the_plain_steps(recorder: Recorder) -> None:
    training, expected = Training(small_network()), Training(small_network())
    step = CapturedStep(training.step, batch(4, seed=0), training.state)
    found, wanted = [], []
    for seed, count in enumerate((4, 4, 4, 3, 4)):
        for each in (training, expected):
            each.learning_rate.fill_(0.1 / (seed + 1))
        random = torch.get_rng_state()
        found.append(step(*batch(count, seed)))
        torch.set_rng_state(random)
        wanted.append(expected.step(*batch(count, seed)).detach())
    assert recorder.lookup == 4, "the batch of 3 is a plain call"
    # Compared at the end: a loss that lay where the next replay writes would now hold another one.
    assert_same(found, wanted)
    assert_same(training.state, expected.state)


def test_the_callers_tensors_are_copied_and_left_alone(recorder: Recorder) -> None:
    training = Training(small_network())
    example = batch(4, seed=0)
    step = CapturedStep(training.step, example, training.state)
    images, labels = batch(4, seed=1)
    step(images, labels)
    assert torch.equal(recorder.inputs[0], images)
    assert recorder.inputs[0].data_ptr() not in (images.data_ptr(), example[0].data_ptr())
    assert torch.equal(example[0], batch(4, seed=0)[0])


def test_inputs_of_another_type_are_a_plain_call(recorder: Recorder) -> None:
    step = CapturedStep(lambda values: values.sum() * 1.0, (torch.zeros(2),), [])
    assert step(torch.tensor([0.5, 1.0], dtype=torch.float64)) == 1.5
    assert recorder.lookup == 0


def test_closed_it_frees_the_recording_drops_gradients_and_calls_plainly(recorder: Recorder) -> None:
    training = Training(small_network())
    with CapturedStep(training.step, batch(4, seed=0), training.state) as step:
        step(*batch(4, seed=0))
    step.close()
    assert recorder.resets == 1
    assert not step.is_captured
    assert all(parameter.grad is None for parameter in training.parameters)
    step(*batch(4, seed=1))
    assert recorder.lookup == 1


def test_an_error_of_the_step_is_raised_as_it_is_and_leaves_the_state(recorder: Recorder) -> None:
    training = Training(small_network())
    before = copy.deepcopy(training.state)

    def failing(images: Tensor, labels: Tensor) -> Tensor:
        training.step(images, labels)
        raise ZeroDivisionError("of the step")

    with pytest.raises(ZeroDivisionError, match="of the step"):
        CapturedStep(failing, batch(4, seed=0), training.state)
    assert_same(training.state, before)


# on CUDA


def cuda_training(name: str = "v1-0.25x-g3") -> Training:
    network = build(PRESETS[name], num_classes=3, stem_stride=1, seed=1)
    return Training(network.to(memory_format=torch.channels_last), "cuda")  # type: ignore[call-overload]


def cuda_batch(count: int, seed: int) -> tuple[Tensor, Tensor]:
    return batch(count, seed, channels=3, size=16, device="cuda")


@needs_cuda
def test_on_cuda_20_captured_steps_are_20_eager_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    captured, eager = cuda_training(), cuda_training()
    found, wanted = [], []
    with CapturedStep(captured.step, cuda_batch(32, seed=0), captured.state) as step:
        assert step.is_captured
        print(f"captured in {step.capture_seconds:.2f} s")
        for seed in range(20):
            count = 20 if seed in (9, 19) else 32
            for each in (captured, eager):
                each.learning_rate.fill_(0.05 * (1 - seed / 20))
            found.append(step(*cuda_batch(count, seed)))
            wanted.append(eager.step(*cuda_batch(count, seed)).detach())
        runs = captured.runs
    assert runs == 3 + 1 + 2, "warm-ups, the capture and the two smaller batches; the rest are replays"
    assert_same(found, wanted, exact=False)
    assert_same(captured.state, eager.state, exact=False)


@needs_cuda
def test_on_cuda_bf16_and_block_diagonal_weights_train_like_float32() -> None:
    captured, eager = cuda_training(), cuda_training()
    use_block_diagonal(captured.network)

    def step_in_bf16(images: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            return captured.step(images, labels)

    with CapturedStep(step_in_bf16, cuda_batch(64, seed=0), captured.state) as step:
        for _ in range(10):
            found, expected = step(*cuda_batch(64, seed=0)), eager.step(*cuda_batch(64, seed=0)).detach()
    assert expected < 1.0, "of ln 3 at the start"
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.05)


@needs_cuda
def test_on_cuda_capturing_trains_nothing_and_draws_no_random_numbers() -> None:
    training = Training(small_network(), "cuda")
    before, random = copy.deepcopy(training.state), torch.cuda.get_rng_state()
    with CapturedStep(training.step, batch(4, seed=0, device="cuda"), training.state):
        assert_same(training.state, before)
        assert torch.equal(torch.cuda.get_rng_state(), random)


@needs_cuda
def test_on_cuda_batches_may_come_from_the_host() -> None:
    captured, eager = cuda_training(), cuda_training()
    with CapturedStep(captured.step, cuda_batch(8, seed=0), captured.state) as step:
        for count in (8, 5):
            images, labels = cuda_batch(count, seed=1)
            found = step(images.cpu(), labels.cpu())
            torch.testing.assert_close(found, eager.step(images, labels).detach(), rtol=1e-3, atol=1e-4)


@needs_cuda
def test_on_cuda_a_closed_step_gives_its_memory_back() -> None:
    training = cuda_training("v1-1.0x-g3")
    training.step(*cuda_batch(256, seed=0))
    for parameter in training.parameters:
        parameter.grad = None
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    with CapturedStep(training.step, cuda_batch(256, seed=0), training.state) as step:
        step(*cuda_batch(256, seed=0))
        within = torch.cuda.memory_reserved()
    assert within > before + 2**27
    assert torch.cuda.memory_reserved() < before + 2**26, "libraries' workspaces may stay"


@needs_cuda
def test_on_cuda_a_step_that_waits_for_the_device_is_told_with_its_cause() -> None:
    training = cuda_training()

    def waiting(images: Tensor, labels: Tensor) -> Tensor:
        loss = training.step(images, labels)
        assert loss.item() >= 0
        return loss

    stream = torch.cuda.current_stream()
    before = copy.deepcopy(training.state)
    with pytest.raises(CaptureError, match="cannot be captured") as raised:
        CapturedStep(waiting, cuda_batch(8, seed=0), training.state)
    assert isinstance(raised.value.__cause__, RuntimeError)
    assert torch.cuda.current_stream() == stream
    assert_same(training.state, before)
    assert torch.isfinite(training.step(*cuda_batch(8, seed=0)))
