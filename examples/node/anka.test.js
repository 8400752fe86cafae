// Tests in one file run one after the other, but several files run in parallel. If several files share a controller,
// use node --test --test-concurrency=1.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Anka } from "./anka.js";
import * as mock from "./mock.js";

// The id of the template 14.5-arm64 (28 GB), which is derived from the seed and the name and thus constant.
const template = "d05c2c8b-1a50-4718-87ef-cc20aee0d4e7";
// Simulated time does not pass while the client waits, so it retries without a pause.
const client = new Anka(process.env.ANKA_CONTROLLER_URL, { backoff: 0 });

beforeEach(mock.reset);
afterEach(mock.checkReport);

test("start goes through a pull", async () => {
  const began = await mock.now();

  const id = await client.start(template, "job-1");
  await mock.advanceUntil(id, "Pulling");
  assert.equal((await client.show(id)).instance_state, "Pulling");
  await mock.advanceUntil(id, "Started");
  assert.ok((await client.show(id)).vminfo.host_ip, "the instance is Started, but has no address");
  const minutes = ((await mock.now()) - began) / 60_000;
  assert.ok(minutes >= 3, `28 GB cannot have been pulled in ${minutes} minutes`);

  await client.terminate(id);
  await mock.advanceUntil(id, "Terminated");
});

test("start is sent again after a 503", async () => {
  await mock.addFault({ match: { method: "POST", path: "/api/v1/vm" }, do: { status: 503 }, times: 1 });

  const id = await client.start(template, "job-1");
  assert.deepEqual(await mock.statuses(), [503, 200]);

  await client.terminate(id);
});

test("start ends in an error when its pull fails", async () => {
  await mock.addFault({ match: { event: "pull" }, do: { fail: "request canceled", at: "50%", final: true } });

  const id = await client.start(template, "job-1");
  await mock.advanceUntil(id, "Error");
  assert.match((await client.show(id)).message, /canceled/);

  // An instance in Error still exists and has to be terminated as well.
  await client.terminate(id);
});

test("start fails while the controller is away", async () => {
  await mock.addFault({ id: "away", match: {}, do: { refuse: "1m" } });

  await assert.rejects(client.start(template, "job-1"));

  // The control API has a separate port, which remains available.
  await mock.removeFault("away");
  assert.deepEqual(await mock.statuses(), [null], "the start was repeated; the first one may have started an instance");
  await client.terminate(await client.start(template, "job-1"));
});
