"""A search for int8: what its study keeps and is called, and what is refused before anything is begun."""

from dataclasses import replace
from pathlib import Path

import pytest
from builders.settings import settings_from
from optuna.storages import RDBStorage

from nas.run import __main__ as run
from nas.search.settings import settings_of_study
from search_space import InputError
from studies.storage.studies import open_storage, open_study


def test_int8_is_kept_and_part_of_the_name_and_fp32_is_not() -> None:
    of_int8, of_fp32 = (settings_from("--precision", name) for name in ("INT8", "fp32"))
    usual = settings_from()
    assert of_int8.latency.precision == "int8"
    assert of_int8.identity() == {**usual.identity(), "precision": "int8"}
    assert of_fp32.identity() == usual.identity()
    assert [each.study.partition("140mflops")[2] for each in (of_int8, of_fp32)] == [
        "-int8-fashion-mnist-12k",
        "-fashion-mnist-12k",
    ]


def test_a_study_is_read_with_the_precision_that_it_was_searched_in(tmp_path: Path) -> None:
    settings = settings_from("--precision", "int8")
    kept = {**settings.identity(), "data_fingerprint": "0123"}
    again = settings_of_study("one", kept, settings.storage, settings.data, "cpu", 1)
    assert again.latency == replace(settings.latency, throughput_batch=0)


@pytest.fixture
def storage(tmp_path: Path) -> RDBStorage:
    return open_storage(f"sqlite:///{tmp_path}/study.db")


def test_a_study_goes_on_in_its_own_precision_alone(storage: RDBStorage) -> None:
    for name, first, then in (("one", {"precision": "int8"}, {}), ("two", {}, {"precision": "int8"})):
        open_study(storage, name, {"seed": 0, **first}, resume=False)
        was, now = (each.get("precision", "fp32") for each in (first, then))
        with pytest.raises(InputError, match=f"its own settings: precision was '{was}', now '{now}'$"):
            open_study(storage, name, {"seed": 0, **then}, resume=True)
    open_study(storage, "two", {"seed": 0, "precision": "fp32"}, resume=True)
    storage.engine.dispose()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--precision", "int4"), "--precision must be one of fp32, int8, got 'int4'"),
        (
            ("--precision", "int8", "--runtime", "torch"),
            "int8 is computed by the runtimes onnxruntime, openvino; got torch: name one of these, or fp32",
        ),
        (
            ("--precision", "int8", "--latency-device", "cuda"),
            "the runtimes onnxruntime, openvino compute int8 on the cpu; device 'cuda' came: use the cpu, or fp32",
        ),
        (
            ("--precision", "fp32", "--runtime", "openvino-bf16"),
            "the runtime openvino-bf16 computes in bf16; got --precision fp32: leave it out",
        ),
    ],
)
def test_what_a_runtime_does_not_compute_in_is_refused_in_one_line(
    flags: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run.main(["--budget", "140mflops", "--out", str(tmp_path / "out"), *flags]) == 2
    assert capsys.readouterr().err.splitlines() == [f"python -m nas.run: {said}"]
    assert not (tmp_path / "out").exists()
