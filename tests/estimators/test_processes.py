"""Children of processes that have computed with several threads."""

from pathlib import Path

import pytest
from process_scenarios import PARENTS, SCENARIOS, run_alone, table_row

GUIDE = Path(__file__).parents[2] / "docs" / "user_guide.md"


@pytest.mark.parametrize("parent", PARENTS)
def test_children_compute_what_their_parent_does(parent):
    outcomes, output = run_alone(parent)
    assert set(outcomes.values()) == {"same"}, output


def test_the_guide_shows_all_scenarios():
    rows = "\n".join(table_row(scenario, "same") for scenario in SCENARIOS)
    assert f"\n{rows}\n\n" in GUIDE.read_text("utf-8")
