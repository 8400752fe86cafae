// Drives the control API through the types that openapi-typescript generates, and prints what it saw.
import createClient from "openapi-fetch";
import type { paths } from "./control.js";

const [url, template] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url });

/** Return the data of a response, or throw what the mock said. */
function data<T>(result: { data?: T; error?: unknown }): T {
  if (result.data === undefined) throw new Error(JSON.stringify(result.error));
  return result.data;
}

console.log("health", data(await client.GET("/_mock/health")).status);

const added = data(
  await client.POST("/_mock/faults", {
    body: {
      match: { method: "GET", path: "/api/v1/status" },
      do: { status: 503, delay: { uniform: ["1ms", "2ms"] } },
      times: 1,
    },
  }),
);
console.log("added", added.id);
const first = await fetch(`${url}/api/v1/status`);
const second = await fetch(`${url}/api/v1/status`);
console.log("status", first.status, second.status);
console.log("fired", data(await client.GET("/_mock/faults")).faults[0].fired);
await client.DELETE("/_mock/faults/{id}", { params: { path: { id: added.id! } } });

const wrong = await client.POST("/_mock/faults", { body: { do: { exit: 3 } } });
console.log("refused", wrong.response.status, wrong.error?.problems?.length);

await fetch(`${url}/api/v1/vm`, { method: "POST", body: JSON.stringify({ vmid: template }) });
const journal = data(await client.GET("/_mock/requests", { params: { query: { path: "/api/v1/*" } } })).requests;
const newest = journal[journal.length - 1];
const instance = newest.instances[0];
console.log("requests", journal.length, newest.method, newest.status, newest.fault === null);

data(await client.POST("/_mock/clock/advance", { body: { until: { instance, state: "Started" } } }));
const timeline = data(await client.GET("/_mock/instances/{id}", { params: { path: { id: instance } } })).timeline;
console.log("timeline", ...timeline.map((entry) => entry.state));

const node = await client.POST("/_mock/nodes/{id}/{state}", { params: { path: { id: "mini-01", state: "unhealthy" } } });
console.log("node", data(node).state);
console.log("finding", data(await client.GET("/_mock/report")).findings[0].kind);
console.log("reset", data(await client.POST("/_mock/reset", { body: { scenario: "busy" } })).status);
