"""The cleaning report: it adds up and it reads."""

from tastemaker.events.adapters.report import CleaningReport

REPORT = CleaningReport(
    source="lines.csv",
    kept=990,
    dropped=(("no item_id", 8), ("occurred_at does not parse", 2)),
    items_kept=40,
    items_dropped=(("no item_id", 10),),
    notes=("3 spellings were merged.",),
)


def test_rows_are_the_kept_and_the_dropped():
    assert REPORT.rows == 990 + 8 + 2


def test_the_printed_table_has_every_reason_with_its_count_and_share():
    lines = str(REPORT).splitlines()

    def line(label: str) -> str:
        return next(line for line in lines if label in line)

    assert "lines.csv" in lines[0]
    assert "1,000" in line("read")
    assert "0.80%" in line("dropped: no item_id")  # 8 of 1,000
    assert "0.20%" in line("occurred_at does not parse")
    assert "99.00%" in line("kept as events")
    assert "20.00%" in line("item dropped: no item_id")  # 10 of 50
    assert "3 spellings were merged." in str(REPORT)


def test_a_report_of_nothing_prints_without_shares():
    assert "–" in str(CleaningReport("nothing", kept=0))
