// Every call to the server goes through here: JSON in, JSON out, and errors as RFC 9457 problems.
//
//   const page = await get("notifications", { status: "failed", limit: 50 });
//   await change("POST", "pause", { channel: null });
//
// Both throw a Problem. Nothing else in the page calls fetch.

const ROOT = new URL("../v1/", import.meta.url);
const PATIENCE_MS = 20_000;

/** Where somebody logs in to Airflow. */
export const LOGIN = new URL("../../", import.meta.url).href;

/** The server said no, or did not answer (status 0). `detail` is for people to read. */
export class Problem extends Error {
  constructor({ status, detail, errors = [], retryAfter = null }) {
    super(detail);
    this.status = status;
    this.detail = detail;
    this.errors = errors; // [{field, message}]
    this.retryAfter = retryAfter; // seconds
  }

  /** Nobody is there, or nobody who can answer now: worth asking again. */
  get isAway() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The address of something below /carenotify/v1, for links such as CSV files. */
export function addressOf(path, query = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url.href;
}

/** What is there. `signal` stops waiting for it. */
export async function get(path, query = {}, { signal } = {}) {
  const answer = await call("GET", addressOf(path, query), { signal });
  return bodyOf(answer);
}

/** What is there if it is not what `etag` names: `{etag, body}`, or null when nothing has changed. */
export async function getIfChanged(path, etag) {
  const answer = await call("GET", addressOf(path), { headers: etag ? { "If-None-Match": etag } : {} });
  return answer.status === 304 ? null : { etag: answer.headers.get("ETag"), body: await bodyOf(answer) };
}

/** Change something. The answer's body, or null when there is none. `headers` such as Idempotency-Key. */
export async function change(method, path, body, headers = {}) {
  const sent = { "X-Carenotify-Request": "1", ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const answer = await call(method, addressOf(path), { headers: sent, body: JSON.stringify(body) });
  return answer.status === 204 ? null : bodyOf(answer);
}

async function call(method, url, { headers = {}, body, signal }) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const options = {
    method,
    body,
    headers: { Accept: "application/json", ...headers },
    cache: "no-store", // 304s are ours to see
    credentials: "same-origin",
    signal: signal ? AbortSignal.any([signal, patience]) : patience,
  };
  let answer;
  try {
    answer = await fetch(url, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unanswered(error, "The server cannot be reached.");
  }
  if (answer.ok || answer.status === 304) return answer;
  throw await problemOf(answer);
}

async function bodyOf(answer) {
  try {
    return await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unanswered(error, "The server's answer broke off.");
  }
}

function unanswered(error, detail) {
  const isLate = error.name === "TimeoutError";
  return new Problem({ status: 0, detail: isLate ? `No answer within ${PATIENCE_MS / 1000} seconds; it may still be at it.` : detail });
}

async function problemOf(answer) {
  const said = await answer.json().catch(() => ({})); // a proxy in between answers in HTML
  return new Problem({
    status: answer.status,
    detail: said.detail ?? `The server answered ${answer.status}.`,
    errors: said.errors ?? [],
    retryAfter: Number(answer.headers.get("Retry-After")) || null,
  });
}
