// Messages that nobody delivered: why, and send them once more or put them away.

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { get } from "../api.js";
import { Confirm } from "../letter_acts.js";
import { REASON_NAMES, isSendable, reasonAdvice, reasonMeaning, reasonTitle, refusalWord, resolutionWord } from "../letters.js";
import { useLoad } from "../live.js";
import { Answer, Badge, Button, Card, Empty, Field, Heading, Pager, Table, Time, may } from "../parts.js";
import { address } from "../route.js";
import { CHANNELS, channelInside, channelWord, count, kindWord, whole } from "../words.js";

const PAGE = 50;

export default function DeadLetters({ me, overview, argument, navigate, announce, refresh }) {
  const wanted = argument.params;
  const { resolved, reason, channel, cursor } = wanted;
  const open = overview?.dead_letters_open ?? null;
  const query = { resolved: resolved ? "true" : null, reason, channel, cursor, limit: PAGE };
  const page = useLoad((signal) => get("dead-letters", query, { signal }), [resolved, reason, channel, cursor], { fresh: [open] });
  const groups = useLoad((signal) => get("dead-letters/reasons", {}, { signal }), [], { fresh: [open] });
  const [act, setAct] = useState(null); // what is being confirmed
  const [outcome, setOutcome] = useState(null);
  const selection = useSelection(page.data, resolved);

  const filter = (params) => navigate(address("dead-letters", { params: { ...wanted, cursor: null, ...params } }), { replace: true });
  const done = (text) => {
    setOutcome(text);
    announce(text, "good");
    selection.clear();
    page.reload();
    groups.reload();
    refresh();
  };
  const shared = { mayAct: may(me, "dead-letters:write"), onAct: setAct, wanted, filter };
  return html`
    <${Heading} title="Dead letters" note="Messages that no attempt delivered, and that wait for somebody to decide." />
    ${outcome && html`<p class="notice good">${outcome}</p>`}
    <${Answer} of=${groups}>${({ reasons }) => html`<${Groups} reasons=${reasons} ...${shared} />`}<//>
    <${Card} title=${resolved ? "Settled" : "Open"}>
      <${Filters} wanted=${wanted} filter=${filter} />
      <${Answer} of=${page}>${(data) => html`
        ${shared.mayAct && !resolved && data.dead_letters.length > 0 && html`<${Chosen} letters=${data.dead_letters} selection=${selection} onAct=${setAct} />`}
        <${Letters} letters=${data.dead_letters} resolved=${resolved} selection=${shared.mayAct && !resolved ? selection : null} wanted=${wanted} />
        <${Pager} label="Pages of dead letters"
          newest=${cursor ? address("dead-letters", { params: { ...wanted, cursor: null } }) : null}
          next=${data.cursor ? address("dead-letters", { params: { ...wanted, cursor: data.cursor } }) : null} />`}<//>
    <//>
    ${act && html`<${Confirm} act=${act} onDone=${done} onClose=${() => setAct(null)} />`}`;
}

/** Which rows are ticked, by id; what is no longer on the page is forgotten. */
function useSelection(page, resolved) {
  const [ids, setIds] = useState(new Set());
  useEffect(() => {
    if (page === null) return;
    const there = new Set(page.dead_letters.map((letter) => letter.id));
    setIds((before) => new Set([...before].filter((id) => there.has(id))));
  }, [page, resolved]);
  const put = (id, isIn) => setIds((before) => {
    const after = new Set(before);
    if (isIn) after.add(id);
    else after.delete(id);
    return after;
  });
  return { ids, put, all: (letters) => setIds(new Set(letters.map((letter) => letter.id))), clear: () => setIds(new Set()) };
}

/** The open ones by reason: what happened, what to do, and all of a reason at once. */
function Groups({ reasons, mayAct, onAct, wanted, filter }) {
  if (reasons.length === 0) {
    return html`<${Card} title="By reason"><${Empty} title="None is open">Every message has reached somebody, or somebody has decided about it.<//><//>`;
  }
  return html`<${Card} title="By reason" note=${`${count(sum(reasons), "open dead letter")}`}>
    <ul class="piles">
      ${reasons.map(({ reason, open, oldest_at }) => html`<li key=${reason}>
        <p class="size">${whole(open)}</p>
        <div>
          <h3>${reasonTitle(reason)} <span class="note">oldest from <${Time} at=${oldest_at} /></span></h3>
          <p>${reasonMeaning(reason)}</p>
          <p class="note">${reasonAdvice(reason)}</p>
        </div>
        <div class="actions">
          <${Button} tone="quiet" aria-label=${`Show only these: ${reasonTitle(reason)}`} aria-pressed=${wanted.reason === reason ? "true" : "false"}
            onClick=${() => filter({ reason: wanted.reason === reason ? null : reason, resolved: null })}>
            Show only these<//>
          ${mayAct && isSendable(reason) && html`<${Button} aria-label=${`Send all again: ${reasonTitle(reason)}`}
            onClick=${() => onAct({ kind: "reason", reason, number: open })}>Send all again<//>`}
        </div>
      </li>`)}
    </ul>
  <//>`;
}

