"""Every drill of Spot judges right: each seeded fault is found by its line, and nothing is found that is none."""

import pytest

from tests.unit.drills.judgement import DRILLS, Judged, judged

JUDGED = list(judged())


@pytest.mark.parametrize("course", JUDGED, ids=lambda course: course.name)
def test_a_course_is_judged_by_the_lines_of_its_fault_and_by_no_other(course: Judged) -> None:
    assert not course.missed
    assert course.false == frozenset()


@pytest.mark.parametrize("drill", DRILLS)
def test_every_line_of_a_drill_has_a_fault_that_it_finds(drill: str) -> None:
    courses = DRILLS[drill]
    lines = {verdict.id for make in courses.in_order.values() for verdict in courses.judge(make())}
    assert {line for _, line, _ in courses.faults.values()} == lines
    assert courses.follows.keys() <= courses.faults.keys()
