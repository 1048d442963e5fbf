// What became of a day's reminders, of a month's, and how many patients could be reached at all; to read, print or save.

import { html } from "../vendor/htm-preact.js";
import { addressOf, get } from "../api.js";
import { MonthChart } from "../month_chart.js";
import { reasonTitle } from "../letters.js";
import { useLoad } from "../live.js";
import { Answer, Badge, Button, Card, Empty, Field, Heading, Table } from "../parts.js";
import { address } from "../route.js";
import { dayOf, daysAfter, showDay } from "../times.js";
import { channelInside, channelWord, count, plain, share, whole } from "../words.js";

const TARGET = 0.99;
const EARLIEST = "2000"; // a year that is being typed begins as 0002

// Why nobody was told of an appointment.
const SKIPS = {
  cancelled: "Cancelled",
  no_show: "Patient did not come",
  entered_in_error: "Entered in error",
  not_booked: "Not booked yet",
  past: "Had begun",
  in_quarantine: "Held back by the data checks",
  patient_unknown: "Patient not known",
  deceased: "Patient has died",
  opted_out: "Patient does not want reminders",
  unreadable: "Record cannot be decrypted",
  no_contact: "No address known",
  no_usable_address: "No address can be used",
};
const skipWord = (reason) => SKIPS[reason] ?? plain(reason);

export default function Reports({ overview, argument, navigate }) {
  const today = overview?.day ?? dayOf(Date.now());
  const day = asked(argument.params.date, /^\d{4}-\d{2}-\d{2}$/) ?? today;
  const month = asked(argument.params.month, /^\d{4}-\d{2}$/) ?? day.slice(0, 7);
  const to = (params) => address("reports", { params: { ...argument.params, ...params } });
  const target = overview?.target_share ?? TARGET;
  // Before the plan everybody ahead counts as due and untold, which says nothing of the day.
  const isUnplanned = (each) => each.day === today && !overview?.planned_at && each.untold > 0 && isEmpty(each.by_channel);
  const fresh = [overview !== null && overview.planned_at === null];
  return html`
    <${Heading} title="Reports" note="Of the reminders, counted by patients and days: whoever has two appointments on a day counts once.">
      <${Button} onClick=${() => window.print()}>Print<//>
    <//>
    <${Day} ...${{ day, today, target, to, navigate, isUnplanned, fresh }} />
    <${Month} ...${{ month, today, target, to, navigate, isUnplanned, fresh }} />
    <${Coverage} />`;
}

function Day({ day, today, target, to, navigate, isUnplanned, fresh }) {
  const report = useLoad((signal) => get("reports/delivery", { date: day }, { signal }), [day], { fresh });
  const step = (days) => to({ date: daysAfter(day, days) });
  return html`<${Card} title=${showDay(day)} note=${day === today ? "today, as far as it has come" : null}>
    <div class="pick">
      <a class="button plain" href=${step(-1)}>← Day before</a>
      <${Field} label="Day" type="date" value=${day} max=${today} onInput=${(date) => date >= EARLIEST && navigate(to({ date }))} />
      ${day < today && html`<a class="button plain" href=${step(1)}>Day after →</a>`}
      <${Csv} path="reports/delivery.csv" query=${{ date: day }} of=${`the report of ${day}`} />
    </div>
    <${Answer} of=${report}>${(data) => html`<${DayReport} data=${data} target=${target} isUnplanned=${isUnplanned(data)} />`}<//>
  <//>`;
}

