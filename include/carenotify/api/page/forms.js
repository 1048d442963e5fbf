// A form from a JSON schema: as much of it as the data of our kinds uses (strings, whole numbers, yes or no, choices).

import { whole } from "./words.js";

const LONG = 200; // characters, from which on a text gets several lines

/** The fields of a kind's data, as `Field` takes them, with their `name` and a `hint` that looks at the text so far. */
export function fieldsOf({ data_schema: { properties = {}, required = [] } }) {
  return Object.entries(properties).map(([name, schema]) => {
    const isRequired = required.includes(name);
    return {
      name,
      label: schema.title ?? name,
      required: isRequired,
      ...inputOf(schema, isRequired),
      hint: (text) => hintOf(schema, isRequired, String(text)),
    };
  });
}

/** What an empty form holds. */
export function firstData(kind) {
  const { properties = {} } = kind.data_schema;
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, String(schema.default ?? "")]));
}

/** What the fields hold, as the schema's types; what was left empty and need not be there is left out. */
export function asBody(data, { data_schema: { properties = {}, required = [] } }) {
  const told = Object.entries(data).filter(([name, text]) => text !== "" || required.includes(name));
  return Object.fromEntries(told.map(([name, text]) => [name, valueOf(properties[name], text)]));
}

/** The fields that have to be filled in and are not, as problems name them. */
export function emptyIn(data, { data_schema: { required = [] } }) {
  return required.filter((name) => !data[name]?.trim()).map((name) => ({ field: `data.${name}`, message: "Fill this in." }));
}

/** What a problem says of each field: `{user, "data.subject"}`. */
export function wrongIn(problem) {
  const errors = problem?.errors ?? [];
  return Object.fromEntries(errors.map(({ field, message }) => [field, sentence(message)]));
}

/** What it says of fields that the form does not have. */
export function outOfPlace(problem, wrong) {
  return problem.errors.filter(({ field }) => !/^(user|schedule_at|data\.\w+)$/.test(field) && wrong[field]);
}

function inputOf(schema, isRequired) {
  if (schema.enum) return { options: [...(isRequired ? [] : [["", "–"]]), ...schema.enum.map((value) => [value, value])] };
  if (schema.type === "boolean") return { options: [["", "–"], ["true", "Yes"], ["false", "No"]] };
  if (schema.type === "integer" || schema.type === "number") return { type: "number", inputmode: "decimal" };
  if ((schema.maxLength ?? Infinity) > LONG) return { as: "textarea", rows: 5, maxlength: schema.maxLength };
  return { maxlength: schema.maxLength };
}

function valueOf(schema, text) {
  if (schema.type === "boolean") return text === "true";
  if (schema.type === "integer" || schema.type === "number") return Number(text);
  return text;
}

function hintOf(schema, isRequired, text) {
  const needed = isRequired ? "" : "Need not be filled in. ";
  const length = schema.maxLength ? `${whole([...text].length)} of ${whole(schema.maxLength)} characters` : "";
  return `${schema.description ? `${schema.description} ` : ""}${needed}${length}` || undefined;
}

function sentence(message) {
  const said = message.startsWith("is ") ? `This ${message}` : message;
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}${/[.!?]$/.test(said) ? "" : "."}`;
}
