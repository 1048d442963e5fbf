// Send one message by hand: what, to whom, how and when; seen as the patient will see it before it goes, and sent once.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";
import { Problem, change, get } from "../api.js";
import { asBody, emptyIn, fieldsOf, firstData, outOfPlace, wrongIn } from "../forms.js";
import { useLoad } from "../live.js";
import { Answer, Button, Card, Empty, Field, Heading, Trouble, may } from "../parts.js";
import { Preview, reasonWord } from "../preview.js";
import { address } from "../route.js";
import { dayOf, instantOf, show } from "../times.js";
import { CHANNELS, channelWord, count } from "../words.js";

export default function Send({ me, overview, announce }) {
  if (may(me, "notifications:write")) return html`<${Forms} overview=${overview} announce=${announce} />`;
  return html`<${Heading} title="Send by hand" /><${Empty} title="Your role cannot send">To send messages by hand you need the role Op in Airflow.<//>`;
}

function Forms({ overview, announce }) {
  const [form, setForm] = useState(0); // another number is another form, with a key of its own
  const kinds = useLoad((signal) => get("kinds", {}, { signal }), []);
  const again = () => setForm(form + 1);
  return html`
    <${Heading} title="Send by hand" note="One message to one patient. You see it as they will before it goes." />
    <${Answer} of=${kinds}>${(all) => (all.length === 0
      ? html`<${Empty}>There is no kind of message that can be sent by hand.<//>`
      : html`<${Form} key=${form} kinds=${all} overview=${overview} announce=${announce} onAgain=${again} />`)}<//>`;
}

function Form({ kinds, overview, announce, onAgain }) {
  const idempotencyKey = useMemo(newKey, []); // made when the form opens: however often it is pressed, it is one message
  const [wish, setWish] = useState({ type: kinds[0].type, user: "", data: firstData(kinds[0]), channels: [], later: false, day: "", clock: "" });
  const [looked, setLooked] = useState(null); // {body, preview}
  const [sent, setSent] = useState(null);
  const [trouble, setTrouble] = useState(null);
  const [busy, setBusy] = useState(null);
  const going = useRef(false);
  const kind = kinds.find(({ type }) => type === wish.type);
  const body = bodyOf(wish, kind);
  const isLooked = looked?.body === JSON.stringify(body);

  const put = (change_) => setWish((before) => ({ ...before, ...change_ }));
  const attempt = async (name, act) => {
    if (going.current) return; // a second click comes before the button is drawn as busy
    going.current = true;
    setBusy(name);
    setTrouble(null);
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setTrouble(error);
    } finally {
      going.current = false;
      setBusy(null);
    }
  };
  const look = (event) => {
    event.preventDefault();
    const lacking = lacksOf(wish, kind);
    if (lacking.length) {
      setTrouble(new Problem({ status: 422, detail: "Some fields are missing or wrong.", errors: lacking }));
      return;
    }
    attempt("look", async () => {
      const preview = await change("POST", "notifications/preview", body);
      setLooked({ body: JSON.stringify(body), preview });
    });
  };
  const send = () => attempt("send", async () => {
    const answer = await change("POST", "notifications", body, { "Idempotency-Key": idempotencyKey });
    setSent(answer);
    announce(answer.notification_ids.length ? `${count(answer.notification_ids.length, "message")} accepted` : "Nobody is told", answer.notification_ids.length ? "good" : "bad");
  });

  const element = useRef(null);
  useEffect(() => element.current?.querySelector("[aria-invalid]")?.focus(), [trouble]);

  if (sent) return html`<${Sent} answer=${sent} at=${body.schedule_at} onAgain=${onAgain} />`;
  const wrong = wrongIn(trouble);
  return html`<div class="sending">
    <form ref=${element} onSubmit=${look} novalidate>
      <${Card} title="Message">
        <${What} kinds=${kinds} kind=${kind} wish=${wish} put=${put} wrong=${wrong} />
        <${Field} label="Patient's id" hint="As in the hospital's system, for example pat-0042." required autocomplete="off" spellcheck=${false}
          value=${wish.user} error=${wrong.user} onInput=${(user) => put({ user: user.trim() })} />
        <${How} kind=${kind} wish=${wish} put=${put} />
        <${When} wish=${wish} put=${put} overview=${overview} error=${wrong.schedule_at} />
        <${FormTrouble} trouble=${trouble} wrong=${wrong} onAgain=${onAgain} />
        <div class="actions"><${Button} type="submit" tone=${isLooked ? "plain" : "primary"} busy=${busy === "look"}>Preview<//></div>
      <//>
    </form>
    <${Preview} looked=${looked} isLooked=${isLooked} at=${body.schedule_at} busy=${busy === "send"} onSend=${send} />
  </div>`;
}

