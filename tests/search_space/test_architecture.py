import hashlib
import json
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from typing import Any

import pytest

from search_space import PRESETS, Architecture, Budget, InputError, SearchSpace, Stage
from search_space.architecture import parse_split
from search_space.choosers import RandomChooser


def v1(**changes: Any) -> dict[str, Any]:
    stages = [{"depth": 2, "width": width, "groups": 3} for width in (48, 96, 192)]
    return {"schema": 1, "unit": "v1", "stem": 24, "head": 0, "stages": stages, **changes}


def v2(**changes: Any) -> dict[str, Any]:
    stages = [{"depth": 2, "width": width, "split": "1/4"} for width in (48, 96, 192)]
    return {"schema": 1, "unit": "v2", "stem": 24, "head": 1024, "stages": stages, **changes}


def with_stage(data: dict[str, Any], position: int, **changes: Any) -> dict[str, Any]:
    stages = [dict(stage) for stage in data["stages"]]
    stages[position].update(changes)
    return {**data, "stages": [{k: v for k, v in stage.items() if v != "absent"} for stage in stages]}


def without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


def through_json(architecture: Architecture) -> Architecture:
    return Architecture.from_dict(json.loads(json.dumps(architecture.to_dict())))


def drawn(n: int) -> list[Architecture]:
    space = SearchSpace.default(Budget.parse("140mflops"))
    return [space.suggest(RandomChooser(seed)) for seed in range(n)]


# JSON, both ways


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name: str) -> None:
    assert through_json(PRESETS[name]) == PRESETS[name]


def test_drawn_architectures_survive_json() -> None:
    for architecture in drawn(200):
        assert through_json(architecture) == architecture


def test_every_option_survives_json() -> None:
    stages = (
        Stage(1, 24, groups=2, split=Fraction(2, 3), kernel=5, se=True),
        Stage(2, 48, groups=4, split=Fraction(1, 3), kernel=7),
        Stage(3, 64, groups=8, split=Fraction(5, 8), se=True),
    )
    architecture = Architecture(
        "v2", 24, 7, stages, activation="hardswish", residual=True, pre_depthwise=True, shuffle=False
    )
    again = through_json(architecture)
    assert again == architecture
    assert (again.residual, again.pre_depthwise, again.shuffle) == (True, True, False)


def test_json_of_v2_1x_is_schema_1_as_designed() -> None:
    stages = [
        {"depth": depth, "width": width, "groups": 1, "split": "1/2", "kernel": 3, "se": False}
        for depth, width in ((4, 116), (8, 232), (4, 464))
    ]
    options = {"activation": "relu", "residual": False, "pre_depthwise": False, "shuffle": True}
    expected = {"schema": 1, "unit": "v2", "stem": 24, "head": 1024, **options, "stages": stages}
    assert PRESETS["v2-1.0x"].to_dict() == expected


def test_json_of_v1_has_no_split() -> None:
    assert all("split" not in stage for stage in PRESETS["v1-1.0x-g3"].to_dict()["stages"])


def test_options_left_out_have_their_defaults() -> None:
    short = Architecture.from_dict(v2())
    full = Architecture.from_dict(v2(activation="relu", residual=False, pre_depthwise=False, shuffle=True))
    assert short == full
    assert short.stages[0] == Stage(2, 48, groups=1, split=Fraction(1, 4), kernel=3, se=False)


def test_a_split_may_be_written_unreduced() -> None:
    assert Architecture.from_dict(with_stage(v2(), 0, split="2/8")) == Architecture.from_dict(v2())


