// What keeps the page alive: who is looking, today's overview every few seconds, and data that a view asks for.

import { useCallback, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { Problem, get, getIfChanged } from "./api.js";

const EVERY_MS = 5_000;
const HIDDEN_MS = 60_000;
const LONGEST_MS = 60_000;
const FRESH_MS = 30_000;
// The server counts afresh every two seconds: what somebody has just done is surely in the answer after that.
const SETTLED_MS = 2_500;

/** How long to wait before asking again, after so many failures in a row. */
export function pause(failures, { hidden = false, retryAfter = null } = {}) {
  const patient = Math.min(EVERY_MS * 2 ** failures, LONGEST_MS);
  return Math.max(patient, hidden ? HIDDEN_MS : 0, (retryAfter ?? 0) * 1000);
}

/** Ask again and again: quicker when somebody looks, slower while it fails. Gives a function that asks at once. */
export function usePolling(ask, { enabled = true } = {}) {
  const at = useRef(() => {});
  const asking = useRef(ask);
  asking.current = ask;
  useEffect(() => {
    if (!enabled) return undefined;
    const round = startRounds(asking);
    at.current = round.now;
    return round.stop;
  }, [enabled]);
  return useCallback(() => at.current(), []);
}

function startRounds(asking) {
  let [timer, failures, stopped, busy, again] = [null, 0, false, false, false];
  async function now() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    clearTimeout(timer);
    const problem = await asking.current();
    busy = false;
    if (stopped) return;
    failures = problem ? failures + 1 : 0;
    const wait = again ? 0 : pause(failures, { hidden: document.hidden, retryAfter: problem?.retryAfter });
    again = false;
    timer = setTimeout(now, wait);
  }
  const look = () => document.hidden || now();
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", look);
  now();
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
    window.removeEventListener("online", look);
  };
  return { now, stop };
}

/** Who is looking: `{me, trouble}`; asked again as long as nobody is known. */
export function useMe() {
  const [state, setState] = useState({ me: null, trouble: null });
  usePolling(() => settle(get("me"), (me) => setState({ me, trouble: null }), (trouble) => setState({ me: null, trouble })), {
    enabled: state.me === null,
  });
  return state;
}

/**
 * Today, kept up to date: `{overview, trouble, since, refresh}`. `overview` stays the last that came while there is
 * trouble, and stays the very same object while nothing changes; `since` is when the trouble began.
 */
export function useOverview(enabled) {
  const [state, setState] = useState({ overview: null, trouble: null, since: null });
  const etag = useRef(null);
  const refresh = usePolling(
    () =>
      settle(
        getIfChanged("overview", etag.current),
        (answer) => {
          if (answer) etag.current = answer.etag;
          setState((before) => {
            if (answer) return { overview: answer.body, trouble: null, since: null };
            return before.trouble ? { ...before, trouble: null, since: null } : before;
          });
        },
        (trouble) => setState((before) => ({ ...before, trouble, since: before.since ?? Date.now() })),
      ),
    { enabled },
  );
  const refreshTwice = useCallback(() => {
    refresh();
    setTimeout(refresh, SETTLED_MS);
  }, [refresh]);
  return { ...state, refresh: refreshTwice };
}

/**
 * What a view asks for: `{data, problem, reload}`. `ask(signal)` is called when one of `inputs` changes, and then nothing
 * of the former answer is given any more. When one of `fresh` changes, the same is asked again: the data of before stays
 * until the new comes, so that nothing flickers. A server that says when to come back is asked again then, by itself,
 * and less and less often.
 */
export function useLoad(ask, inputs, { fresh = [] } = {}) {
  const question = JSON.stringify(inputs);
  const [answers, setAnswers] = useState({});
  const [round, setRound] = useState(0);
  const refusals = useRef(0); // in a row
  const reload = useCallback(() => setRound((before) => before + 1), []);
  useEffect(() => {
    refusals.current = 0;
  }, [question]);
  useEffect(() => {
    const stopper = new AbortController();
    const put = (news) => stopper.signal.aborted || setAnswers((before) => ({ [question]: { ...before[question], ...news } }));
    const done = (data) => {
      refusals.current = 0;
      put({ data, problem: null });
    };
    const failed = (problem) => {
      put({ problem });
      comeBack(reload, { retryAfter: problem.retryAfter, refusals: refusals.current++, signal: stopper.signal });
    };
    settle(ask(stopper.signal), done, failed);
    return () => stopper.abort();
  }, [question, ...fresh, round]);
  return { data: null, problem: null, ...answers[question], reload };
}

/** Ask again when the server said to, later after each refusal before; not at all if it said nothing, or once aborted. */
function comeBack(ask, { retryAfter, refusals, signal }) {
  if (!retryAfter || signal.aborted) return;
  const asked = retryAfter * 1000;
  const timer = setTimeout(ask, Math.max(asked, Math.min(asked * 2 ** refusals, LONGEST_MS)));
  signal.addEventListener("abort", () => clearTimeout(timer));
}

/** A number that is another one when today's messages have changed, and every half minute; never while nobody looks. */
export function useFreshness(overview) {
  const [round, setRound] = useState(0);
  const statuses = overview && JSON.stringify(overview.by_status);
  const known = useRef(statuses);
  useEffect(() => {
    const look = () => document.hidden || setRound((before) => before + 1);
    if (known.current !== null && known.current !== statuses) look();
    known.current = statuses;
    const timer = setInterval(look, FRESH_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [statuses]);
  return round;
}

/** Tell a promise's end to one of two; gives the Problem, if it was one. What was aborted is told to nobody. */
async function settle(promise, onDone, onProblem) {
  try {
    onDone(await promise);
    return null;
  } catch (error) {
    if (error.name === "AbortError") return null;
    if (!(error instanceof Problem)) throw error;
    onProblem(error);
    return error;
  }
}
