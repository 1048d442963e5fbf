// The frame of the page: who is looking, the tabs, what is said in passing, and the view that is open.

import { html, render, useCallback, useEffect, useErrorBoundary, useRef, useState } from "./vendor/htm-preact.js";
import { LOGIN } from "./api.js";
import { useMe, useOverview } from "./live.js";
import { Button, Empty, may } from "./parts.js";
import { address, navigate, useRoute } from "./route.js";
import { show, useZone } from "./times.js";

const READ = ["notifications:read", "notifications:read-masked"];
const TABS = [
  { view: "today", title: "Today", scopes: ["reports:read", ...READ], load: () => import("./views/today.js") },
  { view: "messages", title: "Messages", scopes: READ, load: () => import("./views/messages.js") },
  {
    view: "dead-letters",
    title: "Dead letters",
    scopes: ["dead-letters:read"],
    load: () => import("./views/dead_letters.js"),
    waiting: (overview) => overview.dead_letters_open,
  },
  { view: "send", title: "Send", scopes: ["notifications:write"], load: () => import("./views/send.js") },
  { view: "reports", title: "Reports", scopes: ["reports:read"], load: () => import("./views/reports.js") },
  { view: "alerts", title: "Alerts", scopes: ["reports:read", ...READ], load: () => import("./views/alerts.js") },
];
const TOAST_MS = { good: 6_000, info: 6_000, bad: 15_000 };

function App() {
  const { me, trouble } = useMe();
  if (me) return html`<${Page} me=${me} />`;
  if (trouble?.status === 401) return html`<${LoggedOut} />`;
  if (trouble?.status === 403) return html`<${NoRights} />`;
  return html`<p class="starting" role="status">${trouble ? `${trouble.detail} Trying again…` : "Opening the page…"}</p>`;
}

function Page({ me }) {
  const tabs = TABS.filter((tab) => may(me, ...tab.scopes));
  const { view, argument } = useRoute();
  const live = useOverview(tabs.length > 0);
  const { toasts, announce, dismiss } = useToasts();
  useZone(live.overview?.timezone);
  useNewLogin(live.trouble);
  if (tabs.length === 0) return html`<${NoRights} name=${me.name} />`;
  const tab = tabs.find((each) => each.view === view);
  const shared = { me, overview: live.overview, argument, navigate, announce, refresh: live.refresh };
  return html`
    <a class="skip" href="#main" onClick=${toMain}>Skip to the content</a>
    <header class="top">
      <p class="brand">Notifications</p>
      <${Tabs} tabs=${tabs} open=${view} overview=${live.overview} />
      <p class="who"><span class=${live.trouble ? "dot bad" : "dot good"}></span>${live.trouble ? "Not live" : "Live"} · ${me.name}</p>
    </header>
    <${Stale} ...${live} />
    <main id="main" tabindex="-1">
      ${tab ? html`<${View} key=${view} tab=${tab} shared=${shared} />` : html`<${Nowhere} />`}
    </main>
    <${Toasts} toasts=${toasts} dismiss=${dismiss} />`;
}

function Tabs({ tabs, open, overview }) {
  const bar = useRef(null);
  useEffect(() => bar.current.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }), [open]);
  return html`<nav class="tabs" aria-label="Views" ref=${bar}>
    ${tabs.map(({ view, title, waiting }) => {
      const number = overview && waiting ? waiting(overview) : 0;
      return html`<a href=${address(view)} aria-current=${view === open ? "page" : null}>
        ${title}${number > 0 && html` <span class="bubble">${number > 99 ? "99+" : number}<span class="unseen"> open</span></span>`}
      </a>`;
    })}
  </nav>`;
}

function View({ tab, shared }) {
  const [error, retry] = useErrorBoundary((caught) => console.error(caught));
  const [component, setComponent] = useState(null);
  const [missing, setMissing] = useState(false);
  useEffect(() => {
    tab.load().then(
      (module) => setComponent(() => module.default),
      () => setMissing(true),
    );
  }, []);
  useEffect(() => {
    document.title = `${tab.title} · Notifications`;
  }, []);
  if (error || missing) return html`<${Broken} onRetry=${missing ? () => window.location.reload() : retry} />`;
  if (component === null) return html`<p class="looking" role="status">Opening…</p>`;
  return html`<${component} ...${shared} />`;
}

function Stale({ trouble, since, overview }) {
  if (!trouble) return html`<div class="stale" role="status"></div>`;
  if (trouble.status === 401) return html`<div class="stale shown" role="status"><p>You are no longer logged in. <${Login} /></p></div>`;
  return html`<div class="stale shown" role="status">
    <p><strong>${trouble.detail}</strong> Since ${show(since, "second")}; ${overview ? "what you see is from before, and " : ""}it is tried again by itself.</p>
  </div>`;
}

/** Who comes back after a login that had ended may be somebody else, so the page begins anew. */
function useNewLogin(trouble) {
  const wasOut = useRef(false);
  useEffect(() => {
    if (wasOut.current && trouble === null) window.location.reload();
    wasOut.current = trouble?.status === 401;
  }, [trouble]);
}

const Login = () => html`<a href=${LOGIN} onClick=${leaveFrame}>Log in to Airflow</a>`;

/** Airflow shows us in a frame that may not navigate the window around it; a link of that window's own may. */
function leaveFrame(event) {
  if (window.parent === window) return;
  event.preventDefault();
  const link = window.parent.document.createElement("a");
  link.href = LOGIN;
  link.click();
}

const LoggedOut = () => html`<main class="alone">
  <${Empty} title="You are not logged in">This page is open to those who are logged in to Airflow. <${Login} /><//>
</main>`;

const NoRights = ({ name }) => html`<main class="alone">
  <${Empty} title="Nothing to see with your role">${name ? `You are logged in as ${name}, and your` : "Your"} role in Airflow brings no rights here. Whoever manages Airflow can give you Viewer, User or Op.<//>
</main>`;

const Nowhere = () => html`<${Empty} title="There is no such page">It may be one that your role does not open. <a href=${address("today")}>Go to Today</a><//>`;

const Broken = ({ onRetry }) => html`<div class="trouble" role="alert">
  <p>This view could not be shown. The others still work.</p><${Button} onClick=${onRetry}>Try again<//>
</div>`;

function useToasts() {
  const [toasts, setToasts] = useState([]);
  const said = useRef(0);
  const dismiss = useCallback((key) => setToasts((before) => before.filter((toast) => toast.key !== key)), []);
  const announce = useCallback((text, tone = "info") => {
    const key = (said.current += 1);
    setToasts((before) => [...before.slice(-2), { key, text, tone }]);
    setTimeout(() => dismiss(key), TOAST_MS[tone]);
  }, []);
  return { toasts, announce, dismiss };
}

const Toasts = ({ toasts, dismiss }) => html`<div class="toasts" role="status" aria-live="polite">
  ${toasts.map(({ key, text, tone }) => html`<div key=${key} class=${`toast ${tone}`}>
    <p>${text}</p><button type="button" aria-label="Put this away" onClick=${() => dismiss(key)}>×</button>
  </div>`)}
</div>`;

function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

/** Airflow has a switch of its own for dark colours; inside it we follow that, else the browser's wish. */
function followAirflow() {
  if (window.parent === window) return;
  const around = window.parent.document.documentElement;
  const follow = () => {
    const theme = ["dark", "light"].find((name) => around.classList.contains(name));
    if (theme) document.documentElement.dataset.theme = theme;
  };
  follow();
  new MutationObserver(follow).observe(around, { attributes: true, attributeFilter: ["class"] });
}

followAirflow();
render(html`<${App} />`, document.getElementById("app"));
