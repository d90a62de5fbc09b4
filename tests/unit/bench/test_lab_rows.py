"""The page of the lab's measurements and the runs behind it: what is measured anew is replaced, the rest stays."""

from pathlib import Path

from bench.lab.__main__ import MEASURES, missing
from bench.lab.kept import Kept
from bench.lab.rows import HEAD, Row, page, spread

PAGE = Path(__file__).parents[3] / "docs" / "measurements-lab.md"


def table(text: str) -> list[str]:
    return text.partition(HEAD)[2].partition("\n\n")[0].splitlines()[2:]


def test_a_row_that_is_measured_anew_is_replaced_in_its_place_and_the_others_stay() -> None:
    first = page([Row("up", "1 s", "a", "2 s"), Row("down", "2 s", "")], "")
    after = page([Row("down", "3 s", "b"), Row("new", "4 s", "")], first)

    assert table(first) == ["| up | 1 s | 2 s | a |", "| down | 2 s |  |  |"]
    assert table(after) == ["| up | 1 s | 2 s | a |", "| down | 3 s |  | b |", "| new | 4 s |  |  |"]


def test_what_is_written_below_the_table_stays() -> None:
    text = page([Row("up", "1 s", "")], page([Row("up", "1 s", "")], "") + "\n## Reading it\n\nWords.\n")

    assert text.endswith("\n\n## Reading it\n\nWords.\n")
    assert page([], text) == text


def test_a_bench_that_was_stopped_goes_on_with_the_runs_that_are_missing(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "runs.jsonl"
    kept = Kept(file, "v1.14.3")
    drought = next(measure for measure in MEASURES if measure.name == "drought-40")
    memory = next(measure for measure in MEASURES if measure.name == "memory")
    for seconds in (70.0, 80.0):
        kept.add("drought-40", {"seconds": seconds, "boot": 42.0, "left": 0, "refused": 1})

    assert missing(drought, kept, 5) == 3
    assert missing(drought, kept, 2) == missing(drought, kept, 1) == 0
    assert missing(memory, kept, 5) == 1, "it is measured once"
    (row,) = drought.told(kept.runs("drought-40"))
    assert (row.what, row.measured) == (
        "50 frontends, all Spot refused, until Running, boot 40 s",
        spread([70.0, 80.0]),
    )
    assert f"beyond the slowest boot {spread([28.0, 38.0])}; Spot refused: 1 1 NodeClaims; left Pending 0 0" in row.how
    assert "Karpenter v1.14.3; boot 40 s" in row.how
    assert missing(drought, Kept(file, "v1.15.0"), 5) == 5, "another Karpenter is measured anew"
    kept.forget(["drought-40"])
    assert missing(drought, kept, 5) == 5


def test_no_two_measures_have_a_name_and_every_lab_is_brought_up_once() -> None:
    names = [measure.name for measure in MEASURES]
    labs = [(measure.stack, measure.boot_seconds) for measure in MEASURES]

    assert len(set(names)) == len(names)
    assert [lab for index, lab in enumerate(labs) if lab not in labs[:index]] == [
        lab for index, lab in enumerate(labs) if index == 0 or lab != labs[index - 1]
    ]


def test_the_committed_page_is_one_that_the_bench_can_go_on_with() -> None:
    text = PAGE.read_text()

    assert len(table(text)) > 10
    assert table(page([], text)) == table(text)
