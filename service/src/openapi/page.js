// Shows the OpenAPI document of this service, and tries its calls. Nothing is fetched from elsewhere.
"use strict";

const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  return Object.assign(made, attributes);
};

const tokenField = { access: document.getElementById("access"), refresh: document.getElementById("refresh") };

// The examples of a schema, as a body.
const example = (schema, schemas) => {
  if (!schema) return undefined;
  const name = schema.$ref?.split("/").pop();
  if (name) return example(schemas[name], schemas);
  const option = (schema.oneOf ?? schema.anyOf)?.find((entry) => entry.type !== "null");
  if (option) return example(option, schemas);
  if (schema.example !== undefined) return schema.example;
  if (!schema.properties) return "";
  const members = Object.entries(schema.properties);
  return Object.fromEntries(members.map(([member, type]) => [member, example(type, schemas)]));
};

const bearerOf = (operation) => {
  const names = (operation.security ?? []).flatMap((entry) => Object.keys(entry));
  return names.map((name) => tokenField[name]?.value.trim()).find(Boolean);
};

// The path below which the service is found.
let base = "";

const call = async (method, path, operation, body, output) => {
  const headers = {};
  const bearer = bearerOf(operation);
  // The body may hold the token instead. A request holds it once.
  const alone = !body || operation.requestBody?.required;
  if (bearer && alone) headers.Authorization = `Bearer ${bearer}`;
  if (body) headers["Content-Type"] = "application/json";
  output.textContent = "…";
  try {
    const response = await fetch(base + path, { method, headers, body: body || undefined });
    const text = await response.text();
    let shown = text;
    try {
      const json = JSON.parse(text);
      shown = JSON.stringify(json, null, 2);
      if (json.access_token) tokenField.access.value = json.access_token;
      if (json.refresh_token) tokenField.refresh.value = json.refresh_token;
    } catch { /* not JSON: shown as it is */ }
    output.textContent = `${response.status} ${response.statusText}\n${[...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n${shown}`;
  } catch (error) {
    output.textContent = `No answer: ${error.message}`;
  }
};

const panel = (method, path, operation, schemas) => {
  const details = element("details");
  const summary = details.appendChild(element("summary"));
  summary.append(element("span", method.toUpperCase(), { className: "method" }), element("code", path), ` ${operation.summary ?? ""}`);
  const body = details.appendChild(element("div", "", { className: "body" }));
  if (operation.description) body.append(element("p", operation.description));
  const table = body.appendChild(element("table"));
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    const row = table.appendChild(element("tr"));
    row.append(element("td", status), element("td", response.description));
  }
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  const field = element("textarea", "", { spellcheck: false });
  if (schema) {
    const optional = !operation.requestBody.required;
    field.value = optional ? "" : JSON.stringify(example(schema, schemas), null, 2);
    field.placeholder = optional ? "empty: the token above is shown as Bearer" : "";
    body.appendChild(element("label", "Body")).append(field);
  }
  const inUrl = (operation.parameters ?? []).filter((parameter) => ["path", "query"].includes(parameter.in));
  const inputs = inUrl.map((parameter) => {
    const input = element("input", "", { placeholder: parameter.description ?? "" });
    body.appendChild(element("label", parameter.name)).append(input);
    return () => ({ ...parameter, value: encodeURIComponent(input.value.trim()) });
  });
  const target = () => {
    const values = inputs.map((input) => input());
    const inPath = values.filter((value) => value.in === "path");
    const inQuery = values.filter((value) => value.in === "query" && value.value);
    const filled = inPath.reduce((filled, { name, value }) => filled.replace(`{${name}}`, value), path);
    return inQuery.reduce((filled, { name, value }, index) => `${filled}${index ? "&" : "?"}${name}=${value}`, filled);
  };
  const button = body.appendChild(element("button", "Try it"));
  const output = element("pre", "", { hidden: true });
  button.addEventListener("click", () => {
    output.hidden = false;
    call(method.toUpperCase(), target(), operation, schema ? field.value.trim() : "", output);
  });
  body.append(output);
  return details;
};

const show = (api) => {
  base = api.servers?.[0]?.url ?? "";
  tokenField.refresh.parentElement.hidden = !api.components?.securitySchemes?.refresh;
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  const main = document.getElementById("operations");
  const headings = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags?.[0] ?? "Other";
      if (!headings.has(tag)) {
        const section = main.appendChild(element("section"));
        section.append(element("h2", tag));
        headings.set(tag, section);
      }
      headings.get(tag).append(panel(method, path, operation, api.components?.schemas ?? {}));
    }
  }
};

fetch("openapi.json").then((response) => response.json()).then(show);
