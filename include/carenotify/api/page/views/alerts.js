// What staff were told of: what happened, how bad it is, whether it is over, whether it was mailed, and what to do.

import { html } from "../vendor/htm-preact.js";
import { LOGIN, get } from "../api.js";
import { reasonTitle } from "../letters.js";
import { useLoad } from "../live.js";
import { Answer, Badge, Card, Channel, Empty, Heading, Pager, Time } from "../parts.js";
import { address } from "../route.js";
import { lasting } from "../times.js";
import { count, severityTone, severityWord, statusWord, whole } from "../words.js";

const PAGE = 25;
// States: they last until they are over. Everything else has happened.
const STATES = new Set([
  "load_held", "sending_stalled", "provider_down", "paused_in_window", "no_plan", "nothing_ingested", "watcher_silent",
]);
// Where on the page there is more.
const PLACES = {
  broker_gave_up: ["dead-letters", "Open the dead letters"],
  sending_stalled: ["today", "Open today"],
  provider_down: ["today", "See the providers"],
  paused_in_window: ["today", "See what is paused"],
  no_plan: ["today", "Open today"],
  nothing_ingested: ["today", "Open today"],
};

export default function Alerts({ overview, argument }) {
  const { cursor } = argument.params;
  const newest = overview?.alerts?.[0]?.id ?? null;
  const unmailed = overview?.alerts_unmailed ?? 0;
  const page = useLoad((signal) => get("alerts", { cursor, limit: PAGE }, { signal }), [cursor], { fresh: [newest, unmailed] });
  return html`
    <${Heading} title="Alerts" note="Everything that staff are mailed about: failures, grouped, and states that last." />
    ${unmailed > 0 && html`<p class="notice warn">${count(unmailed, "alert")} ${unmailed === 1 ? "waits" : "wait"} to be mailed. If that stays so for minutes, the mail server, or the address that alerts go to, needs looking at.</p>`}
    <${Answer} of=${page}>${({ alerts, cursor: next }) => html`
      <${List} alerts=${alerts} isFirst=${!cursor} />
      <${Pager} label="Pages of alerts" newest=${cursor ? address("alerts") : null} next=${next ? address("alerts", { params: { cursor: next } }) : null} />`}<//>`;
}

function List({ alerts, isFirst }) {
  if (alerts.length === 0) {
    return html`<${Card}><${Empty} title=${isFirst ? "All is well" : "No older ones"}>${isFirst ? "Nothing has happened that staff had to be told of." : "There are no alerts before those that you saw."}<//><//>`;
  }
  return html`<ol class="told" aria-label="Alerts, newest first">${alerts.map((alert) => html`<${Alert} key=${alert.id} alert=${alert} />`)}</ol>`;
}

function Alert({ alert }) {
  const { severity, title, channel, subject, raised_at } = alert;
  const isOver = alert.resolved_at !== null;
  const isEverywhere = [channel, subject].includes("*");
  const what = about(alert) ?? whyNot(alert) ?? (isEverywhere || subject === channel ? null : html`<code>${subject}</code>`);
  const facts = [isEverywhere ? "Every channel" : channel && html`<${Channel} channel=${channel} />`, what].filter(Boolean);
  return html`<li class=${`card ${isOver ? "quiet" : severityTone(severity)}`}>
    <header>
      <h2>${title}${alert.count > 1 && html` <span class="figure">(${whole(alert.count)})</span>`}</h2>
      <${Badge} tone=${isOver ? "quiet" : severityTone(severity)}>${severityWord(severity)}<//>
      <span class="note"><${Time} at=${raised_at} /></span>
    </header>
    <p>${facts.map((fact, place) => html`${place > 0 && " · "}${fact}`)}</p>
    <p class="marks"><${Standing} alert=${alert} /> <${Mailed} alert=${alert} /></p>
    <p class="advice">${alert.what_to_do}</p>
    <${More} alert=${alert} />
  </li>`;
}

/** What it is about in words, where its details say so; null: show the subject as it is. */
function about({ kind, details: { status, reason, code } }) {
  if (kind !== "delivery_failed" || !status) return null;
  return html`${statusWord(status)}${reason && reason !== status && ` · ${reasonTitle(reason)}`}${code && html` · answer <code>${code}</code>`}`;
}

/** Of a load that was not taken over: which one it is, why, and what else is wrong with it. */
function whyNot({ kind, subject, details: { reason, besides = [] } }) {
  if (kind !== "load_held" || !reason) return null;
  return html`<code>${subject}</code> · ${[reason, ...besides].join("; ")}`;
}

function Standing({ alert: { kind, raised_at, resolved_at } }) {
  if (resolved_at) return html`<${Badge} tone="good">Over<//> <span class="note">after ${lasting(Date.parse(resolved_at) - Date.parse(raised_at))}</span>`;
  return STATES.has(kind) ? html`<${Badge} tone="bad">Goes on<//>` : null;
}

const Mailed = ({ alert: { mailed_at } }) =>
  mailed_at ? html`<span class="note">mailed <${Time} at=${mailed_at} /></span>` : html`<${Badge} tone="warn">Not mailed yet<//>`;

function More({ alert: { kind, channel, details } }) {
  const samples = (details.samples ?? []).filter((id) => typeof id === "string");
  const params = { status: details.status, reason: details.reason, channel };
  const [view, words] = kind === "delivery_failed" ? ["messages", "Open the list of messages"] : (PLACES[kind] ?? []);
  const run = runOf(details);
  if (!view && !run && samples.length === 0) return null;
  return html`<ul class="links">
    ${run && html`<li><a href=${run} target="_top">Open the run in Airflow</a></li>`}
    ${view && html`<li><a href=${address(view, { params: kind === "delivery_failed" ? params : {} })}>${words}</a></li>`}
    ${samples.map((id) => html`<li key=${id}><a href=${address("messages", { id })} title=${id}>Message <span class="id">…${id.slice(-12)}</span></a></li>`)}
  </ul>`;
}

/** Airflow's own page of a run; it shows us in a frame, so it opens around that. */
function runOf({ dag_id: dag, run }) {
  return dag && run ? `${LOGIN}dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run)}` : null;
}
