// A client of mockanka's control API. A failed request throws an error, so tests need no error handling.
import assert from "node:assert/strict";

const url = process.env.MOCKANKA_URL;
if (!url) throw new Error("run this with: mockanka run cold-cache --clock manual -- node --test");

async function call(method, path, body) {
  const response = await fetch(url + path, { method, body: body && JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`); // problem+json, with the reason
  return response.json();
}

export const reset = () => call("POST", "/_mock/reset");

/** Advance the clock until an instance is in a state. Fails if the instance can never reach it. */
export const advanceUntil = (instance, state) =>
  call("POST", "/_mock/clock/advance", { until: { instance, state } });

/** Return the time of the mock's clock, in milliseconds. */
export const now = async () => Date.parse((await call("GET", "/_mock/clock")).now);

export const addFault = (rule) => call("POST", "/_mock/faults", rule);
export const removeFault = (id) => call("DELETE", `/_mock/faults/${id}`);

/** Return the HTTP statuses of all starts, in order; null where there was no response. */
export async function statuses() {
  const { requests } = await call("GET", "/_mock/requests?method=POST&path=/api/v1/vm");
  return requests.map(({ status }) => status);
}

/** Check the report. Call it before the next reset, which clears the report. */
export async function checkReport() {
  const report = await call("GET", "/_mock/report");
  assert.deepEqual(report.findings, []); // everything that the client did wrong, such as leaks
  assert.deepEqual(report.unused_faults, [], "a fault never fired, so the test did not test it");
}
