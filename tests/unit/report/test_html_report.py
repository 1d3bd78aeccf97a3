"""The page: what stands on it, and that data stays data."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from dagster_project.report import style
from dagster_project.report.html import write_report
from dagster_project.settings import ConfigurationError

VOID = {"meta"}


class Page(HTMLParser):
    """Tags in order, whether they are balanced, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page_of(tmp_path):
    """The written page of a release."""

    def read(release) -> Page:
        page = Page(write_report(release.path, tmp_path / "report").read_text(encoding="utf-8"))
        assert page.open == []
        return page

    return read


def test_the_page_names_release_date_and_month(release, tmp_path):
    path = write_report(release.path, tmp_path / "a" / "report")
    assert path == tmp_path / "a" / "report" / "index.html"
    text = Page(path.read_text(encoding="utf-8")).text
    for words in ("R-7", "2024-03-15", "2024-02 (complete)", "Still running and not in the charts: 2024-03."):
        assert words in text
    assert "9,999,999" not in text


def test_headline_cards_compare_with_month_and_year_before(release, page_of):
    text = page_of(release).text
    assert "MRR MRR(月次経常収益) 2,500,000 vs 2024-01 ▲ +25.0% (better) vs 2023-02 ▲ +150.0% (better)" in text
    assert "2.50% vs 2024-01 ▲ +0.50 pp (worse) vs 2023-02 ▼ −0.50 pp (better)" in text
    assert "Less than 12 months of history" in text


def test_data_is_never_markup(release, page_of):
    page = page_of(release)
    assert page.all("script") == [] and page.all("b") == []
    for data in ("<script>alert('x')</script> & Co", "<b>7</b>", "Zeal <&>"):
        assert data in page.text


def test_the_page_needs_nothing_from_outside(release, page_of, tmp_path):
    page = page_of(release)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not [attributes for _, attributes in page.tags if attributes.keys() & {"src", "href"}]
    assert not re.search(r"https?://|url\(|@import", (tmp_path / "report" / "index.html").read_text(encoding="utf-8"))


def test_the_same_database_gives_the_same_bytes(release, tmp_path):
    first, second = (write_report(release.path, tmp_path / name).read_bytes() for name in ("one", "two"))
    assert first == second
    assert b"2031" not in first


def test_rows_in_another_order_give_the_same_bytes(release, tmp_path):
    for column in ("customers", "closing_mrr"):
        for month in ("2024-01", "2024-02"):
            release.restate(month, column, 100, 110)
    first = write_report(release.path, tmp_path / "one").read_bytes()
    for table in ("kpi_values", "dim_metrics", "meta_row_accounting", "meta_quality_results", "meta_restatements"):
        release.execute(f"create or replace table {table} as select * from {table} order by hash({table})")
    assert write_report(release.path, tmp_path / "two").read_bytes() == first


