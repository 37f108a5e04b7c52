"""Flags become settings: times, default names, and what a study's identity is made of."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from builders.images import write_images
from builders.places import ROOT
from builders.settings import settings_from

from nas.cli.command import Parser
from nas.cli.flags import duration
from nas.search import settings as settings_module
from nas.search.settings import add_flags, settings_of
from nas.workers.cores import workers_here
from search_space import Budget, InputError
from search_space.choices import Choices


def image_folder(folder: Path) -> Path:
    """A folder with the files, not yet read, of two classes."""
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        (folder / name / "0.png").touch()
    return folder


# Times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("0.5h", 1800),
        (".5m", 30),
        ("1.25s", 1.25),
        (" 8M ", 480),
        ("007s", 7),
    ],
)
def test_a_time_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "10", "m", "10 m", "10x", "-1m", "0s", "0.0h", "1e3s", "1m30s", "inf s", "nanm", "5.m", "9" * 400 + "s"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^--time must be a number above 0 with s, m or h, such as 10m; got "):
        settings_from(f"--time={text}")


# Defaults and names


def test_a_budget_is_all_that_a_run_needs() -> None:
    settings = settings_from()
    assert settings.budget == Budget(macs=140_000_000)
    assert settings.choices == Choices.default()
    assert (settings.data.name, settings.recipe.name, settings.sampler, settings.seed) == (
        "fashion-mnist-12k",
        "short",
        "surrogate",
        0,
    )
    assert (settings.task.resolution, settings.task.num_classes, settings.device, settings.latency.runtime) == (
        224,
        1000,
        "cpu",
        "onnxruntime",
    )
    assert (settings.trials, settings.resume, settings.data.download) == (None, False, False)
    assert settings.seconds == duration(settings_module.DEFAULT_TIME)


def test_the_study_is_named_after_budget_and_data() -> None:
    settings = settings_from()
    assert settings.study == "140mflops-fashion-mnist-12k"
    assert settings.out == Path("runs/140mflops-fashion-mnist-12k")
    assert settings.storage == "sqlite:///runs/140mflops-fashion-mnist-12k/study.db"


def test_budgets_that_mean_the_same_have_the_same_study() -> None:
    names = {settings_from("--budget", text).study for text in ("140mflops", "0.14 GFLOPs", "140000 kflops")}
    assert names == {"140mflops-fashion-mnist-12k"}
    assert settings_from("--budget", "2mparams,5ms", "--data", "cifar10").study == "2mparams,5ms-cifar10"
    of_memory = settings_from("--budget", "1mib-flash@int8,256kib-ram", "--data", "cifar10")
    assert of_memory.study == "256kib-ram,1mib-flash_int8-cifar10"


def test_a_folders_study_is_named_after_the_folder_and_its_path(tmp_path: Path) -> None:
    folders = [image_folder(tmp_path / parent / "my cats") for parent in ("one", "two")]
    names = [settings_from("--data", f"folder:{folder}").study for folder in folders]
    assert names == [
        f"140mflops-my_cats-{sha256(str(folder.resolve()).encode()).hexdigest()[:6]}" for folder in folders
    ]
    assert names[0] != names[1]


def test_a_folder_has_one_name_however_its_path_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_folder(tmp_path / "cats")
    monkeypatch.chdir(tmp_path)
    names = {settings_from("--data", f"folder:{path}").study for path in ("cats", "./cats", tmp_path / "cats")}
    assert len(names) == 1


def test_a_backbones_study_holds_at_the_detection_resolution_under_a_name_of_its_own() -> None:
    settings = settings_from("--task", "detection-backbone")
    assert (settings.task.resolution, settings.task.num_classes, settings.task.name) == (320, 0, "detection-backbone")
    assert settings.study == "140mflops-detection-backbone-fashion-mnist-12k"
    assert settings_from("--task", "detection-backbone", "--resolution", "416").task.resolution == 416
    assert settings_from("--task", "classification") == settings_from()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--task", "detection"), "--task must be one of classification, detection-backbone, got 'detection'"),
        (("--task", "detection-backbone", "--classes", "20"), "got 20: leave --classes out"),
        (("--task", "detection-backbone", "--resolution", "16"), "--resolution must be at least 32, got 16"),
        (("--classes", "0"), "--classes must be at least 2, got 0"),
        (("--resolution", "31"), "--resolution must be at least 32, got 31"),
    ],
)
def test_a_task_that_no_search_can_be_for_is_refused(flags: tuple[str, ...], text: str) -> None:
    with pytest.raises(InputError, match=text):
        settings_from(*flags)


def test_names_that_are_given_are_used() -> None:
    settings = settings_from("--study", "mine_2.0")
    assert (settings.study, settings.out, settings.storage) == (
        "mine_2.0",
        Path("runs/mine_2.0"),
        "sqlite:///runs/mine_2.0/study.db",
    )
    settings = settings_from("--out", "here", "--study", "mine")
    assert (settings.out, settings.storage) == (Path("here"), "sqlite:///here/study.db")
    settings = settings_from("--out", "here", "--storage", "postgresql+psycopg://host/db")
    assert settings.storage == "postgresql+psycopg://host/db"


@pytest.mark.parametrize("name", ["", "a/b", "a b", "../up", "a\n"])
def test_a_study_name_is_no_path(name: str) -> None:
    with pytest.raises(InputError, match=r"^--study must begin with a letter or digit"):
        settings_from("--study", name)


def test_a_space_file_is_read(tmp_path: Path) -> None:
    text = (ROOT / "search_space" / "default_space.toml").read_text()
    file = tmp_path / "space.toml"
    file.write_text(text.replace('units = ["v1", "v2"]', 'units = ["v2"]'))
    assert settings_from("--space", str(file)).choices == replace(Choices.default(), units=("v2",))


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (3, 3), (4, 3), (16, 15)])
def test_there_is_a_worker_a_core_and_from_four_on_one_core_is_kept(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert settings_from().workers == workers
    assert settings_from("--workers", "5").workers == 5
    assert workers_here(None, "cuda") == min(2, workers)


def test_latency_is_measured_on_the_gpu_only_where_the_runtime_runs_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(runtime: str, device: str, precision: str) -> None:
        if (runtime, device) == ("onnxruntime", "cuda"):
            raise InputError("this ONNX Runtime has no CUDAExecutionProvider")

    monkeypatch.setattr(settings_module, "check_runtime", check)
    monkeypatch.setattr(settings_module, "check_device", lambda device: None)
    assert settings_from().latency.device == "cpu"
    assert settings_from("--device", "cuda").latency.device == "cpu"
    on_gpu = settings_from("--device", "cuda", "--runtime", "torch")
    assert (on_gpu.latency.device, on_gpu.latency.throughput_batch) == ("cuda", 64)
    assert settings_from("--device", "cuda", "--runtime", "torch", "--latency-device", "cpu").latency.device == "cpu"
    assert settings_from("--device", "cuda", "--latency-from", "pi").latency.device == "cpu"
    with pytest.raises(InputError, match="no CUDAExecutionProvider"):
        settings_from("--device", "cuda", "--latency-device", "cuda")


def test_a_latency_budget_may_stand_alone_or_beside_another() -> None:
    parser = Parser(prog="test")
    add_flags(parser)
    assert settings_of(parser.parse_args(["--latency-budget", "5ms"])).budget == Budget(latency_ms=5.0)
    assert settings_from("--latency-budget", "5ms").budget == Budget(macs=140_000_000, latency_ms=5.0)
    with pytest.raises(InputError, match="--latency-budget must be a time, such as 5ms; got '5mparams'"):
        settings_from("--latency-budget", "5mparams")
    with pytest.raises(InputError, match="bounds latency_ms twice"):
        settings_from("--budget", "140mflops,6ms", "--latency-budget", "5ms")
    with pytest.raises(InputError, match="give --budget 140mflops, or --latency-budget 5ms"):
        settings_of(parser.parse_args([]))


def test_another_device_measures_what_it_can_read() -> None:
    settings = settings_from("--latency-from", "pi", "--latency-timeout", "90s")
    assert (settings.latency.remote, settings.latency.timeout_seconds) == ("pi", 90.0)
    assert settings.identity()["latency_from"] == "pi"
    with pytest.raises(InputError, match=r"as ONNX files, which onnxruntime.* read; got --runtime torch"):
        settings_from("--latency-from", "pi", "--runtime", "torch")


# What makes a study


def test_an_identity_is_plain_json(tmp_path: Path) -> None:
    for flags in ((), ("--budget", "2mparams,5ms", "--image-size", "20", "--data", f"folder:{image_folder(tmp_path)}")):
        identity = settings_from(*flags).identity()
        assert json.loads(json.dumps(identity)) == identity


@pytest.mark.parametrize(
    "flags",
    [
        ("--trials", "7"),
        ("--time", "2h"),
        ("--workers", "5"),
        ("--out", "elsewhere"),
        ("--storage", "sqlite:///elsewhere.db"),
        ("--data-root", "elsewhere"),
        ("--download",),
        ("--study", "other"),
        ("--resume",),
    ],
    ids=lambda flags: flags[0],
)
def test_what_may_differ_on_resume_is_not_in_the_identity(flags: tuple[str, ...]) -> None:
    assert settings_from(*flags) != settings_from()
    assert settings_from(*flags).identity() == settings_from().identity()


@pytest.mark.parametrize(
    ("name", "flags", "value"),
    [
        ("budget", ("--budget", "90mflops"), "90mflops"),
        ("data", ("--data", "cifar10"), "cifar10"),
        ("image_size", ("--image-size", "20"), 20),
        ("resolution", ("--resolution", "160"), 160),
        ("classes", ("--classes", "10"), 10),
        ("runtime", ("--runtime", "torch"), "torch"),
        ("sampler", ("--sampler", "random"), "random"),
        ("seed", ("--seed", "1"), 1),
    ],
)
def test_what_decides_the_numbers_is_in_the_identity(name: str, flags: tuple[str, ...], value: object) -> None:
    usual, other = settings_from().identity(), settings_from(*flags).identity()
    assert {key for key in usual if usual[key] != other[key]} == {name}
    assert other[name] == value


def test_the_task_is_in_the_identity_where_it_is_none_that_older_studies_had() -> None:
    usual, backbone = settings_from().identity(), settings_from("--task", "detection-backbone").identity()
    assert "task" not in usual
    assert {name: backbone[name] for name in backbone if backbone[name] != usual.get(name)} == {
        **{"task": "detection-backbone", "resolution": 320, "classes": 0},
        "space": {**usual["space"], "heads": [0]},
    }


def test_recipe_and_space_are_in_the_identity_value_by_value(tmp_path: Path) -> None:
    assert settings_from("--recipe", "long").identity()["recipe"]["name"] == "long"
    usual = settings_from().identity()
    assert usual["recipe"]["learning_rate"] == settings_from().recipe.learning_rate
    assert usual["space"]["splits"] == ["1/4", "1/3", "1/2", "2/3", "3/4"]
    assert usual["space"]["depths"][1] == [4, 5, 6, 7, 8, 9, 10]


def test_a_folder_of_images_names_one_study_however_it_is_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "plain")
    (tmp_path / "link").symlink_to(tmp_path / "plain")
    spellings = ("plain", "plain/", "./plain", "link", "plain/../plain", str(tmp_path / "plain"))
    assert len({settings_from("--data", f"folder:{each}").study for each in spellings}) == 1


def test_names_may_be_in_capitals() -> None:
    assert settings_from("--sampler", "TPE", "--device", "CPU", "--recipe", "Short").identity() == (
        settings_from("--sampler", "tpe", "--device", "cpu", "--recipe", "short").identity()
    )
