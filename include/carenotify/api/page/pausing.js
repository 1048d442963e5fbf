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
  const isAll = act === "resume" && channels.every((channel) => paused.includes(channel));
  const open = act === "pause" ? channels.filter((channel) => !paused.includes(channel)) : isAll ? [] : paused;
  const [channel, setChannel] = useState(open.length === 1 ? open[0] : "");
  const run = async () => {
    const after = (await change("POST", act, { channel: channel || null })).paused;
    onDone(after);
    const isDone = (channel ? [channel] : channels).every((each) => after.includes(each) === (act === "pause"));
    announce(nowIs(after, channels), isDone ? "good" : "bad");
    refresh();
  };
  const options = [["", "All channels"], ...open.map((each) => [each, channelWord(each)])];
  const [title, confirm, tone] = act === "pause" ? ["Pause sending?", "Pause", "danger"] : ["Go on sending?", "Resume", "primary"];
  return html`<${Dialog} title=${title} confirm=${confirm} tone=${tone} onConfirm=${run} onClose=${onClose}>
    <p>${act === "pause"
      ? "Within a second no message leaves any more. What is just being sent is finished. What waits past the end of the send window is not sent."
      : "What waits is sent at once, as far as its time is not over."}${isAll && " Everything is paused, so it goes on for all channels together; a single one can be paused again afterwards."}</p>
    <${Field} label="Channel" options=${options} value=${channel} onInput=${setChannel} />
  <//>`;
}

/** How things stand by the server's word, whatever was asked of it. */
function nowIs(paused, channels) {
  if (channels.every((channel) => paused.includes(channel))) return "Paused: all channels.";
  return paused.length > 0 ? `Paused: ${listed(paused)}. Sending goes on otherwise.` : "Sending goes on: all channels.";
}
