// The send window in steps of some minutes: what was sent and what failed, stacked, and before it what was confirmed.
// A message counts when it is sent and once more when its receipt comes, so these two are not added up.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { show } from "./times.js";
import { whole } from "./words.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const LONG_MS = 6 * HOUR_MS;
const HEIGHT = 220;
const EDGE = { top: 20, right: 8, bottom: 22, left: 48 };
const NARROWEST_BAR = 5;
const WORD_ROOM = 70;
const MERGED = [1, 2, 3, 6, 12, 24];
const SERIES = ["sent", "delivered", "failed"];

/** `timeline` and `day_window` as in the overview; `now` in milliseconds. */
export function WindowChart({ timeline, dayWindow, now }) {
  const [frame, width] = useWidth();
  const [pointed, setPointed] = useState(null);
  const span = spanOf(timeline, dayWindow, now);
  const steps = stepsOf(timeline, span, width - EDGE.left - EDGE.right);
  const total = sumOf(steps);
  const words = `From ${show(span.from, "time")} to ${show(span.to, "time")}: ${told(total)}.`;
  return html`<figure class="chart" ref=${frame}>
    <figcaption><${Legend} of=${pointed ?? total} when=${pointed && `${show(pointed.at, "time")} to ${show(pointed.until, "time")}`} /></figcaption>
    ${width > 0 && html`<${Drawing} ...${{ steps, span, width, dayWindow, now, words, setPointed }} />`}
    <${Figures} steps=${steps} />
  </figure>`;
}

const Legend = ({ of, when }) => html`<p class="legend">
  ${SERIES.map((name) => html`<span><i class=${`swatch ${name}`}></i>${name} <b class="number">${whole(of[name])}</b></span>`)}
  <span class="note">${when ?? "in all; a receipt counts when it comes"}</span>
</p>`;

