"""The view of reports: a day, a month, how many can be reached; as figures, as a chart, as files and on paper."""

from __future__ import annotations

import csv
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.integration.page.accessibility import obstacles
from tests.integration.page.believable_day import BelievableDay
from tests.integration.page.browser import Server
from tests.integration.page.conftest import Enter


def opened(enter: Enter, place: str = "#reports") -> Page:
    page = enter("Viewer").open(place)
    page.get_by_role("heading", name="Reports", exact=True).wait_for()
    return page


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def figure(part: Locator, word: str) -> Locator:
    return part.locator(".figure").filter(has_text=word).locator(".big").first


def saved(page: Page, name: str, folder: Path) -> tuple[str, list[list[str]]]:
    """What the link downloads: its name, and its rows."""
    with page.expect_download() as caught:
        page.get_by_role("link", name=name).click()
    path = folder / caught.value.suggested_filename
    caught.value.save_as(path)
    with path.open(newline="", encoding="utf-8-sig") as file:
        return path.name, list(csv.reader(file, strict=True))


def test_a_day_is_told_in_figures_and_the_days_beside_it_are_one_step_away(busy_server: Server, enter: Enter) -> None:
    visitor = enter("Viewer")
    visitor.allow("503")
    page = visitor.open("#reports")
    day = card(page, "Tuesday, 24 November 2026")
    expect(figure(day, "Due")).to_have_text("264")
    expect(figure(day, "Reached")).to_have_text("205")
    expect(figure(day, "Share")).to_have_text("77.6 %")
    expect(day).to_contain_text("below the target of 99 %")
    expect(day.get_by_role("table", name="Reminders by reason")).to_contain_text("All attempts failed10")
    skips = day.get_by_role("table", name="Appointments that nobody was told of, by reason")
    expect(skips.get_by_role("row", name="No address known")).to_contain_text("6")
    expect(day.get_by_role("link", name="Day after →")).to_have_count(0)
    day.get_by_role("link", name="← Day before").click()
    yesterday = card(page, "Monday, 23 November 2026")
    expect(figure(yesterday, "Due")).to_have_text("60")
    expect(figure(yesterday, "Share")).to_have_text("100.0 %")
    yesterday.get_by_label("Day", exact=True).fill("2026-10-01")
    october = card(page, "Thursday, 1 October 2026")
    expect(october).to_contain_text("No reminders on this day")
    page.route("**/v1/reports/delivery?*", lambda route: route.fulfill(status=503, json={"detail": "Not just now."}))
    october.get_by_role("link", name="Day after →").click()
    expect(card(page, "Friday, 2 October 2026").get_by_role("alert")).to_contain_text("Not just now.")
    expect(page.get_by_text("No reminders on this day")).to_have_count(0)  # that was another day's


def test_a_month_is_a_chart_and_a_table_whose_days_lead_to_their_reports(busy_server: Server, enter: Enter) -> None:
    page = opened(enter)
    month = card(page, "November 2026")
    table = month.get_by_role("table", name="Each day of November 2026 with reminders")
    expect(table.locator("tbody tr")).to_have_count(24)
    expect(month.get_by_role("img")).to_have_attribute(
        "aria-label", "On 12 of 24 days 99 % or more were reached; at most 264 were due on a day."
    )
    expect(month.locator("svg rect.delivered")).to_have_count(24)
    table.get_by_role("link", name="Fri 6 Nov").click()
    expect(card(page, "Friday, 6 November 2026")).to_be_visible()
    month.get_by_role("link", name="← Month before").click()
    expect(card(page, "October 2026")).to_contain_text("No reminders in this month")
    assert page.url.endswith("#reports?date=2026-11-06&month=2026-10")


def test_every_report_is_saved_as_csv_with_the_browsers_own_login(
    busy_server: Server, enter: Enter, tmp_path: Path
) -> None:
    page = opened(enter)
    name, rows = saved(page, "Save as CSV: the report of 2026-11-24", tmp_path)
    assert name.endswith(".csv")
    assert ["patient_days_due", "", "264"] in rows
    assert ["skipped", "no_contact", "6"] in rows
    name, [header, *days] = saved(page, "Save as CSV: November 2026", tmp_path)
    assert (header[0], len(days), days[-1][:3]) == ("day", 24, ["2026-11-24", "264", "205"])
    name, [header, counts] = saved(page, "Save as CSV: the contact coverage", tmp_path)
    coverage = dict(zip(header, counts, strict=True))
    shown = card(page, "Contact coverage")
    expect(figure(shown, "Patients")).to_have_text(coverage["patients"])
    expect(figure(shown, "With e-mail")).to_have_text(coverage["with_email"])


def test_everybody_can_use_it_and_paper_has_nothing_to_press(
    busy_server: Server, busy_day: BelievableDay, enter: Enter
) -> None:
    page = opened(enter)
    card(page, "November 2026").get_by_role("table").wait_for()
    expect(card(page, "Contact coverage")).to_contain_text("97.8 %")
    assert obstacles(page) == []
    page.emulate_media(media="print")
    for pressed in ("Print", "Save as CSV: November 2026", "← Day before"):
        expect(page.get_by_text(pressed.split(":")[0]).first).to_be_hidden()


def test_an_empty_database_is_said_in_words(server: Server, enter: Enter) -> None:
    page = opened(enter)
    for said in ("No reminders on this day", "No reminders in this month", "No appointments ahead"):
        expect(page.locator("main")).to_contain_text(said)
