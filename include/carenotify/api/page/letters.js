// What dead letters' short names mean, in words for people; docs/dead-letters.md says the same at more length.

import { plain } from "./words.js";

const CALL = "Nothing can be sent. Tell the patient by other means, have the address mended, then discard it.";

// reason: [title, what happened, what to do]
const REASONS = {
  retries_spent: [
    "All attempts failed",
    "The provider failed six times within a minute.",
    "When the provider is well again, send them again.",
  ],
  worker_lost: [
    "Worker stopped in the middle",
    "The worker was killed during the last attempt, so the provider may have the message.",
    "Look at the provider's own list by the message's id; send it again if it is not there.",
  ],
  address_rejected: [
    "No such address",
    "The provider knows no such number or mailbox.",
    "Have the address mended in the hospital's system, then send it again.",
  ],
  message_rejected: [
    "Message refused",
    "The provider refuses what the message says, whoever gets it.",
    "Mend the wording or the account at the provider, then send it again.",
  ],
  wording: [
    "Cannot be worded",
    "The template and its data do not fit.",
    "Mend the template. The message keeps its old wording, so discard it and let the next plan word it anew.",
  ],
  unreadable: [
    "Cannot be decrypted",
    "It was sealed with a key that this system no longer has.",
    "Have the key put back into the settings, then send it again.",
  ],
  contact_unknown: [
    "Patient not known",
    "The patient API knows no such patient.",
    "Once it does, send it again: the address is asked for anew.",
  ],
  carrier: [
    "Not delivered by the network",
    "The provider took it, but the network did not deliver it.",
    "Every other way has been tried. Send it again when the number works.",
  ],
  window_closed: ["Out of time", "The last message of a chain of fallbacks ran out of time.", CALL],
  appointment_past: ["Appointment has begun", "The last message of a chain of fallbacks came too late.", CALL],
  no_usable_address: ["No address left", "The last message of a chain of fallbacks had no address left.", CALL],
  opted_out: ["Opted out", "The last message of a chain of fallbacks went to somebody who does not want it.", CALL],
  bounced: ["Came back", "The last message of a chain of fallbacks was sent back.", CALL],
  returned_by_broker: [
    "Nobody took it from the queue",
    "The broker gave it back three times: no worker serves the channel, or one dies each time it takes it.",
    "Have the workers' logs looked at, then send it again.",
  ],
  not_an_envelope: [
    "Not a message of ours",
    "Something that is no message of ours was on a queue.",
    "Find out who has the broker's password and what they send, then discard it.",
  ],
  unknown_notification: [
    "Message without a notification",
    "Its notification is not in the database; this happens after a backup was restored.",
    "Plan the day again, then discard it.",
  ],
};
// Sent again they would fail again, or there is nothing to send.
const USELESS = ["not_an_envelope", "unknown_notification", "wording"];

// why it cannot be sent again: [in a table, of n in a sentence]
const REFUSALS = {
  resolved: ["it is settled already", "settled already"],
  no_notification: ["there is no message behind it", "without a message behind it"],
  not_failed: ["it did not end as failed, or is on its way again", "not failed any more"],
  another_took_over: ["another message told the patient, or is on its way", "told by another message"],
  appointment_changed: ["the appointment has changed since", "about an appointment that has changed"],
  window_over: ["its time is over", "past the time for it"],
};

const RESOLUTIONS = {
  replayed: "Sent again",
  discarded: "Discarded",
  fallback: "Another message took its place",
  told_otherwise: "Told by another message",
  sent: "Sent after all",
  delivered: "Delivered after all",
  bounced: "Came back",
  unsubscribed: "Patient opted out",
};

export const REASON_NAMES = Object.keys(REASONS);
export const reasonTitle = (reason) => REASONS[reason]?.[0] ?? capital(plain(reason));
export const reasonMeaning = (reason) => REASONS[reason]?.[1] ?? "";
export const reasonAdvice = (reason) => REASONS[reason]?.[2] ?? "";
/** Whether it is any good to send all dead letters of this reason again. */
export const isSendable = (reason) => ![CALL, undefined].includes(REASONS[reason]?.[2]) && !USELESS.includes(reason);
/** Whether the provider may have the messages already. */
export const isUncertain = (reason) => reason === "worker_lost";
export const refusalWord = (refusal) => REFUSALS[refusal]?.[0] ?? plain(refusal);
export const resolutionWord = (resolution) => RESOLUTIONS[resolution] ?? capital(plain(resolution));

/** What came of sending again, from the server's counts: "9 sent again; 2 refused (their time is over)." */
export function outcomeOf({ replayed = 0, ...refused }) {
  const reasons = Object.entries(refused).filter(([, number]) => number > 0);
  const total = reasons.reduce((sum, [, number]) => sum + number, 0);
  const sent = replayed === 0 ? "None sent again" : `${replayed} sent again`;
  if (total === 0) return `${sent}.`;
  const told = reasons.map(([reason, number]) => `${number} ${REFUSALS[reason]?.[1] ?? plain(reason)}`);
  return `${sent}; ${total} refused: ${told.join(", ")}.`;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
