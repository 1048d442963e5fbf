// What the server's short names are called on the page. An unknown name is shown as it is, without underscores.

const STATUS = {
  pending: ["Pending", "quiet"],
  queued: ["In the queue", "quiet"],
  sending: ["Being sent", "busy"],
  sent: ["Sent", "busy"],
  delivered: ["Delivered", "good"],
  failed: ["Failed", "bad"],
  bounced: ["Bounced", "bad"],
  unsubscribed: ["Opted out", "warn"],
  expired: ["Too late", "bad"],
  superseded: ["Overtaken", "quiet"],
  cancelled: ["Cancelled", "quiet"],
  suppressed: ["Held back", "warn"],
};

const CHANNEL = { sms: "SMS", email: "E-mail", whatsapp: "WhatsApp", push: "Push", webhook: "Webhook" };

const KIND = {
  reminder: "Reminder",
  rescheduled: "New time",
  venue_changed: "New place",
  cancelled: "Appointment cancelled",
  booked: "Appointment booked",
  message: "Message",
};

const BREAKER = { closed: ["Working", "good"], half_open: ["Being tried", "warn"], open: ["Left alone", "bad"] };
// How soon somebody should look.
const SEVERITY = { critical: ["Urgent", "bad"], warning: ["Look today", "warn"], notice: ["For your information", "quiet"] };

export const STATUSES = Object.keys(STATUS);
export const CHANNELS = ["sms", "email"];
export const KINDS = Object.keys(KIND);

/** Statuses in which something can still happen without anybody doing anything. */
export const isMoving = (status) => ["pending", "queued", "sending", "sent"].includes(status);
/** Statuses in which nobody has begun to send it, so that it can be called off. */
export const isCancellable = (status) => ["pending", "queued"].includes(status);

export const statusWord = (status) => STATUS[status]?.[0] ?? plain(status);
export const statusTone = (status) => STATUS[status]?.[1] ?? "quiet";
export const channelWord = (channel) => CHANNEL[channel] ?? plain(channel);
/** As it is written inside a sentence. */
export const channelInside = (channel) => (channel === "email" ? "e-mail" : channelWord(channel));
export const kindWord = (kind) => KIND[kind] ?? plain(kind);
export const breakerWord = (state) => BREAKER[state]?.[0] ?? plain(state);
export const breakerTone = (state) => BREAKER[state]?.[1] ?? "quiet";
export const severityWord = (severity) => SEVERITY[severity]?.[0] ?? plain(severity);
export const severityTone = (severity) => SEVERITY[severity]?.[1] ?? "warn";

/** `invalid_address` as "invalid address"; codes with digits stay as they are. */
export function plain(name) {
  return name === null || name === undefined ? "" : String(name).replaceAll("_", " ");
}

/** "1 message", "2,041 messages". */
export function count(number, one, many = `${one}s`) {
  return `${whole(number)} ${number === 1 ? one : many}`;
}

export const whole = (number) => new Intl.NumberFormat("en-GB").format(number);

/** 0.98963 as "98.9 %": never rounded up, so that what falls short of a target does not look as if it met it. */
export function share(part, digits = 1) {
  const scale = 10 ** digits;
  return `${(Math.floor(part * 100 * scale + 1e-9) / scale).toFixed(digits)} %`;
}
