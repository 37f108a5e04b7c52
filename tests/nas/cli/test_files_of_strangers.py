"""Each file that a command reads, in hundreds of wrong forms: one line and exit status 2, soon and in little memory."""

import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders.mutations import mutations
from builders.tables import ROWS

from nas import cost
from nas.latency import __main__ as latency
from nas.latency.bundle import _identity_of
from nas.run import __main__ as run
from proxies.latency.bundle_script import sealed
from search_space import PRESETS, Budget, InputError, SearchSpace
from search_space.choices import Choices

COUNT = 120
LONGEST_SECONDS = 5.0
"""Of a core: what else runs on the machine does not count."""
MEMORY = 4 * 2**30
"""Beyond what the tests before have made this process hold."""
READING = {
    **dict.fromkeys(("ratio", "p10_ms", "median_ms", "mean_ms", "p90_ms", "wall_p10_ms", "reference_p10_ms"), 1.0),
    **{"reference_median_ms": 1.0, "reference_mean_ms": 1.0, "spread": 0.01, "noisy": False, "processes": 4},
    **{"rounds": 40, "taken_at": 1.7e9, "load_average": None, "steal_share": 0.0, "priority": "ordinary"},
    "sha256": "ab",
}
NETWORKS = [
    {
        "network": PRESETS[name].key(),
        "name": name,
        "architecture": PRESETS[name].to_dict(),
        "sha256": "ab",
        "shape": [1, 3, 32, 32],
    }
    for name in ("v2-1.0x", "v2-0.5x")
]
MANIFEST = {
    "bundle": "",
    "reference": PRESETS["v2-1.0x"].key(),
    "classes": 4,
    "timing": {"runs": 4},
    "networks": NETWORKS,
}
RESULTS = {
    "schema": 1,
    "bundle": _identity_of(NETWORKS),
    "device": {"processor": "a board"},
    "fingerprint": "ab12",
    "runtime": "onnxruntime",
    "runtime_version": "1.20",
    "readings": {row["network"]: READING for row in NETWORKS},
    "failures": {"another": "it was too large"},
}


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def check(status: int, said: str, label: str, began: float) -> None:
    """A mistake is told in one line."""
    assert status in (0, 2), label
    assert "Traceback" not in said, label
    if status == 2:
        assert said.count("\n") == 1, label
        assert len(said) < 1000, label
    assert time.process_time() - began < LONGEST_SECONDS, label


@pytest.mark.parametrize("name", ["v1-1.0x-g3", "v2-1.0x"])
def test_architectures(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    file = tmp_path / "found.json"
    for label, content in mutations(PRESETS[name].to_dict(), COUNT):
        file.write_bytes(content)
        began = time.process_time()
        check(cost.main([str(file)]), capsys.readouterr().err, label, began)


def test_spaces() -> None:
    for label, content in mutations(Choices.default().to_dict(), COUNT):
        began = time.process_time()
        try:
            SearchSpace(Choices.from_dict(json.loads(content)), Budget.parse("140mflops"))
        except InputError as error:
            check(2, f"{error}\n", label, began)
        except (ValueError, RecursionError, TypeError, AttributeError):  # no file of the kind, which TOML cannot be
            with pytest.raises((ValueError, RecursionError, AssertionError)):
                assert isinstance(json.loads(content), dict)


def test_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = 0
    for label, content in mutations(dict(list(ROWS.items())[:4]), COUNT):
        Path("table.json").write_bytes(content)
        began = time.process_time()
        # A table that is one is told by what comes next: its networks have no latency.
        status = run.main(["--scorer", "table:table.json", "--budget", "1ms", "--out", "out"])
        said = capsys.readouterr().err
        check(status, said, label, began)
        refused += "knows FLOPs and parameters" not in said
    assert refused > COUNT / 2


def imported(folder: Path, results: bytes, manifest: dict[str, Any] | bytes) -> int:
    """The exit status of an import; whoever changes a bundle can make its identity anew, and the seal of results."""
    (folder / "bundle").mkdir(exist_ok=True)
    (folder / "results.json").write_bytes(results)
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    (folder / "bundle" / "manifest.json").write_bytes(content)
    line = ["import", folder / "results.json", "--bundle", folder / "bundle", "--storage", f"sqlite:///{folder}/s.db"]
    return latency.main([str(each) for each in line])


def loaded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def test_results_of_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = {**MANIFEST, "bundle": _identity_of(NETWORKS)}
    assert imported(tmp_path, json.dumps(sealed(RESULTS)).encode(), manifest) == 0
    capsys.readouterr()
    for label, content in mutations(RESULTS, COUNT):
        found = loaded(content)
        sealed_anew = json.dumps(sealed(found)).encode() if isinstance(found, dict) else content
        began = time.process_time()
        check(imported(tmp_path, sealed_anew, manifest), capsys.readouterr().err, label, began)


def test_manifests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label, content in mutations(MANIFEST, COUNT):
        found, results = loaded(content), RESULTS
        if isinstance(found, dict):
            found["bundle"] = _identity_of(found.get("networks"))
            results = {**RESULTS, "bundle": found["bundle"]}
        began = time.process_time()
        made = imported(tmp_path, json.dumps(sealed(results)).encode(), found if isinstance(found, dict) else content)
        check(made, capsys.readouterr().err, label, began)
