// Stop sending and go on, on one channel or all.

import { html, useState } from "./vendor/htm-preact.js";
import { change } from "./api.js";
import { Button, Dialog, Field, may } from "./parts.js";
import { channelInside, channelWord } from "./words.js";

const listed = (channels) => channels.map(channelInside).join(" and ");

/** Says that sending is paused, and offers to go on to those who may. */
export function PausedBanner({ me, paused, channels, onResume }) {
  if (paused.length === 0) return null;
  const all = channels.every((channel) => paused.includes(channel));
  return html`<div class="notice warn">
    <p><strong>Sending ${all ? "" : `by ${listed(paused)} `}is paused.</strong> Messages wait. Reminders that still wait when the window closes are not sent.</p>
    ${may(me, "pause:write") && html`<${Button} onClick=${onResume}>Resume…<//>`}
  </div>`;
}

/** The question before it is done. `act` is "pause" or "resume"; `onDone` gets the channels that are paused then. */
export function PauseDialog({ act, paused, channels, announce, refresh, onDone, onClose }) {
  const open = act === "pause" ? channels.filter((channel) => !paused.includes(channel)) : paused;
  const [channel, setChannel] = useState(open.length === 1 ? open[0] : "");
  const run = async () => {
    onDone((await change("POST", act, { channel: channel || null })).paused);
    announce(act === "pause" ? `Paused: ${what(channel)}.` : `Sending goes on: ${what(channel)}.`, "good");
    refresh();
  };
  const options = [["", "All channels"], ...open.map((each) => [each, channelWord(each)])];
  const [title, confirm, tone] = act === "pause" ? ["Pause sending?", "Pause", "danger"] : ["Go on sending?", "Resume", "primary"];
  return html`<${Dialog} title=${title} confirm=${confirm} tone=${tone} onConfirm=${run} onClose=${onClose}>
    <p>${act === "pause"
      ? "Within a second no message leaves any more. What is just being sent is finished. What waits past the end of the send window is not sent."
      : "What waits is sent at once, as far as its time is not over."}</p>
    <${Field} label="Channel" options=${options} value=${channel} onInput=${setChannel} />
  <//>`;
}

const what = (channel) => (channel ? channelInside(channel) : "all channels");
