// One message from its cause to its end.

import { html, useState } from "./vendor/htm-preact.js";
import { change, get } from "./api.js";
import { reasonMeaning, reasonTitle } from "./letters.js";
import { useFreshness, useLoad } from "./live.js";
import { Answer, Badge, Button, Card, Channel, Dialog, Empty, Heading, Status, Time, may } from "./parts.js";
import { address } from "./route.js";
import { channelInside, isCancellable, kindWord, plain, statusTone, statusWord } from "./words.js";

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/;

/** `list` is the address to go back to. */
export function Story({ me, overview, id, list, announce, refresh }) {
  const asked = useLoad((signal) => get(`notifications/${encodeURIComponent(id)}`, {}, { signal }), [id], { fresh: [useFreshness(overview)] });
  const [asksToCancel, setAsksToCancel] = useState(false);
  const cancel = async () => {
    await change("DELETE", `notifications/${encodeURIComponent(id)}`);
    announce("The message was cancelled.", "good");
    asked.reload();
    refresh();
  };
  if (asked.problem?.status === 404) return html`<${Unknown} id=${id} />`;
  return html`<${Answer} of=${asked}>${(story) => html`
    <${Heading} title=${`${kindWord(story.kind)} by ${channelInside(story.channel)}`} note=${html`<span class="id">${story.id}</span>`}>
      ${may(me, "notifications:write") && isCancellable(story.status) && html`<${Button} tone="danger" onClick=${() => setAsksToCancel(true)}>Cancel it…<//>`}
      <a class="button plain" href=${list}>Back to the list</a>
    <//>
    <div class="grid story">
      <${Card} title="What happened" wide><ol class="timeline">${eventsOf(story).map((event) => html`<${Event} ...${event} />`)}</ol><//>
      <div class="column"><${Facts} story=${story} /><${Told} story=${story} me=${me} /></div>
    </div>
    ${asksToCancel && html`<${Dialog} title="Cancel this message?" confirm="Cancel the message" tone="danger" onConfirm=${cancel} onClose=${() => setAsksToCancel(false)}>
      <p>It will not be sent, and nothing takes its place.</p>
    <//>`}`}<//>`;
}

const Unknown = ({ id }) => html`<${Heading} title="No message has this id" note=${html`<span class="id">${id}</span>`} />
  <${Card}><${Empty}>Old messages are deleted after a time. If it is another id, look for the messages of
    <a href=${address("messages", { params: { patient_id: id } })}>the patient</a> or
    <a href=${address("messages", { params: { appointment_id: id } })}>the appointment</a> with it.<//><//>`;

const Event = ({ at, tone, children }) => html`<li class=${tone}><span class="note"><${Time} at=${at} shape="exact" /></span><div>${children}</div></li>`;