function Drawing({ steps, span, width, dayWindow, now, words, setPointed }) {
  const top = niceTop(Math.max(...steps.map(heightOf), 4));
  const x = (instant) => EDGE.left + ((instant - span.from) / (span.to - span.from)) * (width - EDGE.left - EDGE.right);
  const y = (number) => HEIGHT - EDGE.bottom - (number / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  return html`<svg width=${width} height=${HEIGHT} viewBox=${`0 0 ${width} ${HEIGHT}`} role="img" aria-label=${words} onPointerLeave=${() => setPointed(null)}>
    ${[0, 0.5, 1].map((part) => html`<${Rule} at=${y(top * part)} width=${width} word=${whole(top * part)} />`)}
    ${hours(span, width).map((instant) => html`<text class="axis middle" x=${x(instant)} y=${HEIGHT - 6}>${show(instant, "time")}</text>`)}
    <${Shade} from=${span.from} to=${Date.parse(dayWindow.opens_at)} x=${x} /><${Shade} from=${Date.parse(dayWindow.closes_at)} to=${span.to} x=${x} />
    ${steps.map((step) => html`<${Bar} ...${{ step, x, y, setPointed }} />`)}
    ${marksOf(dayWindow, now, span, x).map((mark) => html`<${Mark} key=${mark.name} ...${mark} left=${x(mark.at)} />`)}
  </svg>`;
}

function Bar({ step, x, y, setPointed }) {
  const [left, room] = [x(step.at), x(step.until) - x(step.at)];
  const thick = Math.max(1, room - (room > 8 ? 2 : 1));
  const inner = thick > 6 ? thick * 0.25 : 0;
  const fill = (name, from, to, inset = 0) =>
    to > from && html`<rect class=${`fill ${name}`} x=${left + inset} width=${thick - 2 * inset} y=${y(to)} height=${Math.max(1, y(from) - y(to))} />`;
  return html`<g class="bar" onPointerEnter=${() => setPointed(step)}>
    <rect class="catch" x=${left} y=${EDGE.top} width=${room} height=${HEIGHT - EDGE.top - EDGE.bottom} />
    ${fill("sent", 0, step.sent)}${fill("failed", step.sent, step.sent + step.failed)}${fill("delivered", 0, step.delivered, inner)}
  </g>`;
}

const Rule = ({ at, width, word }) => html`
  <line class="rule" x1=${EDGE.left} x2=${width - EDGE.right} y1=${at} y2=${at} /><text class="axis end" x=${EDGE.left - 6} y=${at + 4}>${word}</text>`;

const Shade = ({ from, to, x }) =>
  to > from && html`<rect class="shade" x=${x(from)} y=${EDGE.top} width=${x(to) - x(from)} height=${HEIGHT - EDGE.top - EDGE.bottom} />`;

const Mark = ({ name, left, word, side }) => html`<g class=${`mark ${name}`}>
  <line x1=${left} x2=${left} y1=${EDGE.top - 4} y2=${HEIGHT - EDGE.bottom} />${word && html`<text class=${`axis ${side}`} x=${left} y="11">${word}</text>`}
</g>`;

/** Where the window opens and closes, and now; a word that would be written over "now" is left out. */
function marksOf(dayWindow, now, span, x) {
  const all = [
    { name: "opens", at: Date.parse(dayWindow.opens_at) },
    { name: "closes", at: Date.parse(dayWindow.closes_at) },
    { name: "now", at: now },
  ].filter(({ at }) => at >= span.from && at <= span.to);
  return all.map(({ name, at }) => {
    const isCovered = name !== "now" && now >= span.from && now <= span.to && Math.abs(x(at) - x(now)) < WORD_ROOM;
    const side = x(at) - x(span.from) < WORD_ROOM ? "start" : x(span.to) - x(at) < WORD_ROOM ? "end" : "middle";
    return { name, at, side, word: isCovered ? null : name === "now" ? name : `${name} ${show(at, "time")}` };
  });
}

const Figures = ({ steps }) => html`<details class="figures-table">
  <summary>The same as a table</summary>
  <table class="compact">
    <caption class="unseen">Messages by the time at which they were sent or failed</caption>
    <thead><tr><th scope="col">From</th>${SERIES.map((name) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
    <tbody>${steps.filter(heightOf).map((step) => html`<tr key=${step.at}>
      <th scope="row">${show(step.at, "time")}</th>${SERIES.map((name) => html`<td class="number">${whole(step[name])}</td>`)}
    </tr>`)}</tbody>
  </table>
</details>`;

const heightOf = (step) => Math.max(step.delivered, step.sent + step.failed);
const told = (sums) => SERIES.map((name) => `${whole(sums[name])} ${name}`).join(", ");
const sumOf = (steps) => Object.fromEntries(SERIES.map((name) => [name, steps.reduce((sum, step) => sum + step[name], 0)]));

/** The window and whatever happened outside of it; of a long window what has happened so far, with an hour around it. */
function spanOf({ minutes, points }, dayWindow, now) {
  const step = minutes * MINUTE_MS;
  const times = points.filter(heightOf).map((point) => Date.parse(point.at));
  const [opens, closes] = [Date.parse(dayWindow.opens_at), Date.parse(dayWindow.closes_at)];
  const from = Math.min(opens, ...times);
  const to = Math.max(closes, ...times.map((time) => time + step));
  if (closes - opens <= LONG_MS) return { from, to };
  const present = Math.min(Math.max(now, from), to);
  const [first, last] = [Math.min(present, ...times), Math.max(present, ...times)];
  return {
    from: Math.max(from, Math.floor((first - HOUR_MS) / step) * step),
    to: Math.min(to, Math.ceil((last + HOUR_MS) / step) * step),
  };
}

/** Steps of the timeline over the whole span, merged until each can be seen. */
function stepsOf({ minutes, points }, span, room) {
  const whole = (span.to - span.from) / (minutes * MINUTE_MS);
  const merged = MERGED.find((many) => (room * many) / whole >= NARROWEST_BAR) ?? MERGED.at(-1);
  const length = minutes * merged * MINUTE_MS;
  const steps = Array.from({ length: Math.ceil((span.to - span.from) / length) }, (_, place) => {
    const at = span.from + place * length;
    return { at, until: Math.min(at + length, span.to), delivered: 0, sent: 0, failed: 0 };
  });
  for (const point of points) {
    const step = steps[Math.floor((Date.parse(point.at) - span.from) / length)];
    if (step) SERIES.forEach((name) => (step[name] += point[name]));
  }
  return steps;
}

function niceTop(largest) {
  const scale = 10 ** Math.floor(Math.log10(largest));
  return [1, 2, 4, 6, 8, 10].find((top) => top * scale >= largest) * scale;
}

/** Full hours for the axis, as many as there is room for. */
function hours(span, width) {
  const all = (span.to - span.from) / HOUR_MS;
  const every = [0.5, 1, 2, 3, 4, 6, 12].find((each) => all / each <= width / 70) ?? 12;
  const first = Math.ceil(span.from / (every * HOUR_MS)) * every * HOUR_MS;
  const found = [];
  for (let instant = first; instant <= span.to; instant += every * HOUR_MS) found.push(instant);
  return found.filter((instant) => instant > span.from && instant < span.to);
}

/** A ref for an element, and how wide it is: 0 before it is drawn. */
export function useWidth() {
  const element = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}
