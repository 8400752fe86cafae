// Steers mockanka by its control API. What it is refused is an error, so that tests read as a story.
import assert from "node:assert/strict";

const url = process.env.MOCKANKA_URL;
if (!url) throw new Error("run this with: mockanka run cold-cache --clock manual -- node --test");

async function ask(method, path, body) {
  const answer = await fetch(url + path, { method, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`); // problem+json: it says why
  return answer.json();
}

export const reset = () => ask("POST", "/_mock/reset");

/** Let time pass until an instance is in a state. The mock refuses if it can never get there. */
export const advanceUntil = (instance, state) =>
  ask("POST", "/_mock/clock/advance", { until: { instance, state } });

/** The time by the mock's clock, in milliseconds. */
export const now = async () => Date.parse((await ask("GET", "/_mock/clock")).now);

export const addFault = (rule) => ask("POST", "/_mock/faults", rule);
export const removeFault = (id) => ask("DELETE", `/_mock/faults/${id}`);

/** The HTTP statuses of all starts, in order; null where there was no answer. */
export async function statuses() {
  const { requests } = await ask("GET", "/_mock/requests?method=POST&path=/api/v1/vm");
  return requests.map(({ status }) => status);
}

/** Look at the report. It must be read before the next reset, which forgets it. */
export async function findNoFault() {
  const report = await ask("GET", "/_mock/report");
  assert.deepEqual(report.findings, []); // leaks, polls that come too fast, and whatever else the client did wrong
  assert.deepEqual(report.unused_faults, [], "a fault never struck, so nothing was tested by it");
}
