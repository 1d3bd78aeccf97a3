"""What the figures rest on: what they were before, the fate of every delivered row, and the checks that did not
hold."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_project.report.figures import ExtractRows, Figures, Quality, RestatedFigure
from dagster_project.report.formats import change_text, typographic, value_text
from dagster_project.report.markup import Markup, element
from dagster_project.report.parts import bilingual, data_table, note, section


def restatements(figures: Figures) -> Markup:
    """The section of figures that differ from the release before; nothing where there was none."""
    found = figures.restatements
    if found is None or found.since is None:
        return Markup("")
    if found.count:
        english = f"{found.count:,} figures of complete periods were restated since release {found.since}"
        japanese = f"リリース {found.since} 以降、完了した期間の数値{found.count:,}件が修正されました"
    else:
        english = f"No figure of a complete period was restated since release {found.since}"
        japanese = f"リリース {found.since} 以降、完了した期間の数値に修正はありません"
    if not found.largest:
        return section("Restated figures", "過去数値の修正", note(f"{english}.", f"{japanese}。"))
    columns = [
        ("Figure of the total", "全体の数値"),
        ("Months restated", "修正月数"),
        ("Most in", "最大の月"),
        ("Before", "修正前"),
        ("Now", "修正後"),
        ("Change", "変化"),
    ]
    rows = (_restated_cells(figures, row) for row in found.largest)
    drawn = data_table("Restated figures that moved most", columns, rows, caption=bilingual(english, japanese))
    return section("Restated figures", "過去数値の修正", element("div", drawn, class_="panel"))


def _restated_cells(figures: Figures, row: RestatedFigure) -> list[str]:
    metric = figures.metric(row.column_name)
    is_whole = all(value is None or value == int(value) for value in (row.previous, row.new))
    unit = metric.unit if metric else "count" if is_whole else "ratio"
    return [
        f"{row.table_name} {row.column_name}",
        value_text(row.months, "count"),
        f"{row.month_start:%Y-%m}",
        typographic(value_text(row.previous, unit)),
        typographic(value_text(row.new, unit)),
        typographic(change_text(row.new, row.previous, unit)),
    ]


def data_quality(quality: Quality) -> Markup:
    """The section of row accounting and failed checks."""
    return section("Data quality", "データ品質", _row_accounting(quality.extracts), _checks(quality))


def _row_accounting(extracts: Sequence[ExtractRows]) -> Markup:
    if not extracts:
        return note("No row accounting in this release.", "行数の記録はありません。")
    columns = [
        ("Extract", "抽出データ"),
        ("Files", "ファイル"),
        ("Delivered rows", "受領行数"),
        ("Accepted", "採用"),
        ("Quarantined", "隔離"),
        ("Quarantined share", "隔離率"),
        ("Superseded", "置換"),
        ("Other states", "その他の状態"),
    ]
    counted = ("files", "delivered", "accepted", "quarantined", "superseded")
    totals = [sum(getattr(row, name) for row in extracts) for name in counted]
    footer = _accounting_cells(ExtractRows("Total", *totals, remarks=""))
    rows = map(_accounting_cells, extracts)
    drawn = data_table("Row accounting by extract", columns, rows, footer, words=frozenset({7}))
    return element("div", drawn, class_="panel")


def _accounting_cells(row: ExtractRows) -> list[str]:
    share = row.quarantined / row.delivered if row.delivered else None
    counts = [value_text(count, "count") for count in (row.files, row.delivered, row.accepted, row.quarantined)]
    return [
        row.extract,
        *counts,
        typographic(value_text(share, "share")),
        value_text(row.superseded, "count"),
        row.remarks,
    ]


def _checks(quality: Quality) -> Markup:
    if quality.checks is None:
        return element(
            "p", bilingual("No quality results in this release.", "品質チェックの結果はありません。"), class_="note"
        )
    if not quality.failed:
        count = f"{quality.checks:,}"
        return note(f"All {count} checks passed.", f"{count}件のチェックにすべて合格しました。")
    columns = [
        ("Check", "チェック"),
        ("Expectation", "期待"),
        ("Column", "列"),
        ("Severity", "重大度"),
        ("Unexpected rows", "該当行数"),
        ("Rows", "行数"),
        ("Observed", "観測値"),
    ]
    rows = [
        [
            failed.suite,
            failed.expectation,
            failed.column_name or "–",
            failed.severity,
            value_text(failed.unexpected_count, "count"),
            value_text(failed.evaluated_rows, "count"),
            failed.observed_value or "–",
        ]
        for failed in quality.failed
    ]
    caption = bilingual(
        f"{len(quality.failed):,} of {quality.checks:,} checks gave a warning",
        f"{quality.checks:,}件中{len(quality.failed):,}件の警告",
    )
    drawn = data_table("Checks that gave a warning", columns, rows, caption=caption, words=frozenset({1, 2, 3, 6}))
    return element("div", drawn, class_="panel")