def test_tables_and_pictures_can_be_heard(release, page_of):
    page = page_of(release)
    assert {attributes.get("scope") for attributes in page.all("th")} == {"col", "row"}
    pictures = [attributes for attributes in page.all("svg") if attributes.get("role") == "img"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(pictures) == 5
    assert len(ids) == len(set(ids))
    assert {name for picture in pictures for name in picture["aria-labelledby"].split()} == set(ids)
    assert page.all("html")[0]["lang"] == "en"
    assert all(attributes.get("lang") == "ja" for attributes in page.all("span") if attributes.get("class") == "ja")


def test_segments_are_ranked_and_small_samples_marked(release, page_of):
    text = page_of(release).text
    assert text.index("Gold") < text.index("<script>alert")
    assert "& Co 9 * 500,000 * – –" in text
    assert "Not delivered, so that everything is (unknown): owner." in text


def test_many_segments_are_cut_and_summed(release, page_of):
    for number in range(30):
        release.segment(
            "2024-02", "industry", f"industry-{number:02d}", {"mrr": 1000 + number, "customers": 1}, small=True
        )
    text = page_of(release).text
    assert "industry-10" in text and "industry-09" not in text
    assert "10 more with an MRR of 10,045 in all." in text


def test_restated_figures_are_counted_and_the_largest_of_the_total_shown(release, page_of):
    release.restate("2024-01", "customers", 100, 103)
    release.restate("2024-02", "customers", 99, 97)
    release.restate("2024-02", "closing_mrr", 2_500_000, 2_000_000)
    release.restate("2024-02", "quick_ratio", None, 1.25)
    release.restate("2024-02", "closing_mrr", 1, 2, segment=("plan", "<b>Gold</b>"))
    text = page_of(release).text
    shown = (
        "kpi_mrr quick_ratio 1 2024-02 – 1.250 –",
        "kpi_mrr closing_mrr 1 2024-02 2,500,000 2,000,000 −20.0%",
        "kpi_mrr customers 2 2024-01 100 103 +3.0%",
    )
    assert "5 figures of complete periods were restated since release R-6" in text
    assert " ".join(shown) in text


def test_a_release_that_restates_nothing_of_the_total_says_so_in_a_line(release, page_of):
    assert "No figure of a complete period was restated since release R-6." in page_of(release).text
    release.restate("2024-02", "customers", 1, 2, segment=("plan", "Gold"))
    assert "1 figures of complete periods were restated since release R-6." in page_of(release).text


def test_a_first_release_has_nothing_to_restate(release, page_of):
    release.execute("update meta_release set previous_release_id = null")
    assert "Restated" not in page_of(release).text


def test_row_accounting_adds_up_by_extract(release, page_of):
    text = page_of(release).text
    assert "crm/accounts 2 2,000 1,900 60 3.00% 40" in text
    assert "crm/invoices 0 0 0 0 – 0 missing 1" in text
    assert "Total 2 2,000 1,900 60 3.00% 40" in text


def test_failed_warnings_are_listed(release, page_of):
    text = page_of(release).text
    assert "1 of 2 checks gave a warning" in text
    assert "raw/crm known account_id warning 7 2,000 <b>7</b>" in text
    release.execute("delete from meta_quality_results where not success")
    assert "All 1 checks passed." in page_of(release).text


def test_every_metric_is_defined_in_both_languages(release, page_of):
    text = page_of(release).text
    assert "Customer churn rate 解約率(カスタマーチャーン) What customer_churn_rate means" in text
    assert "a / b · Lower is better 低いほど良い" in text


def test_null_is_a_dash_in_tables_and_a_gap_in_charts(release, page_of):
    page = page_of(release)
    assert "NRR NRR(売上継続率) 1.050 ▲ +0.040 (better) –" in page.text
    assert "NRR: 1.010 in 2024-01 to 1.050 in 2024-02." in page.text


def test_without_a_complete_month_the_running_one_is_shown_and_named(new_release, page_of):
    release = new_release()
    release.month("2024-03", {"mrr": 1234.0, "customers": 3}, complete=False, small=True)
    text = page_of(release).text
    assert "2024-03 (running)" in text
    assert "No complete month yet: the figures of 2024-03 are those of a month still running." in text
    assert "1,234" in text
    assert "~ The period is still running." in text and "* Small sample" in text


def test_an_empty_company_has_a_page(new_release, page_of):
    page = page_of(new_release())
    assert "No figures yet." in page.text
    assert page.all("svg") == []


def test_tables_that_do_not_exist_yet_are_left_out(release, page_of):
    for table in (
        "kpi_mrr",
        "kpi_ltv",
        "meta_release",
        "meta_quality_results",
        "meta_row_accounting",
        "meta_restatements",
    ):
        release.execute(f"drop table {table}")
    text = page_of(release).text
    assert "No row accounting in this release." in text and "No quality results in this release." in text
    assert "2,500,000" in text


def test_currency_effects_are_charted_only_where_there_are_any(release, page_of):
    assert "Currency 為替" not in page_of(release).text
    release.execute("update kpi_mrr set fx_impact_mrr = 5 where period_start = date '2024-02-01'")
    assert "Currency 為替" in page_of(release).text


def test_what_is_no_release_is_refused(release, tmp_path):
    with pytest.raises(ConfigurationError, match=r"absent\.duckdb: no such file"):
        write_report(tmp_path / "absent.duckdb", tmp_path / "report")
    release.execute("drop table kpi_values")
    with pytest.raises(ConfigurationError, match="table kpi_values not found"):
        write_report(release.path, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def luminance(colour: str) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[start : start + 2], 16) / 255) for start in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("palette", [style.LIGHT, style.DARK], ids=["light", "dark"])
def test_colours_have_contrast(palette):
    def contrast(one: str, other: str) -> float:
        high, low = sorted((luminance(palette[one]), luminance(palette[other])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    words = {name: contrast(name, "card") for name in ("text", "muted", "better", "worse")}
    assert all(ratio >= 4.5 for ratio in words.values()), words
    assert contrast("muted", "page") >= 4.5
    marks = ("accent", "new", "reactivation", "expansion", "contraction", "churned", "fx")
    assert all(contrast(name, "card") >= 3 for name in marks), {name: contrast(name, "card") for name in marks}
