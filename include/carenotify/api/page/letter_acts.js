// What can be done with dead letters: each is asked about before, with how many and what happens, and told of afterwards.

import { html } from "./vendor/htm-preact.js";
import { change } from "./api.js";
import { isUncertain, outcomeOf, reasonTitle } from "./letters.js";
import { Dialog } from "./parts.js";
import { count, whole } from "./words.js";

/** `act`: {kind: "replay" | "discard", chosen: letters} or {kind: "reason", reason, number}; `onDone(outcome in words)`. */
export function Confirm({ act, onDone, onClose }) {
  const { title, confirm, tone, body, run } = ACTS[act.kind](act);
  return html`<${Dialog} title=${title} confirm=${confirm} tone=${tone} onClose=${onClose} onConfirm=${async () => onDone(await run())}>${body}<//>`;
}

const ONCE_MORE = "Each is due at once, with all of its attempts ahead of it, and goes out once, however many people press this.";

const twiceOf = (number) => html`<p class="notice warn">Of ${number} the provider may have the message already: the patient may get it twice.</p>`;

const ACTS = {
  replay: ({ chosen }) => {
    const sendable = chosen.filter((letter) => letter.refusal === null);
    const left = chosen.length - sendable.length;
    const twice = sendable.filter((letter) => letter.possible_duplicate).length;
    return {
      title: `Send ${count(sendable.length, "message")} again?`,
      confirm: "Send again",
      tone: "primary",
      body: html`<p>${ONCE_MORE}</p>
        ${left > 0 && html`<p>${count(left, "other", "others")} that you chose cannot be sent again and will stay open.</p>`}
        ${twice > 0 && twiceOf(count(twice, "one"))}`,
      run: async () => outcomeOf(await change("POST", "dead-letters/replay", { ids: sendable.map((letter) => letter.id) })),
    };
  },
  reason: ({ reason, number }) => ({
    title: `Send all ${whole(number)} of “${reasonTitle(reason)}” again?`,
    confirm: "Send all again",
    tone: "primary",
    body: html`<p>${ONCE_MORE}</p><p>Those whose time is over, whose appointment has changed, or whose patient was told otherwise are left out and stay open.</p>
      ${isUncertain(reason) && twiceOf("each")}`,
    run: async () => outcomeOf(await change("POST", "dead-letters/replay", { reasons: [reason] })),
  }),
  discard: ({ chosen }) => ({
    title: `Discard ${count(chosen.length, "dead letter")}?`,
    confirm: "Discard",
    tone: "danger",
    body: html`<p>Nothing is sent: ${chosen.length === 1 ? "the patient is" : "the patients are"} not told by this system. It cannot be undone; they stay in the list of the settled ones, with your name.</p>`,
    run: async () => {
      await change("POST", "dead-letters/discard", { ids: chosen.map((letter) => letter.id) });
      return `${chosen.length} discarded; nothing was sent.`;
    },
  }),
};