# bounds


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (with_stage(v2(), 0, depth=10**9), "stage 2: depth must be at most 100, got 1000000000"),
        (with_stage(v2(), 2, width=10**30), "stage 4: width must be at most 8192, got 1000000000000000000000000000000"),
        (with_stage(v2(), 0, width=10**50), "width must be at most 8192, got a number of 167 bits"),
        (v2(head=8193), "head must be at most 8192, got 8193"),
        (v2(stages=v2()["stages"] * 10**5), "an architecture has 3 stages, got 300000"),
        (v2(unit="v" * 10**6), "unit must be one of v1, v2, got 'vvvv"),
        (
            v2(stages=[{"depth": 99, "width": 8000, "split": "1/2"}] * 3),
            "must come to at most 4294967296, got 19008000000",
        ),
    ],
)
def test_what_no_machine_holds_is_refused_where_it_is_read(data: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        Architecture.from_dict(data)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("text", ["1e-99999999", "1/0", "nan", "1/" + "9" * 10**5, "-1/2", "0.5e0", "", None, 0.5, {}])
def test_a_split_is_a_short_fraction(text: Any) -> None:
    with pytest.raises(InputError, match="split must"):
        parse_split(text)


# keys


def test_key_is_the_hash_of_the_canonical_json() -> None:
    # Written out by hand: keys in alphabetical order, no blanks.
    stage = '{{"depth":{},"groups":1,"kernel":3,"se":false,"split":"1/2","width":{}}}'
    stages = ",".join(stage.format(depth, width) for depth, width in ((4, 116), (8, 232), (4, 464)))
    text = (
        '{"activation":"relu","head":1024,"pre_depthwise":false,"residual":false,"schema":1,"shuffle":true,'
        f'"stages":[{stages}],"stem":24,"unit":"v2"}}'
    )
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "1eeb10146410be59"
    assert PRESETS["v2-1.0x"].key() == "1eeb10146410be59"


def test_key_does_not_depend_on_the_order_of_keys() -> None:
    data = PRESETS["v1-0.5x-g8"].to_dict()
    backwards = dict(reversed(data.items()))
    backwards["stages"] = [dict(reversed(stage.items())) for stage in data["stages"]]
    assert list(backwards) != list(data)
    assert Architecture.from_dict(backwards).key() == PRESETS["v1-0.5x-g8"].key()


def test_equal_architectures_have_equal_keys() -> None:
    for architecture in drawn(50):
        assert through_json(architecture).key() == architecture.key()


def test_different_architectures_have_different_keys() -> None:
    different = {*drawn(500), *PRESETS.values()}
    assert len(different) > 490
    assert len({architecture.key() for architecture in different}) == len(different)


@pytest.mark.parametrize(
    "changes",
    [
        {"stem": 48},
        {"head": 0},
        {"activation": "hardswish"},
        {"residual": True},
        {"pre_depthwise": True},
        {"shuffle": False},
    ],
    ids=str,
)
def test_every_option_changes_the_key(changes: dict[str, Any]) -> None:
    assert replace(PRESETS["v2-1.0x"], **changes).key() != PRESETS["v2-1.0x"].key()


def test_an_architecture_is_frozen_and_hashable() -> None:
    architecture = PRESETS["v2-1.0x"]
    with pytest.raises(FrozenInstanceError):
        architecture.stem = 3  # type: ignore[misc]
    assert architecture in {through_json(architecture)}


# what is refused: (data, parts of the message)

REFUSED = {
    "unknown key": (v2(hed=3), "hed"),
    "unknown stage key": (with_stage(v2(), 1, grups=2), "grups"),
    **{f"no {name}": (without(v2(), name), name) for name in ("schema", "unit", "stem", "head", "stages")},
    "no depth": (with_stage(v2(), 0, depth="absent"), "depth"),
    "no width": (with_stage(v2(), 2, width="absent"), "width"),
    "schema 2": (v2(schema=2), "schema", "2"),
    "schema as text": (v2(schema="1"), "schema", "'1'"),
    "unit v3": (v2(unit="v3"), "unit", "v1, v2", "'v3'"),
    "activation gelu": (v2(activation="gelu"), "activation", "relu, hardswish", "'gelu'"),
    "bottleneck 1/3": (v1(bottleneck="1/3"), "bottleneck", "1/3"),
    "bottleneck a number": (v1(bottleneck=0.25), "bottleneck", "0.25"),
    "bottleneck of v2": (v2(bottleneck="1/2"), "bottleneck", "v1"),
    "bottleneck wider than the width divides": (with_stage(v1(bottleneck="1/8"), 0, groups=4), "8 x groups = 32", "48"),
    "xception of v1": (with_stage(v1(), 1, xception=True), "stage 3", "xception", "v2"),
    "xception 1": (with_stage(v2(), 0, xception=1), "xception", "1"),
    "resolution 31": (v2(resolution=31), "resolution", "31"),
    "resolution text": (v2(resolution="160"), "resolution", "'160'"),
    "stem 0": (v2(stem=0), "stem", "0"),
    "stem true": (v2(stem=True), "stem", "True"),
    "stem float": (v2(stem=24.0), "stem", "24.0"),
    "stem text": (v2(stem="24"), "stem", "'24'"),
    "stem null": (v2(stem=None), "stem", "None"),
    "head -1": (v2(head=-1), "head", "-1"),
    "head false": (v2(head=False), "head", "False"),
    "residual 1": (v2(residual=1), "residual", "1"),
    "shuffle text": (v2(shuffle="yes"), "shuffle", "'yes'"),
    "pre_depthwise null": (v2(pre_depthwise=None), "pre_depthwise", "None"),
    "stages text": (v2(stages="abc"), "stages", "'abc'"),
    "two stages": (v2(stages=v2()["stages"][:2]), "3 stages", "2"),
    "four stages": (v2(stages=[*v2()["stages"], v2()["stages"][0]]), "3 stages", "4"),
    "stage a list": (v2(stages=[1, 2, 3]), "stage", "1"),
    "depth 0": (with_stage(v2(), 0, depth=0), "depth", "0"),
    "depth true": (with_stage(v2(), 0, depth=True), "depth", "True"),
    "depth float": (with_stage(v2(), 0, depth=2.0), "depth", "2.0"),
    "width 0": (with_stage(v2(), 0, width=0), "width", "0"),
    "width text": (with_stage(v2(), 0, width="48"), "width", "'48'"),
    "groups 0": (with_stage(v2(), 0, groups=0), "groups", "0"),
    "groups float": (with_stage(v2(), 0, groups=2.0), "groups", "2.0"),
    "kernel 4": (with_stage(v2(), 0, kernel=4), "kernel", "3, 5, 7", "4"),
    "kernel 9": (with_stage(v2(), 0, kernel=9), "kernel", "9"),
    "kernel float": (with_stage(v2(), 0, kernel=3.0), "kernel", "3.0"),
    "kernel true": (with_stage(v2(), 0, kernel=True), "kernel", "True"),
    "se 1": (with_stage(v2(), 0, se=1), "se", "1"),
    "split 0.5": (with_stage(v2(), 0, split=0.5), "split", "0.5"),
    "split half": (with_stage(v2(), 0, split="half"), "split", "'half'"),
    "split 1/0": (with_stage(v2(), 0, split="1/0"), "split", "'1/0'"),
    "split 1/9": (with_stage(v2(), 0, split="1/9"), "split", "8", "1/9"),
    "split 1": (with_stage(v2(), 0, split="1/1"), "split", "1"),
    "split 0": (with_stage(v2(), 0, split="0/4"), "split", "0"),
    "split -1/2": (with_stage(v2(), 0, split="-1/2"), "split", "-1/2"),
    "v2 without split": (with_stage(v2(), 1, split="absent"), "stage 3", "split"),
    "v1 with split": (with_stage(v1(), 1, split="1/2"), "stage 3", "split", "1/2"),
    "v1 with residual": (v1(residual=True), "residual", "v1"),
    "v1 with pre_depthwise": (v1(pre_depthwise=True), "pre_depthwise", "v1"),
    "v1 bottleneck 100/4 by 3": (with_stage(v1(), 1, width=100), "stage 3", "12", "100"),
    "v1 narrower than its input": (with_stage(v1(), 1, width=36), "stage 3", "48", "36"),
    "v1 as wide as its input": (with_stage(v1(), 1, width=48), "stage 3", "48"),
    "v1 input by groups": (v1(stem=25), "stage 2", "3", "25"),
    "v2 split of 50 by 4": (with_stage(v2(), 1, width=50), "stage 3", "1/4", "50"),
    "v2 input by groups": (with_stage(v2(), 1, groups=5), "stage 3", "5", "48"),
    "v2 main by groups": (with_stage(v2(), 0, width=56, groups=4), "stage 2", "4", "14"),
}


def test_the_cases_below_start_from_valid_architectures() -> None:
    assert Architecture.from_dict(v1()).unit == "v1"
    assert Architecture.from_dict(v2()).unit == "v2"


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_built_is_refused_with_its_numbers(case: str) -> None:
    data, *parts = REFUSED[case]
    with pytest.raises(InputError) as error:
        Architecture.from_dict(json.loads(json.dumps(data)))
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_the_other_branch_must_divide_by_groups_too() -> None:
    # 3/4 of 8 = 6 divides by 3, the other 2 do not.
    with pytest.raises(InputError, match=r"stage 2.*other.*3.*2"):
        Architecture("v2", 24, 0, (Stage(1, 8, 3, Fraction(3, 4)), *PRESETS["v2-0.5x"].stages[1:]))


@pytest.mark.parametrize("data", [None, [], "v2", 3])
def test_json_that_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="object"):
        Architecture.from_dict(data)


