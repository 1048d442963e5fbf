// Today at a glance: how many patients have to be told, how many know, and what needs somebody's attention.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { WindowChart } from "../chart.js";
import { Badge, Button, Card, Empty, Heading, Table, Time, may } from "../parts.js";
import { PauseDialog, PausedBanner } from "../pausing.js";
import { address } from "../route.js";
import { dayOf, lasting, show, showDay } from "../times.js";
import { STATUSES, breakerTone, breakerWord, channelWord, count, plain, severityTone, severityWord, share, statusWord, whole } from "../words.js";

const TICK_MS = 15_000;
const MOST_ALERTS = 6;
const FATES = ["delivered", "sent", "waiting", "failed", "other"];
const FATE_WORD = { delivered: "Delivered", sent: "Sent", waiting: "Waiting", failed: "Failed", other: "Not sent" };

export default function Today({ me, overview, announce, refresh }) {
  const now = useHospitalsNow(overview);
  const [asked, setAsked] = useState(null); // "pause", "resume" or null
  const [done, setDone] = useState(null); // what was paused just now, until the next overview knows it
  if (overview === null) return html`<${Heading} title="Today" /><p class="looking" role="status">Counting…</p>`;
  const channels = Object.keys(overview.by_channel);
  const paused = done?.overview === overview ? done.paused : overview.paused;
  return html`
    <${Heading} title=${showDay(overview.day)} note=${windowWords(overview.window, now)}>
      ${may(me, "pause:write") && paused.length < channels.length && html`<${Button} onClick=${() => setAsked("pause")}>Pause…<//>`}
    <//>
    <${PausedBanner} me=${me} paused=${paused} channels=${channels} onResume=${() => setAsked("resume")} />
    ${hasBegun(overview) ? html`<${Day} overview=${overview} now=${now} />` : html`<${NotYet} overview=${overview} now=${now} />`}
    <div class="grid">
      <${Alerts} overview=${overview} />
      <div class="column"><${Providers} overview=${overview} /><${Background} overview=${overview} /></div>
    </div>
    ${asked && html`<${PauseDialog} act=${asked} ...${{ paused, channels, announce, refresh }} onDone=${(now) => setDone({ overview, paused: now })} onClose=${() => setAsked(null)} />`}`;
}

const totalsOf = (overview) =>
  Object.fromEntries(FATES.map((fate) => [fate, Object.values(overview.by_channel).reduce((sum, each) => sum + each[fate], 0)]));

const hasBegun = (overview) =>
  overview.patient_days_due > 0 || FATES.some((fate) => totalsOf(overview)[fate] > 0);

const Day = ({ overview, now }) => html`
  <${Figures} overview=${overview} now=${now} />
  <${Statuses} overview=${overview} />
  <div class="grid">
    <${Card} title="The window" note="in the hospital's time" wide>
      <${WindowChart} timeline=${overview.timeline} dayWindow=${overview.window} now=${now} />
    <//>
    <${Channels} overview=${overview} />
  </div>`;

function NotYet({ overview, now }) {
  const opens = show(overview.window.opens_at, "time");
  if (overview.planned_at) {
    return html`<${Card}><${Empty} title="Nobody has to be told today">The plan was made at ${show(overview.planned_at, "time")}, and no patient has an appointment that a reminder is due for. Changes of appointments show up here at once.<//><//>`;
  }
  if (now < Date.parse(overview.window.opens_at)) {
    return html`<${Card}><${Empty} title="Nothing to send yet">The day's reminders are planned when the send window opens at ${opens}. Changes of appointments are told at any time, and show up here at once.<//><//>`;
  }
  return html`<${Card}><${Empty} title="No plan has been made today">The send window opened at ${opens}, and no reminders are planned. Look whether the DAG send_reminders runs in Airflow, and whether appointments have been loaded.<//><//>`;
}

function Figures({ overview, now }) {
  const totals = totalsOf(overview);
  return html`<dl class="figures">
    <${Reached} overview=${overview} totals=${totals} now=${now} />
    <${Figure} name="Due" number=${overview.patient_days_due} note=${overview.planned_at ? html`patients, planned at <${Time} at=${overview.planned_at} shape="time" />` : "patients; not planned yet"} />
    <${Figure} name="Waiting" number=${totals.waiting} note="messages to be sent" />
    <${Figure} name="Sent" number=${totals.sent} note="accepted, no receipt yet" />
    <${Figure} name="Delivered" number=${totals.delivered} note="confirmed by a receipt" tone="good" />
    <${Figure} name="Failed" number=${totals.failed} note=${overview.untold > 0 ? `${count(overview.untold, "patient")} not told` : "nobody left untold"} tone=${totals.failed > 0 ? "bad" : null} />
  </dl>`;
}

