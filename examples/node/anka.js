// A small client of the Anka Build Cloud controller. It stands for your code, the code under test: nothing in it knows
// of mockanka.
import { setTimeout as sleep } from "node:timers/promises";

/** An answer of 503: the request was not carried out. */
export class Unavailable extends Error {}

export class Anka {
  /** A client that sends starts again, at most so many times, and waits so many milliseconds before that. */
  constructor(url, { retries = 2, backoff = 1000 } = {}) {
    Object.assign(this, { url, retries, backoff });
  }

  /**
   * Ask for an instance of a template; its id.
   *
   * It is sent again after a 503 and after nothing else: when an answer is lost, an instance may have been started, and
   * sending it again may start another one.
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
    const answer = await fetch(`${this.url}/api/v1/vm${query}`, { method, body: body && JSON.stringify(body) });
    if (answer.status === 503) throw new Unavailable(`${method}: the controller is unavailable`);
    // The envelope decides, not the HTTP status: failures come with 200 before release 1.20, and with 400 since.
    const envelope = await answer.json();
    if (envelope.status !== "OK") throw new Error(`${method}: ${envelope.message}`);
    return envelope.body;
  }
}