@pytest.mark.parametrize("schema", [True, 1.0])
def test_a_schema_that_only_equals_1_is_refused(schema: Any) -> None:
    with pytest.raises(InputError, match="schema"):
        Architecture.from_dict(v2(schema=schema))


def test_a_split_in_python_is_a_fraction() -> None:
    for split in (0.5, "1/2", 1):
        with pytest.raises(InputError, match="split"):
            Stage(1, 48, split=split)  # type: ignore[arg-type]


def test_every_split_with_a_denominator_up_to_8_is_legal() -> None:
    splits = {Fraction(n, d) for d in range(2, 9) for n in range(1, d)}
    assert len(splits) == 21  # phi(2) + ... + phi(8) = 1 + 2 + 2 + 4 + 2 + 6 + 4
    for split in splits:
        stages = tuple(Stage(1, 840, split=split) for _ in range(3))
        assert Architecture("v2", 24, 0, stages).stages[0].main_width == 840 * split
        assert parse_split(str(split)) == split


def test_main_width_belongs_to_a_split() -> None:
    assert Stage(1, 48, split=Fraction(2, 3)).main_width == 32
    with pytest.raises(InputError, match="split"):
        _ = Stage(1, 48).main_width


def test_v1_needs_whole_bottlenecks_but_no_more() -> None:
    # 4 x groups = 12: every multiple above the input is built, nothing between.
    for width in range(25, 97):
        stages = (Stage(1, width, 3), Stage(1, 480, 1), Stage(1, 960, 1))
        if width % 12 == 0:
            assert Architecture("v1", 24, 0, stages).stages[0].width == width
        else:
            with pytest.raises(InputError, match=f"12.*{width}"):
                Architecture("v1", 24, 0, stages)


def test_newer_options_are_read_back_and_are_no_part_of_the_key_at_their_default() -> None:
    plain = Architecture.from_dict(v1())
    assert not {"bottleneck", "resolution"} & plain.to_dict().keys()
    assert "xception" not in plain.to_dict()["stages"][0]
    spelt_out = with_stage(v1(bottleneck="1/4", resolution=None), 0, xception=False)
    assert Architecture.from_dict(spelt_out).key() == plain.key()
    for changed in (
        v1(bottleneck="1/2"),
        v1(resolution=160),
        with_stage(v2(), 1, xception=True),
    ):
        architecture = Architecture.from_dict(changed)
        assert Architecture.from_dict(architecture.to_dict()) == architecture
        assert architecture.key() not in (plain.key(), Architecture.from_dict(v2()).key())
