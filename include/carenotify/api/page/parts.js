// The pieces that every view is made of. A view is one file in views/ that exports one component as its default:
//
//   import { html } from "../vendor/htm-preact.js";
//   import { get } from "../api.js";
//   import { useLoad } from "../live.js";
//   import { Answer, Card, Heading, Table, Time } from "../parts.js";
//
//   export default function Alerts({ me, overview, argument, navigate, announce, refresh }) {
//     const { cursor } = argument.params;
//     const asked = useLoad((signal) => get("alerts", { cursor }, { signal }), [cursor], { fresh: [overview?.alerts[0]?.id] });
//     return html`<${Heading} title="Alerts" />
//       <${Answer} of=${asked}>${(page) => html`<${Card}>…<//>`}<//>`;
//   }
//
// me: {name, scopes}; ask may(me, "dead-letters:write") before showing a button.  overview: today, or null before it came;
// useLoad forgets its data when an input changes, and asks the same again when one of `fresh` does: give it what of the
// overview tells of news, or useFreshness(overview).
// argument: {id, params} of the address.  navigate(address("alerts", {params})): go there; links are plain <a href>.
// announce(text, "good" | "bad" | "info"): a toast, read aloud too.  refresh(): ask for the overview at once.
// Colours and sizes come from style.css; no inline styles (the Content-Security-Policy refuses them), never
// dangerouslySetInnerHTML: whatever stands in ${…} is text.

