// What a message would say to its patient, as the server words it, and why nobody would be told.

import { html, useEffect, useRef } from "./vendor/htm-preact.js";
import { Button, Card, Channel, Empty } from "./parts.js";
import { show } from "./times.js";
import { channelWord, count, plain } from "./words.js";

const REASONS = {
  deceased: "The patient has died.",
  opted_out: "The patient does not want messages of this kind, or not on these channels.",
  unreadable: "The patient's record cannot be decrypted. Have the encryption keys looked at.",
  no_contact: "No address of the patient is known. Have one entered in the hospital's system.",
  no_usable_address: "No address of the patient can be used on these channels: it is missing, out of date, or was refused before.",
  patient_unknown: "No such patient is known here.",
};
/** Why nobody is told, in a sentence. */
export const reasonWord = (reason) => REASONS[reason] ?? `The reason is: ${plain(reason)}.`;

/** `looked`: {body, preview}, or null before anybody looked; `isLooked`: that is what the form still says. */
export function Preview({ looked, ...rest }) {
  const element = useRef(null);
  useEffect(() => looked && element.current.focus(), [looked]); // on a phone it is below the form
  return html`<div ref=${element} tabindex="-1" class="preview"><${Previewed} looked=${looked} ...${rest} /></div>`;
}

function Previewed({ looked, isLooked, at, busy, onSend }) {
  if (looked === null) return html`<${Card} title="Preview"><${Empty}>Press Preview to see what the patient would get. Nothing is sent by that.<//><//>`;
  const { reason, messages } = looked.preview;
  return html`<${Card} title="Preview" note=${isLooked ? null : "of what you had written before"}>
    <div aria-live="polite">
      ${reason && html`<p class="notice warn"><strong>Nobody would be told.</strong> ${reasonWord(reason)}</p>`}
      ${!isLooked && html`<p class="notice warn">You have changed the form since. Press Preview again before you send.</p>`}
    </div>
    ${messages.map((message) => html`<${Message} key=${message.channel} message=${message} />`)}
    ${!reason && html`<div class="actions">
      <${Button} tone="primary" disabled=${!isLooked} busy=${busy} onClick=${onSend}>
        ${at ? `Send at ${show(at, "moment")}` : "Send now"}${messages.length > 1 ? ` on ${messages.length} channels` : ""}<//>
    </div>`}
  <//>`;
}

function Message({ message: { channel, language, subject, text, html: mail, sms } }) {
  return html`<article class="letter" aria-label=${`${channelWord(channel)}, as it would be sent`}>
    <header><h3><${Channel} channel=${channel} /></h3><span class="note">in ${languageName(language)}${sms ? `, ${segments(sms)}` : ""}</span></header>
    ${subject && html`<p class="subject"><span class="unseen">Subject: </span>${subject}</p>`}
    <p class="said" lang=${language} dir="auto">${text}</p>
    ${mail && html`<details><summary>As formatted mail</summary><iframe title="The formatted mail" sandbox="" srcdoc=${framed(mail, language)}></iframe></details>`}
  </article>`;
}

/**
 * The mail as a document for a frame in which no script runs. The page's policy, which the frame inherits, forbids styles
 * that are not in its own files, so the mail's own go out and mail.css comes in. Inside <template> nothing is loaded or run.
 */
function framed(mail, language) {
  const inert = document.createElement("template");
  inert.innerHTML = mail;
  for (const element of inert.content.querySelectorAll("style, link, script, base, meta, title")) element.remove();
  for (const element of inert.content.querySelectorAll("[style]")) element.removeAttribute("style");
  const sheet = new URL("./mail.css", import.meta.url).href;
  return `<!doctype html><html lang="${language.replace(/[^\w-]/g, "")}"><meta charset="utf-8"><title>Mail</title>
    <link rel="stylesheet" href="${sheet}"><body>${inert.innerHTML}</body></html>`;
}

const segments = ({ alphabet, characters, segments: parts }) => `${count(characters, "character")} in ${alphabet}, ${count(parts, "segment")}`;
const languageName = (tag) => new Intl.DisplayNames("en", { type: "language", fallback: "code" }).of(tag);
