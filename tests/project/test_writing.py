"""Every file is written whole: what writes one any other way is found in the source, however it does."""

import ast

import pytest
from builders.places import ROOT

PACKAGES = ("search_space", "proxies", "studies", "nas")
HOME = "search_space/files.py"
PRIVATE = {
    "proxies/latency/bundle_script.py": "runs where this project is not; writes aside and renames by itself",
    "proxies/latency/runtimes/ncnn_runtime.py": "temporary folders of the process that measures",
    "proxies/latency/runtimes/onnx_file.py": "temporary folders of the process that measures",
    "proxies/latency/runtimes/torch_eager.py": "temporary folders of the process that measures",
    "nas/latency/agent.py": "temporary folders of the agent",
    "nas/latency/bundle.py": "fills what `replacing` gave",
    "nas/ledger/files.py": "fills what `replacing` gave",
    "nas/cli/command.py": "an empty file that tries whether a folder can be written to",
    "proxies/data/cache.py": "fills what `replacing` gave",
}
"""Files that write otherwise, and why they may."""
METHODS = {
    "save",
    "write_text",
    "write_bytes",
    "touch",
    "to_csv",
    "to_json",
    "to_parquet",
    "savefig",
    "write_html",
    "write_image",
}
CALLS = {
    *("torch.save", "torch.export.save", "torch.jit.save", "onnx.save", "onnx.save_model", "np.save", "np.savez"),
    *("json.dump", "pickle.dump", "yaml.dump", "safetensors.torch.save_file", "save_file"),
    *("shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.make_archive"),
    *("os.replace", "os.rename", "os.mknod"),
}
OPENERS = {"open", "os.fdopen", "io.open", "gzip.open", "lzma.open", "bz2.open", "zipfile.ZipFile", "ZipFile"}
IN_MEMORY = {"buffer", "content", "stream"}


def is_writing(call: ast.Call) -> bool:
    """Whether the call writes a file; to memory, which is named `buffer`, `content` or `stream`, is none."""
    name = ast.unparse(call.func)
    first, _, last = name.rpartition(".")
    if name in OPENERS:
        return bool(set(mode_of(call, place=1)) & set("wax+"))
    if first and last == "open":
        return bool(set(mode_of(call, place=0)) & set("wax+"))
    if name in CALLS or (first not in ("", "files") and last in METHODS):
        return not {ast.unparse(argument) for argument in call.args} & IN_MEMORY
    return False


def mode_of(call: ast.Call, place: int) -> str:
    """In what mode the call opens a file; "" where it does not say."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"] + call.args[place : place + 1]
    return str(given[0].value) if given and isinstance(given[0], ast.Constant) else ""


def writers(tree: ast.AST) -> list[str]:
    """The calls in a file that write one."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if is_writing(call)]


@pytest.mark.parametrize(
    "code",
    [
        "path.write_text('x')",
        "path.write_bytes(b'x')",
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('wb')",
        "path.open(mode='x')",
        "torch.save(x, path)",
        "np.save(path, x)",
        "image.save(path)",
        "json.dump(x, file)",
        "frame.to_csv(path)",
        "shutil.copy(a, b)",
        "zipfile.ZipFile(path, 'w')",
    ],
)
def test_a_direct_write_is_found(code: str) -> None:
    assert len(writers(ast.parse(code))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "path.open()",
        "open(path)",
        "open(path, 'rb')",
        "zipfile.ZipFile(path)",
        "torch.save(x, buffer)",
        "files.write_text(p, t)",
    ],
)
def test_reading_and_writing_to_memory_is_none(code: str) -> None:
    assert writers(ast.parse(code)) == []


def test_every_file_is_written_by_the_one_function() -> None:
    found = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            name = file.relative_to(ROOT).as_posix()
            if calls := writers(ast.parse(file.read_text(encoding="utf-8"))):
                found[name] = calls
    found.pop(HOME)
    assert {name: calls for name, calls in found.items() if name not in PRIVATE} == {}
    assert set(PRIVATE) <= set(found), "no longer writes anything: take it off the list"


def is_in_the_terminals_encoding(call: ast.Call) -> bool:
    """Whether the call reads, writes or receives text and does not say in what encoding."""
    name, given = ast.unparse(call.func), {keyword.arg for keyword in call.keywords}
    if name.endswith(("run", "Popen", "check_output", "check_call")) and given & {"text", "universal_newlines"}:
        return "encoding" not in given
    first, _, last = name.rpartition(".")
    is_text = first not in ("", "files") and last in ("read_text", "write_text")
    is_text |= name == "open" and "b" not in mode_of(call, place=1)
    return is_text and "encoding" not in given


@pytest.mark.parametrize("code", ["p.read_text()", "open(p)", "open(p, 'w')", "run(line, text=True)"])
def test_text_without_an_encoding_is_found(code: str) -> None:
    assert is_in_the_terminals_encoding(ast.parse(code, mode="eval").body)  # type: ignore[arg-type]


def test_no_file_is_read_in_the_encoding_of_the_terminal() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {ast.unparse(node)}"
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and is_in_the_terminals_encoding(node)
    ]
    assert found == []
