// A month as bars: how many were due on each day, and how many of them were reached.

import { html } from "./vendor/htm-preact.js";
import { useWidth } from "./chart.js";
import { showDay } from "./times.js";
import { share, whole } from "./words.js";

const [HEIGHT, EDGE] = [150, { top: 10, bottom: 20, left: 38 }];

/** `days`: [{day, patient_days_due, patient_days_reached, reached_share}]. The table beside it says the same. */
export function MonthChart({ days, month, target }) {
  const most = Math.max(...days.map((each) => each.patient_days_due));
  const last = new Date(Date.UTC(...month.split("-").map(Number), 0)).getUTCDate();
  const [frame, width] = useWidth();
  const step = (width - EDGE.left) / last;
  const met = days.filter((each) => each.reached_share !== null && each.reached_share >= target).length;
  const words = `On ${met} of ${days.length} days ${share(target, 0)} or more were reached; at most ${whole(most)} were due on a day.`;
  return html`<figure class="month-chart" ref=${frame}>
    <figcaption class="legend">
      <span><i class="swatch delivered"></i>reached</span><span><i class="swatch failed"></i>due, and not reached</span><span class="note">${words}</span>
    </figcaption>
    ${width > 0 && html`<svg width=${width} height=${HEIGHT} role="img" aria-label=${words}>
      ${[0, 1].map((part) => html`<line class="rule" x1=${EDGE.left} x2=${width} y1=${height(part)} y2=${height(part)} />
        <text class="axis end" x=${EDGE.left - 5} y=${height(part) + 4}>${whole(most * part)}</text>`)}
      ${days.map((each) => html`<${Bar} key=${each.day} each=${each} most=${most} x=${EDGE.left + (Number(each.day.slice(8)) - 1) * step} step=${step} />`)}
      ${[1, 8, 15, 22, 29].filter((number) => number <= last).map((number) => html`
        <text class="axis middle" x=${EDGE.left + (number - 0.5) * step} y=${HEIGHT - 4}>${number}</text>`)}
    </svg>`}
  </figure>`;
}

function Bar({ each: { day, patient_days_due: due, patient_days_reached: reached }, most, x, step }) {
  const [low, middle, high] = [height(0), height(reached / most), height(due / most)];
  return html`<g>
    <title>${showDay(day, "day")}: ${whole(reached)} of ${whole(due)}</title>
    <rect class="fill delivered" x=${x + 1} y=${middle} width=${step - 2} height=${low - middle} />
    <rect class="fill failed" x=${x + 1} y=${high} width=${step - 2} height=${middle - high} />
  </g>`;
}

const height = (part) => HEIGHT - EDGE.bottom - part * (HEIGHT - EDGE.top - EDGE.bottom);
