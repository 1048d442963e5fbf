// What staff were told of last, and what to do about it.

import { html } from "./vendor/htm-preact.js";
import { reasonTitle } from "./letters.js";
import { Badge, Card, Empty, Time } from "./parts.js";
import { address } from "./route.js";
import { shapeNear } from "./times.js";
import { channelWord, count, plain, severityTone, severityWord, statusWord, whole } from "./words.js";

const MOST = 6;

export function LatestAlerts({ overview }) {
  const shown = overview.alerts.slice(0, MOST);
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
  <p class="note">${about(alert)}</p>
  ${explains && html`<p class="note todo">${alert.what_to_do}</p>`}
</li>`;

/** The channel and the cause, where its details say it in words; else its subject. */
function about({ channel, subject, details: { status, reason, code } }) {
  const cause = status ? [statusWord(status), reason !== status && reasonTitle(reason), code] : [subject !== channel && plain(subject)];
  return [channel && channelWord(channel), ...cause].filter(Boolean).join(" · ");
}