function DayReport({ data, target, isUnplanned }) {
  if (isUnplanned) {
    return html`<${Empty} title="This day is not planned yet">${count(data.patient_days_due, "patient")} with an appointment ahead; who is told, and who is not for a reason, is known after the plan.<//>`;
  }
  if (data.notifications === 0 && data.patient_days_due === 0 && isEmpty(data.skipped)) {
    return html`<${Empty} title="No reminders on this day">Nothing was planned, or it is longer ago than records are kept.<//>`;
  }
  const channels = Object.keys(data.by_channel).sort();
  return html`
    <${Figures} data=${data} target=${target} />
    <div class="grid lists compact">
      <section><h3>By channel</h3><${Table} caption="Reminders by channel" rows=${channels} rowKey=${(channel) => channel} columns=${[
        { title: "Channel", cell: (channel) => channelWord(channel) },
        { title: "Messages", number: true, cell: (channel) => whole(data.by_channel[channel]) },
        { title: "Reached", number: true, cell: (channel) => whole(data.reached_by_channel[channel] ?? 0) },
        { title: "Share of due", number: true, cell: (channel) => shareOf(data.reached_by_channel[channel] ?? 0, data.patient_days_due) },
      ]} /></section>
      <section><h3>Failed or held up, by reason</h3><${Counts} caption="Reminders by reason" title="Reason" of=${data.by_reason} word=${reasonTitle} unit="Messages" empty="Nothing failed." /></section>
      <section><h3>Not told, by reason</h3><${Counts} caption="Appointments that nobody was told of, by reason" title="Reason" of=${data.skipped} word=${skipWord} unit="Appointments" empty="Nobody was left out." /></section>
    </div>
    <p class="note">${asides(data)}</p>`;
}

function Figures({ data, target }) {
  const { reached_share: reached, untold } = data;
  return html`<dl class="figures four">
    <${Figure} word="Due" number=${whole(data.patient_days_due)} note=${data.appointments_due > 0 && count(data.appointments_due, "appointment")} />
    <${Figure} word="Reached" number=${whole(data.patient_days_reached)} />
    <${Figure} word="Share" number=${reached === null ? "–" : share(reached)} tone=${reached !== null && reached >= target ? "good" : ""}
      note=${reached === null ? "nobody was due" : `${reached >= target ? "meets" : "below"} the target of ${share(target, 0)}`} />
    <${Figure} word="Untold" number=${whole(untold)} tone=${untold > 0 ? "bad" : ""} note=${untold > 0 ? "neither told nor left out for a reason" : "as it should be"} />
  </dl>`;
}

const Figure = ({ word, number, note, tone = "" }) => html`<div class=${`figure ${tone}`}>
  <dt>${word}</dt><dd class="big">${number}</dd>${note && html`<dd class="note">${note}</dd>`}</div>`;

const Counts = ({ caption, title, of, word, unit, empty }) => {
  const rows = Object.entries(of ?? {}).sort(([, one], [, other]) => other - one);
  const columns = [
    { title, cell: ([name]) => word(name) },
    { title: unit, number: true, cell: ([, number]) => whole(number) },
  ];
  return html`<${Table} caption=${caption} rows=${rows} rowKey=${([name]) => name} columns=${columns} empty=${empty} />`;
};

function Month({ month, today, target, to, navigate, isUnplanned, fresh }) {
  const report = useLoad((signal) => get("reports/monthly", { month }, { signal }), [month], { fresh });
  const next = monthAfter(month, 1);
  return html`<${Card} title=${monthName(month)}>
    <div class="pick">
      <a class="button plain" href=${to({ month: monthAfter(month, -1) })}>← Month before</a>
      <${Field} label="Month" type="month" value=${month} max=${today.slice(0, 7)} placeholder="2026-11"
        onInput=${(value) => /^\d{4}-\d{2}$/.test(value) && value >= EARLIEST && navigate(to({ month: value }))} />
      ${next <= today.slice(0, 7) && html`<a class="button plain" href=${to({ month: next })}>Month after →</a>`}
      <${Csv} path="reports/monthly.csv" query=${{ month }} of=${monthName(month)} />
    </div>
    <${Answer} of=${report}>${(data) => html`<${MonthReport} ...${{ data, target, to, month, isUnplanned }} />`}<//>
  <//>`;
}

