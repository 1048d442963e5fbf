// Today at a glance: how many patients have to be told, how many know, and what needs somebody's attention.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { WindowChart } from "../chart.js";
import { FATES, Figures, Statuses, totalsOf, withoutPlan } from "../figures.js";
import { LatestAlerts } from "../latest_alerts.js";
import { Badge, Button, Card, Empty, Heading, Table, Time, may } from "../parts.js";
import { PauseDialog, PausedBanner } from "../pausing.js";
import { lasting, shapeNear, show, showDay } from "../times.js";
import { breakerTone, breakerWord, channelWord, count, plain, whole } from "../words.js";

const TICK_MS = 15_000;
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
      <${LatestAlerts} overview=${overview} />
      <div class="column"><${Providers} overview=${overview} /><${Background} overview=${overview} /></div>
    </div>
    ${asked && html`<${PauseDialog} act=${asked} ...${{ paused, channels, announce, refresh }} onDone=${(now) => setDone({ overview, paused: now })} onClose=${() => setAsked(null)} />`}`;
}

/** Before the plan everybody ahead counts as due, so that due alone says nothing. */
const hasBegun = (overview) =>
  (overview.planned_at !== null && overview.patient_days_due > 0) || FATES.some((fate) => totalsOf(overview)[fate] > 0);

const Day = ({ overview, now }) => html`
  ${withoutPlan(overview, now)?.isLate && html`<div class="notice warn"><p><strong>No plan has been made today.</strong> ${whatToLookAt(overview)}</p></div>`}
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
  if (!withoutPlan(overview, now).isLate) {
    return html`<${Card}><${Empty} title="The plan is being made">The send window opened at ${opens}. The day's reminders show up here in a moment.<//><//>`;
  }
  return html`<${Card}><${Empty} title="No plan has been made today">${whatToLookAt(overview)}<//><//>`;
}

const whatToLookAt = ({ window: { opens_at: opens } }) =>
  `The send window opened at ${show(opens, "time")}, and no reminders are planned. Look whether the DAG send_reminders runs in Airflow, and whether appointments have been loaded.`;

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
