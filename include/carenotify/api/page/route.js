// Where in the page somebody is: the part of the address after the #, such as #messages/<id> or #messages?status=failed.

import { useEffect, useState } from "./vendor/htm-preact.js";

/** `#messages/42?status=failed` as `{view: "messages", argument: {id: "42", params: {status: "failed"}}}`. */
export function readRoute(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view, ...rest] = path.split("/");
  const params = Object.fromEntries(new URLSearchParams(query));
  return { view: view || "today", argument: { id: unescaped(rest.join("/")) || null, params } };
}

/** The address of a view, for links: `address("messages", {params: {status: "failed"}})`, `address("messages", {id})`. */
export function address(view, { id = null, params = {} } = {}) {
  const told = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(told).toString();
  return `#${view}${id ? `/${encodeURIComponent(id)}` : ""}${query ? `?${query}` : ""}`;
}

/** Go to an address made by `address`; with `replace` the Back button does not come back to here. */
export function navigate(to, { replace = false } = {}) {
  if (!replace) {
    window.location.hash = to;
    return;
  }
  window.history.replaceState(window.history.state, "", to);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute() {
  const [route, setRoute] = useState(() => readRoute(window.location.hash));
  useEffect(() => {
    const read = () => setRoute(readRoute(window.location.hash));
    window.addEventListener("hashchange", read);
    return () => window.removeEventListener("hashchange", read);
  }, []);
  return route;
}

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