function MonthReport({ data, target, to, month, isUnplanned }) {
  const told = data.days.filter((each) => each.patient_days_due > 0 && !isUnplanned(each));
  const unplanned = data.days.find(isUnplanned);
  const aside = unplanned && html`<p class="note">${showDay(unplanned.day)} is not planned yet, and left out here: ${count(unplanned.patient_days_due, "patient")} with an appointment ahead.</p>`;
  if (told.length === 0 && aside) return aside;
  if (told.length === 0) return html`<${Empty} title="No reminders in this month">Nothing was planned, or it is longer ago than records are kept.<//>`;
  const channels = Object.keys(data.by_channel).sort();
  const columns = [
    { title: "Day", cell: ({ day }) => html`<a class="unbroken" href=${to({ date: day })}>${showDay(day, "day")}</a>` },
    { title: "Due", number: true, cell: (each) => whole(each.patient_days_due) },
    { title: "Reached", number: true, cell: (each) => whole(each.patient_days_reached) },
    { title: "Share", number: true, cell: (each) => html`<${Share} of=${each.reached_share} target=${target} />` },
    ...channels.map((channel) => ({ title: `By ${channelInside(channel)}`, number: true, lesser: true, cell: (each) => whole(each.by_channel[channel] ?? 0) })),
    { title: "Untold", number: true, lesser: true, cell: (each) => whole(each.untold) },
    { title: "Failures", lesser: true, cell: ({ failures }) => failuresIn(failures) },
  ];
  return html`${aside}<${Figures} data=${unplanned ? without(unplanned, data) : data} target=${target} />
    <${MonthChart} days=${told} month=${month} target=${target} />
    <div class="compact"><${Table} caption=${`Each day of ${monthName(month)} with reminders`} columns=${columns} rows=${told} rowKey=${({ day }) => day} /></div>`;
}

/** A month's sums without one of its days. */
function without(day, { patient_days_due, patient_days_reached, untold }) {
  const [due, reached] = [patient_days_due - day.patient_days_due, patient_days_reached - day.patient_days_reached];
  return { patient_days_due: due, patient_days_reached: reached, reached_share: due > 0 ? reached / due : null, untold: untold - day.untold };
}

const Share = ({ of, target }) => (of === null ? "–" : html`<${Badge} tone=${of >= target ? "good" : "warn"}>${share(of)}<//>`);

function Coverage() {
  const asked_ = useLoad((signal) => get("reports/coverage", {}, { signal }), []);
  return html`<${Card} title="Contact coverage" note="of patients with an appointment ahead">
    <${Answer} of=${asked_}>${(data) => (data.patients === 0
      ? html`<${Empty} title="No appointments ahead">There is nobody to reach yet.<//>`
      : html`<dl class="figures four">
        <${Figure} word="Patients" number=${whole(data.patients)} />
        <${Figure} word="With a mobile phone" number=${whole(data.with_phone)} note=${shareOf(data.with_phone, data.patients)} />
        <${Figure} word="With e-mail" number=${whole(data.with_email)} note=${shareOf(data.with_email, data.patients)} />
        <${Figure} word="With any of them" number=${shareOf(data.with_any, data.patients)} note=${`${count(data.patients - data.with_any, "patient")} cannot be reached`} />
      </dl>
      <div class="pick"><${Csv} path="reports/coverage.csv" query=${{}} of="the contact coverage" /></div>`)}<//>
  <//>`;
}

/** The login's cookie goes along, so a plain link is enough. */
const Csv = ({ path, query, of }) => html`<a class="button plain csv" href=${addressOf(path, query)} aria-label=${`Save as CSV: ${of}`} download>Save as CSV</a>`;

function asides({ fallbacks, possible_duplicates: twice, quarantined, addresses_left_out: left }) {
  const said = [
    fallbacks > 0 && `${count(fallbacks, "message")} took the place of another`,
    twice > 0 && `${count(twice, "message")} may have come twice`,
    quarantined > 0 && `${count(quarantined, "row")} of the hospital's data held back by the checks`,
    left > 0 && `${count(left, "address", "addresses")} left out as wrong`,
  ].filter(Boolean);
  return said.length ? `${said.join("; ")}.` : "";
}

function failuresIn(failures) {
  const told = Object.entries(failures ?? {}).sort(([, one], [, other]) => other - one);
  return told.length === 0 ? html`<span class="note">none</span>` : told.map(([reason, number]) => `${whole(number)} ${reasonTitle(reason).toLowerCase()}`).join(", ");
}

function monthAfter(month, months) {
  const [year, number] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1 + months, 15)).toISOString().slice(0, 7);
}

const asked = (text, shape) => (shape.test(text ?? "") && !Number.isNaN(Date.parse(text)) ? text : null);
const isEmpty = (counts) => Object.keys(counts ?? {}).length === 0;
const shareOf = (part, all) => (all > 0 ? share(part / all) : "–");
const monthName = (month) => new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" }).format(new Date(`${month}-15T12:00:00Z`));