/** Everything that happened, in the order of time; what happened at once stays as it is told. */
function eventsOf(story) {
  const events = [
    { at: story.created_at, tone: "quiet", children: html`<${Cause} story=${story} />` },
    ...(story.changes ?? []).map(({ happened_at: at, actor, action }) => ({ at, tone: "quiet", children: html`${plain(action)} <span class="note">by ${actor}</span>` })),
    ...(story.queued_at ? [{ at: story.queued_at, tone: "quiet", children: "Handed to the queue" }] : []),
    ...story.story.map((attempt) => ({ at: attempt.finished_at, tone: outcomeTone(attempt.outcome), children: html`<${Attempt} ...${attempt} />` })),
    ...story.receipts.map((receipt) => ({ at: receipt.received_at, tone: statusTone(receipt.status), children: html`<${Receipt} ...${receipt} />` })),
    ...(story.finished_at ? [{ at: story.finished_at, tone: statusTone(story.status), children: html`<${End} story=${story} />` }] : []),
  ];
  return events.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

const Link = ({ id, children }) => html`<a href=${address("messages", { id })}>${children}</a>`;

const Cause = ({ story }) => html`<strong>${story.kind === "reminder" ? "Planned" : "Asked for"}</strong>${story.event_id && html` because of the change <span class="id">${story.event_id}</span>`}${story.fallback_of && html`, in the place of <${Link} id=${story.fallback_of}>an earlier message<//>`}`;

const Attempt = ({ attempt, provider, outcome, code }) => html`<${Words}><strong>Attempt ${attempt}</strong>
  ${provider && html`<span>by ${provider}</span>`}<${Badge} tone=${outcomeTone(outcome)}>${plain(outcome)}<//>${code && html`<code>${code}</code>`}<//>`;

const Receipt = ({ provider, provider_status: said, status, code }) => html`<${Words}><strong>Receipt</strong>
  <span>from ${provider}: ${plain(said)}</span>${code && html`<code>${code}</code>`}${status && html`<${Status} status=${status} />`}<//>`;

const End = ({ story }) => html`<${Words}><strong>${statusWord(story.status)}</strong>
  <span>${reasonOf(story)}</span>${isFailure(story) && reasonMeaning(story.reason) && html`<span class="note">${reasonMeaning(story.reason)}</span>`}${story.fallback_id && html`<${Link} id=${story.fallback_id}>Another message took its place<//>`}
  ${story.superseded_by.map((id) => html`<${Link} id=${id}>A newer message tells it now<//>`)}<//>`;

/** Pieces of a line with spaces between them, which htm leaves out. */
const Words = ({ children }) => html`<span class="words">${children.flat().filter(Boolean).flatMap((piece) => [" ", piece])}</span>`;
const outcomeTone = (outcome) => (outcome === "sent" || outcome === "delivered" ? "good" : "warn");
const isFailure = ({ status }) => statusTone(status) === "bad";
const reasonOf = ({ status, reason }) => (reason && reason !== status ? reasonTitle(reason) : "");

function Facts({ story }) {
  const appointments = story.appointment_ids.map((id) => html`<a class="id" href=${address("messages", { params: { appointment_id: id } })}>${id}</a> `);
  return html`<${Card} title="Facts">
    <dl class="facts">
      <${Fact} name="Status"><${Status} status=${story.status} /> <span class="note">${reasonOf(story)}</span><//>
      <${Fact} name="Patient"><a class="id" href=${address("messages", { params: { patient_id: story.patient_id } })}>${story.patient_id}</a><//>
      ${appointments.length > 0 && html`<${Fact} name="Appointments">${appointments}<//>`}
      <${Fact} name="Recipient">${story.recipient ?? "not known any more"}<//>
      <${Fact} name="Channel"><${Channel} channel=${story.channel} />${story.provider && html` <span class="note">${story.provider}</span>`}<//>
      ${story.provider_message_id && html`<${Fact} name="Provider's id"><span class="id">${story.provider_message_id}</span><//>`}
      ${story.error_code && html`<${Fact} name="Last code"><code>${story.error_code}</code><//>`}
      <${Fact} name="Due"><${Time} at=${story.due_at} /><//>
      <${Fact} name="Not sent after"><${Time} at=${story.expires_at} /><//>
      ${story.possible_duplicate && html`<${Fact} name="Twice?">It may have arrived twice: a worker ended while it was being sent.<//>`}
    </dl>
  <//>`;
}

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

const Told = ({ story, me }) => html`<${Card} title="What it tells">
  ${!may(me, "notifications:read") && html`<p class="note">Your role sees that there is something, not what it says.</p>`}
  <${Value} of=${story.data} />
<//>`;

/** Data of any shape, as it was when the message was made. */
function Value({ of }) {
  if (of === null) return html`<span class="note">nothing</span>`;
  if (INSTANT.test(of.start)) return html`<${Time} at=${of.start} /><br />${of.venue}`;
  if (Array.isArray(of)) return html`<ul class="plain">${of.map((each) => html`<li><${Value} of=${each} /></li>`)}</ul>`;
  if (typeof of === "object") return html`<dl class="facts">${Object.entries(of).map(([name, value]) => html`<div><dt>${plain(name)}</dt><dd><${Value} of=${value} /></dd></div>`)}</dl>`;
  return INSTANT.test(of) ? html`<${Time} at=${of} />` : String(of);
}
