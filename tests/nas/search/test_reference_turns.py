"""When a reference may begin, by hand: sizes, seconds and shares."""

from nas.search.reference_turns import Clock, Turns

SIZES = {"near": 10.0, "far": 5.0}


def turns(**known: object) -> Turns:
    """Candidates took 2 s for each unit of size, and one reference 20 s of it."""
    made = Turns(**known)  # type: ignore[arg-type]
    made.took(3.0, 6.0, is_reference=False)
    made.took(10.0, 20.0, is_reference=True)
    return made


def test_the_nearest_waits_until_all_keep_to_a_quarter_of_the_time_so_far() -> None:
    # 20 s were spent and 10 x 2 = 20 s are to come: 40 s are a quarter of 160.
    assert turns().due(SIZES, [], Clock(so_far=159, in_all=1000, left=500)) is None
    assert turns().due(SIZES, [], Clock(so_far=160, in_all=1000, left=500)) == "near"


def test_what_runs_now_counts_as_spent() -> None:
    # 20 + 4 x 2 + 20 = 48, a quarter of 192.
    assert turns().due(SIZES, [4.0], Clock(so_far=191, in_all=1000, left=500)) is None
    assert turns().due(SIZES, [4.0], Clock(so_far=192, in_all=1000, left=500)) == "near"


def test_one_that_never_fits_makes_room_for_the_next() -> None:
    # Of 150 s a quarter is 37.5: 20 + 20 never fit, 20 + 5 x 2 do.
    assert turns().due(SIZES, [], Clock(so_far=150, in_all=150, left=500)) == "far"
    assert turns().due(SIZES, [], Clock(so_far=1000, in_all=1000, left=15)) == "far"
    assert turns().due(SIZES, [], Clock(so_far=1000, in_all=1000, left=9)) is None
    assert turns().due(SIZES, [], Clock(so_far=110, in_all=110, left=500)) is None


def test_what_is_known_may_begin_at_any_time() -> None:
    assert turns(free={"far"}).due(SIZES, [], Clock(so_far=0, in_all=1, left=1)) == "far"


def test_before_anything_was_evaluated_one_begins_only_where_there_is_nothing_else_to_do() -> None:
    assert Turns().due(SIZES, [], Clock(so_far=900, in_all=1000, left=100)) is None
    assert Turns().due(SIZES, [], Clock(so_far=1000, in_all=1000, left=100)) == "near"
    assert Turns().due(SIZES, [5.0], Clock(so_far=1000, in_all=1000, left=100)) is None
