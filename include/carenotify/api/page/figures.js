// The day's big numbers, and how near it is to its target.

import { html } from "./vendor/htm-preact.js";
import { Time } from "./parts.js";
import { address } from "./route.js";
import { show } from "./times.js";
import { STATUSES, count, share, statusWord, whole } from "./words.js";

const PLANNING_MS = 5 * 60_000; // for so long after the window has opened, a plan that is not there is no failure

export const FATES = ["delivered", "sent", "waiting", "failed", "other"];

/** All channels together, by fate. */
export const totalsOf = (overview) =>
  Object.fromEntries(FATES.map((fate) => [fate, Object.values(overview.by_channel).reduce((sum, each) => sum + each[fate], 0)]));

/** Before the plan everybody ahead counts as due and untold: what is to be said instead; null once it is made. */
export function withoutPlan({ planned_at: planned, window: { opens_at: opens } }, now) {
  if (planned) return null;
  const since = now - Date.parse(opens);
  if (since < 0) return { isLate: false, words: `The plan is made when the window opens at ${show(opens, "time")}.` };
  if (since < PLANNING_MS) return { isLate: false, words: "The window has just opened, and the plan is being made." };
  return { isLate: true, words: "No plan has been made today." };
}

/** `now` is in milliseconds. */
export function Figures({ overview, now }) {
  const totals = totalsOf(overview);
  const isPlanned = overview.planned_at !== null;
  return html`<dl class="figures">
    <${Reached} overview=${overview} totals=${totals} now=${now} />
    <${Figure} name="Due" number=${overview.patient_days_due} note=${html`<${Planned} overview=${overview} />`} tone=${isPlanned && overview.untold > 0 ? "bad" : null} />
    <${Figure} name="Waiting" number=${totals.waiting} note="messages to be sent" />
    <${Figure} name="Sent" number=${totals.sent} note="accepted, no receipt yet" />
    <${Figure} name="Delivered" number=${totals.delivered} note="confirmed by a receipt" tone="good" />
    <${Figure} name="Failed" number=${totals.failed} note=${isPlanned ? notReached(overview, totals) : "messages"} tone=${totals.failed > 0 ? "bad" : null} />
  </dl>`;
}

/** Whoever is due and has neither a message nor a reason for none was left out by the plan. */
const Planned = ({ overview: { planned_at: planned, untold } }) =>
  !planned
    ? "patients with an appointment ahead; not planned yet"
    : untold > 0
      ? `patients; ${whole(untold)} of them have no message`
      : html`patients, planned at <${Time} at=${planned} shape="time" />`;

/** A failed message is not yet a patient who was not reached: another one may have taken its place. */
function notReached({ patient_days_due: due, patient_days_reached: reached }, totals) {
  if (due === reached) return due > 0 ? "every patient reached" : "nobody is due";
  return `${count(due - reached, "patient")} not reached${totals.waiting > 0 ? " yet" : ""}`;
}

const Figure = ({ name, number, note, tone }) => html`<div class=${`card figure ${tone ?? ""}`}>
  <dt>${name}</dt>
  <dd class="big">${whole(number)}</dd><dd class="note">${note}</dd>
</div>`;

function Reached({ overview, totals, now }) {
  const { patient_days_due: due, patient_days_reached: reached, reached_share: part, target_share: target } = overview;
  const unplanned = withoutPlan(overview, now);
  if (unplanned || due === 0) return html`<${Unmeasured} words=${unplanned?.words ?? "Nobody is due."} />`;
  const missing = Math.max(0, Math.ceil(due * target - 1e-9) - reached);
  const isOver = now >= Date.parse(overview.window.closes_at) || totals.waiting + totals.sent === 0;
  const tone = missing === 0 ? "good" : isOver ? "bad" : "busy";
  return html`<div class=${`card figure reached ${tone}`}>
    <dt>Reached</dt>
    <dd class="big">${share(part)}</dd>
    <dd class="note">
      <${TargetBar} part=${part} target=${target} tone=${tone} />
      ${whole(reached)} of ${count(due, "patient")}. ${missing === 0 ? `The target of ${share(target, 0)} is met.` : `${whole(missing)} more to the target of ${share(target, 0)}.`}
    </dd>
  </div>`;
}

const Unmeasured = ({ words }) => html`<div class="card figure reached">
  <dt>Reached</dt><dd class="big">–</dd><dd class="note">${words}</dd>
</div>`;

/** Each leads to the messages that it counts. */
export const Statuses = ({ overview: { by_status: byStatus, day } }) => html`<ul class="chips" aria-label="Today's messages by status">
  ${STATUSES.filter((status) => byStatus[status] > 0).map((status) => html`<li key=${status}>
    <a class="chip" href=${address("messages", { params: { status, from: day, to: day } })}>${statusWord(status)} <b class="number">${whole(byStatus[status])}</b></a>
  </li>`)}
</ul>`;

const TargetBar = ({ part, target, tone }) => html`<svg class=${`target ${tone}`} width="100%" height="18" aria-hidden="true">
  <rect class="track" x="0" y="5" width="100%" height="8" rx="4" /><rect class="done" x="0" y="5" width=${`${part * 100}%`} height="8" rx="4" />
  <line x1=${`${target * 100}%`} x2=${`${target * 100}%`} y1="0" y2="18" />
</svg>`;
