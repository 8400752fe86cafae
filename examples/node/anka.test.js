// The tests of a file run one after the other, but files run side by side: with more than one on the same controller,
// use node --test --test-concurrency=1.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Anka } from "./anka.js";
import * as mock from "./mock.js";

// The template 14.5-arm64, 28 GB. Ids are made from the seed and the name, so it is the same in every run.
const template = "d05c2c8b-1a50-4718-87ef-cc20aee0d4e7";
// The mock waits for nobody, so the client need not wait for it.
const client = new Anka(process.env.ANKA_CONTROLLER_URL, { backoff: 0 });

beforeEach(mock.reset);
afterEach(mock.findNoFault);

test("start goes through a pull", async () => {
  const began = await mock.now();

  const id = await client.start(template, "job-1");
  await mock.advanceUntil(id, "Pulling");
  assert.equal((await client.show(id)).instance_state, "Pulling");
  await mock.advanceUntil(id, "Started");
  assert.ok((await client.show(id)).vminfo.host_ip, "it is started, but nobody knows where");
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

test("start ends in an error when its node dies", async () => {
  await mock.addFault({ match: { event: "pull" }, do: { node: "offline", at: "50%" } });

  const id = await client.start(template, "job-1");
  await mock.advanceUntil(id, "Error");
  assert.match((await client.show(id)).message, /offline/);

  // An instance in Error is still there, and is left behind unless it is terminated as well.
  await client.terminate(id);
});

test("start fails while the controller is away", async () => {
  await mock.addFault({ id: "away", match: {}, do: { refuse: "1m" } });

  await assert.rejects(client.start(template, "job-1"));

  // The control API has a port of its own, which answers meanwhile.
  await mock.removeFault("away");
  assert.deepEqual(await mock.statuses(), [null], "it was sent again; who knows what the first one started?");
  await client.terminate(await client.start(template, "job-1"));
});
