import { html } from "../vendor/htm-preact.js";
import { Empty, Heading } from "../parts.js";

export default () => html`<${Heading} title="Messages" /><${Empty}>Being built.<//>`;