import { html, useCallback, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { Problem } from "./api.js";
import { show } from "./times.js";
import { channelWord, statusTone, statusWord } from "./words.js";

let lastId = 0;
/** An id that nothing else on the page has. */
export const useId = (name) => useRef(`${name}-${(lastId += 1)}`).current;

/** Whether this person may do what needs one of these scopes. */
export const may = (me, ...scopes) => scopes.some((scope) => me.scopes.includes(scope));

/** A view's title, with what can be done beside it. Whoever comes here from elsewhere on the page begins at it. */
export const Heading = ({ title, note, children }) => {
  const top = useRef(null);
  useEffect(() => beginAt(top.current), []);
  return html`<header class="heading">
    <div><h1 tabindex="-1" ref=${top}>${title}</h1>${note && html`<p class="note">${note}</p>`}</div>
    ${children && html`<div class="actions">${children}</div>`}
  </header>`;
};

let isFirst = true; // whoever opens the page begins where every page begins
/** Go to a heading, so that a screen reader says where one is and the window shows it from the top. */
export function beginAt(heading) {
  if (!isFirst) {
    window.scrollTo(0, 0);
    heading?.focus({ preventScroll: true });
  }
  isFirst = false;
}

/** A box with a title. `wide` takes two columns of a `.grid`. */
export const Card = ({ title, note, actions, wide, children }) => {
  const id = useId("card");
  return html`<section class=${`card ${wide ? "wide" : ""}`} aria-labelledby=${title ? id : null}>
    ${title && html`<header><h2 id=${id}>${title}</h2>${note && html`<span class="note">${note}</span>`}${actions}</header>`}
    ${children}
  </section>`;
};

/** A short word in a colour; `tone` is good, bad, warn, busy or quiet. The word alone says it too. */
export const Badge = ({ tone = "quiet", children }) => html`<span class=${`badge ${tone}`}>${children}</span>`;
export const Status = ({ status }) => html`<${Badge} tone=${statusTone(status)}>${statusWord(status)}<//>`;
export const Channel = ({ channel }) => html`<span class="channel">${channelWord(channel)}</span>`;

/** An instant on the hospital's clocks; `shape` as in times.js. The exact time is in its title. */
export const Time = ({ at, shape = "moment", none = "–" }) =>
  at ? html`<time datetime=${at} title=${show(at, "exact")}>${show(at, shape)}</time>` : none;

/** A button. `tone` is plain, primary, danger or quiet; while `busy` it cannot be pressed again. */
export const Button = ({ tone = "plain", busy = false, disabled = false, type = "button", children, ...rest }) => html`
  <button type=${type} class=${`button ${tone}`} disabled=${disabled || busy} aria-busy=${busy ? "true" : null} ...${rest}>
    ${children}
  </button>`;

/** An input with its label; `hint` below it, `error` in its place when something is wrong. Give `options` for a choice:
 * [[value, word], …]. `as="textarea"` for long texts. `onInput(text)` gets the text, not the event. */
export const Field = ({ label, hint, error, options, as = "input", value = "", onInput, ...rest }) => {
  const id = useId("field");
  const said = error ?? hint;
  const shared = {
    id,
    value,
    "aria-describedby": said ? `${id}-said` : null,
    "aria-invalid": error ? "true" : null,
    [options ? "onChange" : "onInput"]: (event) => onInput(event.target.value),
    ...rest,
  };
  const choices = options?.map(([key, word]) => html`<option value=${key} selected=${key === value}>${word}</option>`);
  const input = options ? html`<select ...${shared}>${choices}</select>` : html`<${as} ...${shared} />`;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${input}
    ${said && html`<p id=${`${id}-said`} class=${error ? "wrong" : "note"}>${said}</p>`}
  </div>`;
};

/**
 * A table that becomes a list of cards on a phone. `columns`: [{title, cell: (row) => …, number?, lesser?}]; the first column's
 * cells head their rows, and a phone leaves out what is `lesser`. `caption` is read aloud. `rowKey(row)`.
 */
export const Table = ({ caption, columns, rows, rowKey, empty = "There is nothing here." }) => {
  if (rows.length === 0) return html`<${Empty}>${empty}<//>`;
  const classes = ({ number, lesser }) => [number && "number", lesser && "lesser"].filter(Boolean).join(" ") || null;
  const cell = (row, column, place) => {
    const { title, cell: content } = column;
    const shared = { "data-title": title, class: classes(column) };
    return place === 0
      ? html`<th scope="row" role="rowheader" ...${shared}>${content(row)}</th>`
      : html`<td role="cell" ...${shared}>${content(row)}</td>`;
  };
  return html`<table role="table">
    <caption class="unseen">${caption}</caption>
    <thead role="rowgroup"><tr role="row">
      ${columns.map((column) => html`<th scope="col" role="columnheader" class=${classes(column)}>${column.title}</th>`)}
    </tr></thead>
    <tbody role="rowgroup">
      ${rows.map((row) => html`<tr role="row" key=${rowKey(row)}>${columns.map((column, place) => cell(row, column, place))}</tr>`)}
    </tbody>
  </table>`;
};

/** Buttons to the page before and after; each is an address or null. */
export const Pager = ({ newest, previous, next, label }) => {
  const step = (to, word, rel) => to && html`<a class="button plain" href=${to} rel=${rel}>${word}</a>`;
  if (!newest && !previous && !next) return null;
  return html`<nav class="pager" aria-label=${label}>
    ${step(newest, "Newest", "first")}${step(previous, "← Previous", "prev")}${step(next, "Next →", "next")}
  </nav>`;
};

/** Friendly words where there is nothing to show. */
export const Empty = ({ title, children }) => html`
  <div class="empty">${title && html`<p class="empty-title">${title}</p>`}<p>${children}</p></div>`;

/** What went wrong, and a way to try again. */
export const Trouble = ({ problem, onRetry }) => html`
  <div class="trouble" role="alert">
    <p>${problem.status === 403 ? "Your role in Airflow does not allow this." : problem.detail}</p>
    ${onRetry && problem.isAway && html`<${Button} onClick=${onRetry}>Try again<//>`}
  </div>`;

/** What useLoad brought, once it is there: `<${Answer} of=${asked}>${(data) => html`…`}<//>`. */
export const Answer = ({ of, children }) => {
  if (of.data === null && of.problem) return html`<${Trouble} problem=${of.problem} onRetry=${of.reload} />`;
  if (of.data === null) return html`<p class="looking" role="status">Looking…</p>`;
  return html`${of.problem && html`<${Trouble} problem=${of.problem} onRetry=${of.reload} />`}${children(of.data)}`;
};

/**
 * Asks before something is done. It keeps the keyboard inside and gives the focus back, as <dialog> does by itself.
 * `onConfirm` may be async; while it runs nothing else can be pressed, and a Problem that it throws is shown.
 */
export const Dialog = ({ title, confirm, tone = "primary", onConfirm, onClose, children }) => {
  const element = useRef(null);
  const id = useId("dialog");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    const [before, dialog] = [document.activeElement, element.current];
    dialog.showModal();
    return () => {
      dialog.close(); // while it is open, nothing behind it can have the focus
      if (before?.isConnected) before.focus();
    };
  }, []);
  const run = useCallback(
    async (event) => {
      event.preventDefault();
      setBusy(true);
      try {
        await onConfirm();
        onClose();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        setProblem(error);
        setBusy(false);
      }
    },
    [onConfirm, onClose],
  );
  return html`<dialog ref=${element} aria-labelledby=${id} onCancel=${(event) => (busy ? event.preventDefault() : onClose())}>
    <form onSubmit=${run}>
      <h2 id=${id}>${title}</h2>
      ${children}
      ${problem && html`<${Trouble} problem=${problem} />`}
      <div class="actions">
        <${Button} onClick=${onClose} disabled=${busy}>Back<//>
        <${Button} type="submit" tone=${tone} busy=${busy}>${confirm}<//>
      </div>
    </form>
  </dialog>`;
};
