// Requests by the standard input, results by the standard output. Each line is a method, a URL, a timeout in seconds
// and a body, with tabs between them; each line of the output is a status or an error.
import { createInterface } from "node:readline";

export async function serve(send) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [method, url, seconds, body] = line.split("\t");
    try {
      console.log(await send(method, url, 1000 * Number(seconds), body || undefined));
    } catch (error) {
      console.log(`error: ${error.code ?? error.name}`);
    }
  }
}
