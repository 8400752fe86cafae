// Sends requests with axios as it is by default.
import axios from "axios";
import { serve } from "./lines.js";

await serve(async (method, url, timeout, data) => {
  const response = await axios.request({ method, url, data, timeout, validateStatus: null });
  return response.status;
});
