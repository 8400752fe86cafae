// A small client of the Anka Build Cloud controller. It stands for the code under test and does not depend on mockanka.
import { setTimeout as sleep } from "node:timers/promises";

/** A 503 response: the request was not carried out. */
export class Unavailable extends Error {}

export class Anka {
  /** Create a client that repeats a start up to `retries` times, each time after `backoff` milliseconds. */
  constructor(url, { retries = 2, backoff = 1000 } = {}) {
    Object.assign(this, { url, retries, backoff });
  }

  /**
   * Start an instance of a template and return its id.
   *
   * The request is repeated after a 503 only. If a response is lost, the instance may exist already, and repeating the
   * request may start a second one.
   */
  async start(template, job) {
    for (let attempt = 0; ; attempt++) {
      try {
        const [id] = await this.#call("POST", "", { vmid: template, external_id: job });
        return id;
      } catch (error) {
        if (!(error instanceof Unavailable) || attempt === this.retries) throw error;
        await sleep(this.backoff);
      }
    }
  }

  show(id) {
    return this.#call("GET", `?id=${encodeURIComponent(id)}`);
  }

  terminate(id) {
    return this.#call("DELETE", "", { id });
  }

  async #call(method, query, body) {
    const response = await fetch(`${this.url}/api/v1/vm${query}`, { method, body: body && JSON.stringify(body) });
    if (response.status === 503) throw new Unavailable(`${method}: the controller is unavailable`);
    // Check the envelope, not the HTTP status: failures have status 200 before release 1.20, and 400 from then on.
    const envelope = await response.json();
    if (envelope.status !== "OK") throw new Error(`${method}: ${envelope.message}`);
    return envelope.body;
  }
}
