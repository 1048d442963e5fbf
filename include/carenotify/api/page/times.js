// Times as the hospital's clocks show them, whatever the zone of the browser.

const LOCALE = "en-GB";
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const formats = new Map();

const SHAPES = {
  time: { hour: "2-digit", minute: "2-digit" },
  second: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  day: { weekday: "short", day: "numeric", month: "short" },
  full: { weekday: "long", day: "numeric", month: "long", year: "numeric" },
  moment: { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
  exact: { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" },
};

let hospitalZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Every time from now on is shown in this zone, such as "Europe/Berlin". */
export function useZone(zone) {
  if (zone) hospitalZone = zone;
}

/** An instant in a shape of SHAPES. */
export function show(instant, shape = "moment") {
  return formatter(shape, hospitalZone).format(new Date(instant));
}

/** A day such as "2026-11-24", which has no zone. */
export function showDay(day, shape = "full") {
  return formatter(shape, "UTC").format(new Date(`${day}T12:00:00Z`));
}

/** The hospital's day of an instant, as "2026-11-24". */
export function dayOf(instant) {
  return new Intl.DateTimeFormat("en-CA", { timeZone: hospitalZone }).format(new Date(instant));
}

/** The shape in which an instant is shown beside others of a day: only its time where it is of that day. */
export const shapeNear = (instant, day) => (dayOf(instant) === day ? "time" : "moment");

/** The day that is so many days after another. */
export function daysAfter(day, days) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** The instant at which a day begins at the hospital, in RFC 3339. */
export function startOf(day) {
  const guess = Date.parse(`${day}T00:00:00Z`);
  const first = guess - offsetAt(guess);
  return new Date(guess - offsetAt(first)).toISOString(); // once more: the clocks may change in between
}

/** The instant when the hospital's clocks show "14:30" on a day, in RFC 3339; null when that is no time. */
export function instantOf(day, clock) {
  const guess = Date.parse(`${day}T${clock}Z`);
  if (Number.isNaN(guess)) return null;
  const first = guess - offsetAt(guess);
  return new Date(guess - offsetAt(first)).toISOString();
}

/** How long something takes, in words: "1 h 24 min". */
export function lasting(milliseconds) {
  const minutes = Math.max(0, Math.round(milliseconds / MINUTE_MS));
  if (minutes < 1) return "less than a minute";
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return [hours && `${hours} h`, (rest || !hours) && `${rest} min`].filter(Boolean).join(" ");
}

function offsetAt(milliseconds) {
  const shown = formatter("offset", hospitalZone).formatToParts(new Date(milliseconds));
  const part = Object.fromEntries(shown.map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second) - milliseconds;
}

SHAPES.offset = {
  year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
};

function formatter(shape, zone) {
  const key = `${shape} ${zone}`;
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat(LOCALE, { ...SHAPES[shape], timeZone: zone, hourCycle: "h23" }));
  }
  return formats.get(key);
}
