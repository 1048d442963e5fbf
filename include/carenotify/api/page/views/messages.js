// Every message there ever was: found by patient, appointment, status and time, and one message's whole story.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { get } from "../api.js";
import { reasonTitle } from "../letters.js";
import { useFreshness, useLoad } from "../live.js";
import { Answer, Button, Card, Channel, Field, Heading, Pager, Status, Table, Time, beginAt } from "../parts.js";
import { address } from "../route.js";
import { Story } from "../story.js";
import { daysAfter, startOf } from "../times.js";
import { CHANNELS, KINDS, STATUSES, channelWord, kindWord, statusWord } from "../words.js";

const PAGE = 50;
const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const FILTERS = ["patient_id", "appointment_id", "status", "channel", "kind", "reason", "from", "to"];
// Which cursor led to which, for the way back; the address holds only where one is.
const cameFrom = new Map();
// The list that somebody came from, with its filters and its page.
let lastList = address("messages");

export default function Messages(shared) {
  const { argument } = shared;
  return argument.id ? html`<${Story} key=${argument.id} ...${shared} id=${argument.id} list=${lastList} />` : html`<${Search} ...${shared} />`;
}

function Search({ overview, argument: { params }, navigate }) {
  const news = useFreshness(overview);
  const asked = useLoad(
    async (signal) => ({ ...(await get("notifications", { ...queryOf(params), limit: PAGE }, { signal })), params }),
    [params],
    { fresh: [params.cursor ? null : news] }, // the newest page is kept fresh
  );
  const filters = address("messages", { params: filtersOf(params) });
  const shown = useRef({ filters, cursor: params.cursor });
  useEffect(() => {
    lastList = address("messages", { params });
    // Whoever has turned the page goes on at its top; whoever is choosing a filter stays there.
    if (shown.current.filters === filters && shown.current.cursor !== params.cursor) beginAt(document.querySelector("main h1"));
    shown.current = { filters, cursor: params.cursor };
  }, [JSON.stringify(params)]);
  return html`
    <${Heading} title="Messages" note="Newest first. What they say is in each message's story." />
    <${Filters} params=${params} navigate=${navigate} />
    <${Card}>
      <${Answer} of=${asked}>${(page) => html`
        <${Found} page=${page} isSearch=${isFiltered(page.params)} />
        <${Pager} label="Pages of messages" ...${steps(page)} />`}<//>
    <//>`;
}

function Filters({ params, navigate }) {
  const [wanted, setWanted] = useState(filtersOf(params));
  const [id, setId] = useState("");
  useEffect(() => setWanted(filtersOf(params)), [JSON.stringify(filtersOf(params))]);
  const set = (name) => (value) => setWanted((before) => ({ ...before, [name]: value.trim() }));
  const choose = (name) => (value) => navigate(address("messages", { params: { ...wanted, [name]: value } }), { replace: true });
  const lookUp = (text) => {
    setId(text);
    if (WHOLE_ID.test(text.trim())) navigate(address("messages", { id: text.trim().toLowerCase() }));
  };
  const search = (event) => {
    event.preventDefault();
    if (id.trim()) navigate(address("messages", { id: id.trim() }));
    else navigate(address("messages", { params: wanted }));
  };
  const text = (name, label, more = {}) => html`<${Field} label=${label} value=${wanted[name]} onInput=${set(name)} autocomplete="off" spellcheck="false" ...${more} />`;
  const choice = (name, label, values, word) => html`<${Field} label=${label} value=${wanted[name] ?? ""} onInput=${choose(name)} options=${[["", "Any"], ...values.map((value) => [value, word(value)])]} />`;
  return html`<form class="card filters" role="search" aria-label="Messages" onSubmit=${search}>
    <${Field} label="Message id" value=${id} onInput=${lookUp} autocomplete="off" spellcheck="false" placeholder="paste it to see its story" />
    <details open=${isWide()}>
      <summary class="button plain">Filters${isFiltered(params) && ` (${Object.keys(filtersOf(params)).length})`}</summary>
      <div class="fields">
        ${text("patient_id", "Patient id")}${text("appointment_id", "Appointment id")}
        ${choice("status", "Status", STATUSES, statusWord)}${choice("channel", "Channel", CHANNELS, channelWord)}
        ${choice("kind", "Kind", KINDS, kindWord)}${text("reason", "Reason", { placeholder: "such as retries_spent" })}
        ${text("from", "From day", { type: "date" })}${text("to", "To day", { type: "date" })}
      </div>
    </details>
    <div class="actions"><${Button} type="submit" tone="primary">Search<//>
      ${isFiltered(params) && html`<a class="button plain" href=${address("messages")}>Show all</a>`}</div>
  </form>`;
}

function Found({ page, isSearch }) {
  const columns = [
    { title: "Made", cell: (row) => html`<a href=${address("messages", { id: row.id })}><${Time} at=${row.created_at} /></a>` },
    { title: "Patient", cell: (row) => html`<a class="id" href=${address("messages", { params: { patient_id: row.patient_id } })}>${row.patient_id}</a>` },
    { title: "Kind", cell: (row) => kindWord(row.kind) },
    { title: "Channel", cell: (row) => html`<${Channel} channel=${row.channel} />` },
    { title: "Status", cell: (row) => html`<span><${Status} status=${row.status} /> <span class="note">${row.reason && row.reason !== row.status && reasonTitle(row.reason)}</span></span>` },
    { title: "Attempts", number: true, lesser: true, cell: (row) => row.attempts },
    { title: "Provider", lesser: true, cell: (row) => html`<span>${row.provider ?? "–"}${row.error_code && html` <code>${row.error_code}</code>`}</span>` },
    { title: "Settled", lesser: true, cell: (row) => html`<${Time} at=${row.finished_at} />` },
  ];
  // What is usual and does not come together is looked for during a second; then the page ends early, with a cursor.
  const isHalf = page.cursor !== null && page.notifications.length < PAGE;
  const further = isHalf && html`<p class="note">The search has not come to the end yet: Next looks further back.</p>`;
  if (isHalf && page.notifications.length === 0) return further;
  const empty = isSearch
    ? "No message meets all of these conditions."
    : "No message has been made yet. They appear here when the day's plan is made, or an appointment changes.";
  return html`<${Table} caption="Messages, newest first" columns=${columns} rows=${page.notifications} rowKey=${(row) => row.id} empty=${empty} />${further}`;
}

function steps({ params, cursor: following }) {
  const at = (cursor) => address("messages", { params: { ...filtersOf(params), cursor } });
  const isFirst = !params.cursor;
  if (following) cameFrom.set(following, params.cursor ?? null);
  return {
    newest: isFirst ? null : at(null),
    previous: !isFirst && cameFrom.has(params.cursor) ? at(cameFrom.get(params.cursor)) : null,
    next: following && at(following),
  };
}

const isFiltered = (params) => FILTERS.some((name) => params[name]);
const isWide = () => window.matchMedia("(min-width: 720px)").matches;
const filtersOf = (params) => Object.fromEntries(FILTERS.filter((name) => params[name]).map((name) => [name, params[name]]));

/** Days of the address as the instants that the server asks for; the last day is included. */
function queryOf({ from, to, ...others }) {
  return { ...others, from: from && startOf(from), to: to && startOf(daysAfter(to, 1)) };
}