const Figure = ({ name, number, note, tone }) => html`<div class=${`card figure ${tone ?? ""}`}>
  <dt>${name}</dt>
  <dd class="big">${whole(number)}</dd><dd class="note">${note}</dd>
</div>`;

function Reached({ overview, totals, now }) {
  const { patient_days_due: due, patient_days_reached: reached, reached_share: part, target_share: target } = overview;
  const missing = Math.max(0, Math.ceil(due * target - 1e-9) - reached);
  const isOver = now >= Date.parse(overview.window.closes_at) || totals.waiting + totals.sent === 0;
  const tone = missing === 0 ? "good" : isOver ? "bad" : "busy";
  return html`<div class=${`card figure reached ${tone}`}>
    <dt>Reached</dt>
    <dd class="big">${due > 0 ? share(part) : "–"}</dd>
    <dd class="note">
      <${TargetBar} part=${part ?? 0} target=${target} tone=${tone} />
      ${whole(reached)} of ${count(due, "patient")}. ${missing === 0 ? `The target of ${share(target, 0)} is met.` : `${whole(missing)} more to the target of ${share(target, 0)}.`}
    </dd>
  </div>`;
}

const Statuses = ({ overview: { by_status: byStatus, day } }) => html`<ul class="chips" aria-label="Today's messages by status">
  ${STATUSES.filter((status) => byStatus[status] > 0).map((status) => html`<li key=${status}>
    <a class="chip" href=${address("messages", { params: { status, from: day, to: day } })}>${statusWord(status)} <b class="number">${whole(byStatus[status])}</b></a>
  </li>`)}
</ul>`;

const TargetBar = ({ part, target, tone }) => html`<svg class=${`target ${tone}`} width="100%" height="18" aria-hidden="true">
  <rect class="track" x="0" y="5" width="100%" height="8" rx="4" /><rect class="done" x="0" y="5" width=${`${part * 100}%`} height="8" rx="4" />
  <line x1=${`${target * 100}%`} x2=${`${target * 100}%`} y1="0" y2="18" />
</svg>`;

const Channels = ({ overview }) => html`<${Card} title="Channels">
  ${Object.entries(overview.by_channel).map(([channel, figures]) => html`<${ChannelBar} key=${channel} ...${{ channel, figures }} isPaused=${overview.paused.includes(channel)} />`)}
<//>`;

function ChannelBar({ channel, figures, isPaused }) {
  const total = FATES.reduce((sum, fate) => sum + figures[fate], 0);
  let before = 0;
  const piece = (fate) => {
    const [left, width] = [before, total ? (figures[fate] / total) * 100 : 0];
    before += width;
    return width > 0 && html`<rect class=${`fill ${fate}`} x=${`${left}%`} width=${`${width}%`} height="14" />`;
  };
  return html`<div class="channel-bar">
    <h3>${channelWord(channel)} ${isPaused && html`<${Badge} tone="warn">Paused<//>`}<span class="note">${count(total, "message")}</span></h3>
    <svg width="100%" height="14" aria-hidden="true"><rect class="track" width="100%" height="14" />${FATES.map(piece)}</svg>
    <ul class="legend">${FATES.filter((fate) => figures[fate] > 0).map((fate) => html`<li key=${fate}><i class=${`swatch ${fate}`}></i>${FATE_WORD[fate]} <b class="number">${whole(figures[fate])}</b></li>`)}</ul>
  </div>`;
}

function Providers({ overview }) {
  const near = (instant) => shapeNear(instant, overview.day);
  const state = ({ state, since, retry_at: retryAt }) => html`<${Badge} tone=${breakerTone(state)}>${breakerWord(state)}<//>
    ${state !== "closed" && html`<span class="note"> since <${Time} at=${since} shape=${near(since)} />${retryAt && html`, tried again at <${Time} at=${retryAt} shape=${near(retryAt)} />`}</span>`}`;
  const columns = [
    { title: "Provider", cell: ({ provider, channel }) => html`<span>${provider} <span class="note channel">${channelWord(channel)}</span></span>` },
    { title: "State", cell: (row) => html`<span>${state(row)}${row.state !== "closed" && row.last_code && html` <code>${row.last_code}</code>`}</span>` },
  ];
  return html`<${Card} title="Providers">
    <${Table} caption="Providers and how they stand" columns=${columns} rows=${overview.providers} rowKey=${(row) => `${row.channel} ${row.provider}`} empty="No provider is set up." />
  <//>`;
}

