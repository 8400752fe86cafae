// Sends requests with undici as it is by default.
import { request } from "undici";
import { serve } from "./lines.js";

await serve(async (method, url, timeout, body) => {
  const response = await request(url, { method, body, headersTimeout: timeout, bodyTimeout: timeout });
  await response.body.text();
  return response.statusCode;
});