function What({ kinds, kind, wish, put, wrong }) {
  const choose = (type) => put({ type, data: firstData(kinds.find((each) => each.type === type)) });
  const into = (name) => (text) => put({ data: { ...wish.data, [name]: text } });
  return html`
    ${kinds.length > 1 && html`<${Field} label="Kind" options=${kinds.map(({ type, title }) => [type, title])} value=${wish.type} onInput=${choose} />`}
    ${fieldsOf(kind).map(({ name, hint, ...field }) => html`<${Field} key=${`${kind.type}.${name}`} ...${field} value=${wish.data[name]}
      hint=${hint(wish.data[name])} error=${wrong[`data.${name}`]} onInput=${into(name)} />`)}`;
}

function How({ kind, wish, put }) {
  const toggle = (channel) => put({ channels: CHANNELS.filter((each) => (each === channel) !== wish.channels.includes(each)) });
  return html`<fieldset>
    <legend>Channels</legend>
    ${kind.channels.map((channel) => html`<label class="choice" key=${channel}>
      <input type="checkbox" checked=${wish.channels.includes(channel)} onChange=${() => toggle(channel)} /> ${channelWord(channel)}</label>`)}
    <p class="note">${wish.channels.length ? "On these and no others." : "None chosen: as the patient wishes."}</p>
  </fieldset>`;
}

function When({ wish, put, overview, error }) {
  const zone = overview?.timezone; // until it is known, nobody can say what a time on the hospital's clocks is
  const later = () => put({ later: true, day: wish.day || dayOf(Date.now()) });
  const at = wish.later ? instantOf(wish.day, wish.clock) : null;
  return html`<fieldset>
    <legend>When</legend>
    <label class="choice"><input type="radio" name="when" checked=${!wish.later} onChange=${() => put({ later: false })} /> Now</label>
    <label class="choice"><input type="radio" name="when" checked=${wish.later} disabled=${!zone} onChange=${later} /> At a time of its own</label>
    ${wish.later && html`<div class="pair">
      <${Field} label="Day" type="date" required value=${wish.day} onInput=${(day) => put({ day })} />
      <${Field} label="Time" type="time" required value=${wish.clock} onInput=${(clock) => put({ clock })} error=${error} />
    </div>
    <p class="note">${at ? `${show(at, "full")}, ${show(at, "time")}, on the hospital's clocks` : "By the hospital's clocks"}${zone ? ` (${zone})` : ""}.</p>`}
  </fieldset>`;
}

/** Fields say what is wrong with them; here is what no field can say. */
function FormTrouble({ trouble, wrong, onAgain }) {
  if (trouble === null) return null;
  if (trouble.status === 422 && trouble.errors.length === 0) {
    return html`<div class="trouble" role="alert">
      <p>This form was sent before with another text, and that message may be on its way. Look for it among the patient's messages before you send another.</p>
      <${Button} onClick=${onAgain}>Begin a new form<//></div>`;
  }
  const others = outOfPlace(trouble, wrong);
  return html`<${Trouble} problem=${trouble} />
    ${others.length > 0 && html`<ul class="wrong">${others.map(({ field, message }) => html`<li>${field}: ${message}</li>`)}</ul>`}`;
}

function Sent({ answer: { notification_ids: ids, reason }, at, onAgain }) {
  return html`<${Card} title=${ids.length ? "Accepted" : "Nobody is told"}>
    <div role="status">
      ${ids.length > 0 && html`<p>${at ? `It goes out on ${show(at, "moment")}.` : "It goes out now."} Follow what becomes of it:</p>
        <ul class="links">${ids.map((id) => html`<li key=${id}><a href=${address("messages", { id })}>Message <span class="id">${id}</span></a></li>`)}</ul>`}
      ${reason && html`<p>${reasonWord(reason)} Nothing was sent.</p>`}
    </div>
    <div class="actions"><${Button} onClick=${onAgain}>Send another<//></div>
  <//>`;
}

/** What can be seen to be wrong without asking the server, as its problems say it. */
function lacksOf({ user, data, later, day, clock }, kind) {
  const lacking = emptyIn(data, kind);
  if (!/^[A-Za-z0-9\-.]{1,64}$/.test(user)) {
    lacking.push({ field: "user", message: user ? "An id has only letters, digits, hyphens and dots." : "Fill this in." });
  }
  if (later && instantOf(day, clock) === null) lacking.push({ field: "schedule_at", message: "Say on which day and at what time." });
  return lacking;
}

function bodyOf({ type, user, data, channels, later, day, clock }, kind) {
  const body = { type, user, data: asBody(data, kind) };
  if (channels.length) body.channels = channels;
  if (later) body.schedule_at = instantOf(day, clock);
  return body;
}

/** 128 random bits; randomUUID is there only over HTTPS. */
function newKey() {
  return `page-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