function Alerts({ overview }) {
  const shown = overview.alerts.slice(0, MOST_ALERTS);
  const explains = (alert) => shown.find((other) => !other.resolved_at && other.what_to_do === alert.what_to_do) === alert;
  const more = html`<a class="more" href=${address("alerts")}>All alerts</a>`;
  const unmailed = overview.alerts_unmailed > 0 ? `${count(overview.alerts_unmailed, "alert")} not mailed yet` : null;
  return html`<${Card} title="Alerts" note=${unmailed} wide actions=${more}>
    ${shown.length === 0
      ? html`<${Empty}>No alerts so far.<//>`
      : html`<ul class="alerts">${shown.map((alert) => html`<${Alert} key=${alert.id} ...${{ alert, day: overview.day }} explains=${explains(alert)} />`)}</ul>`}
  <//>`;
}

/** What to do is said once, at the newest alert that it is about. */
const Alert = ({ alert, day, explains }) => html`<li class=${alert.resolved_at ? "over" : null}>
  <p><${Badge} tone=${alert.resolved_at ? "quiet" : severityTone(alert.severity)}>${alert.resolved_at ? "Over" : severityWord(alert.severity)}<//>
    <strong>${alert.title}</strong>${alert.count > 1 && html` <span class="number">× ${whole(alert.count)}</span>`}
    <span class="note when"><${Time} at=${alert.raised_at} shape=${shapeNear(alert.raised_at, day)} /></span></p>
  <p class="note">${subjectWords(alert)}</p>
  ${explains && html`<p class="note todo">${alert.what_to_do}</p>`}
</li>`;

const shapeNear = (instant, day) => (dayOf(instant) === day ? "time" : "moment");

const subjectWords = ({ subject, channel }) => {
  const words = subject.split("/").filter((word) => word !== channel);
  return [...(channel ? [channelWord(channel)] : []), ...new Set(words.map(plain))].join(" · ");
};

function Background({ overview }) {
  const load = overview.last_load;
  return html`<${Card} title="Behind it">
    <dl class="facts">
      <div><dt>Last load</dt><dd>${load ? html`<${Time} at=${load.finished_at} shape=${shapeNear(load.finished_at, overview.day)} /> <${Badge} tone=${load.status === "loaded" ? "good" : "warn"}>${plain(load.status)}<//>` : "none yet"}</dd></div>
      <div><dt>Last plan</dt><dd><${Time} at=${overview.planned_at} shape="time" none="none today" /></dd></div>
      <div><dt>Changes today</dt><dd class="number">${overview.changes_today > 0 ? whole(overview.changes_today) : "none so far"}</dd></div>
      <div><dt>Dead letters</dt><dd class="number">${overview.dead_letters_open > 0 ? `${whole(overview.dead_letters_open)} open` : "none open"}</dd></div>
    </dl>
  <//>`;
}

function windowWords({ opens_at: opens, closes_at: closes }, now) {
  if (Date.parse(closes) - Date.parse(opens) >= 86_000_000) return "The send window is open all day.";
  if (now < Date.parse(opens)) return `The send window opens at ${show(opens, "time")}, in ${lasting(Date.parse(opens) - now)}.`;
  if (now < Date.parse(closes)) return `The send window is open until ${show(closes, "time")}, another ${lasting(Date.parse(closes) - now)}.`;
  return `The send window closed at ${show(closes, "time")}.`;
}

/** The server's clock, going on between two overviews. */
function useHospitalsNow(overview) {
  const [, tick] = useState(0);
  const ahead = useRef(0);
  const known = useRef(null);
  if (overview !== known.current) {
    known.current = overview;
    ahead.current = overview ? Date.parse(overview.now) - Date.now() : 0;
  }
  useEffect(() => {
    const timer = setInterval(() => tick((before) => before + 1), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return Date.now() + ahead.current;
}