function Filters({ wanted, filter }) {
  const reasons = [["", "Every reason"], ...REASON_NAMES.map((reason) => [reason, reasonTitle(reason)])];
  const channels = [["", "Every channel"], ...CHANNELS.map((channel) => [channel, channelWord(channel)])];
  const states = [["", "Open"], ["yes", "Settled"]];
  return html`<div class="sieve" role="search" aria-label="Dead letters">
    <${Field} label="Reason" options=${reasons} value=${wanted.reason ?? ""} onInput=${(reason) => filter({ reason })} />
    <${Field} label="Channel" options=${channels} value=${wanted.channel ?? ""} onInput=${(channel) => filter({ channel })} />
    <${Field} label="Show" options=${states} value=${wanted.resolved ?? ""} onInput=${(resolved) => filter({ resolved })} />
  </div>`;
}

function Chosen({ letters, selection, onAct }) {
  const chosen = letters.filter((letter) => selection.ids.has(letter.id));
  const sendable = chosen.filter((letter) => letter.refusal === null);
  const isAll = chosen.length === letters.length;
  return html`<div class="chosen" role="group" aria-label="Chosen dead letters">
    <label class="choice"><input type="checkbox" checked=${isAll} indeterminate=${chosen.length > 0 && !isAll}
      onChange=${() => (isAll ? selection.clear() : selection.all(letters))} /> All ${whole(letters.length)} on this page</label>
    <p class="note" aria-live="polite">${chosen.length > 0 && `${count(chosen.length, "chosen", "chosen")}, ${sendable.length} can be sent again`}</p>
    <div class="actions">
      <${Button} tone="primary" disabled=${sendable.length === 0} onClick=${() => onAct({ kind: "replay", chosen })}>Send again<//>
      <${Button} tone="danger" disabled=${chosen.length === 0} onClick=${() => onAct({ kind: "discard", chosen })}>Discard<//>
    </div>
  </div>`;
}

function Letters({ letters, resolved, selection, wanted }) {
  const isNarrow = wanted.reason || wanted.channel || wanted.cursor;
  const empty = resolved ? "None has been settled yet." : "None is open.";
  const columns = [
    { title: "Reason", cell: (letter) => html`<${Reason} letter=${letter} selection=${selection} />` },
    { title: "Message", cell: (letter) => html`<${Message} letter=${letter} />` },
    { title: "Given up", cell: (letter) => html`<${Time} at=${letter.created_at} />` },
    { title: "Attempts", number: true, cell: (letter) => letter.attempts },
    { title: "Last answer", cell: (letter) => (letter.code ? html`<code>${letter.code}</code>` : "–") },
    resolved
      ? { title: "Settled", cell: (letter) => html`<${Settled} letter=${letter} />` }
      : { title: "Can be sent again", cell: (letter) => html`<${Sendable} letter=${letter} />` },
  ];
  return html`<${Table} caption=${resolved ? "Settled dead letters, newest first" : "Open dead letters, newest first"}
    columns=${columns} rows=${letters} rowKey=${(letter) => letter.id} empty=${isNarrow ? "None matches what you chose above." : empty} />`;
}

function Reason({ letter, selection }) {
  const title = reasonTitle(letter.reason);
  if (selection === null) return title;
  const onChange = (event) => selection.put(letter.id, event.target.checked);
  return html`<label class="choice"><input type="checkbox" checked=${selection.ids.has(letter.id)} onChange=${onChange} />
    <span>${title}<span class="unseen">, dead letter ${letter.id}</span></span></label>`;
}

function Message({ letter }) {
  if (letter.kind === null) {
    const what = letter.notification_id ? "its notification is not there" : "not a message of ours";
    return html`<span class="note">${what}${letter.queue && html`, on <code>${letter.queue}</code>`}</span>`;
  }
  return html`<span><a href=${address("messages", { id: letter.notification_id })}>${kindWord(letter.kind)}</a> by ${channelInside(letter.channel)}</span>`;
}

function Sendable({ letter }) {
  const word = letter.refusal === null ? html`<${Badge} tone="good">Yes<//>` : html`<${Badge}>No<//> <span>${refusalWord(letter.refusal)}</span>`;
  return html`<span>${word}${letter.possible_duplicate && html` <${Badge} tone="warn">The provider may have it<//>`}</span>`;
}

const Settled = ({ letter }) => html`<span>${resolutionWord(letter.resolution)}${letter.resolved_by && ` by ${actor(letter.resolved_by)}`}, <${Time} at=${letter.resolved_at} /></span>`;

const sum = (reasons) => reasons.reduce((total, { open }) => total + open, 0);
const actor = (name) => name.replace(/^(person|key|command):/, "");
