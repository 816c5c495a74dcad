// The server as the doors see it. Whatever goes wrong becomes an ApiError whose message is one sentence for people.

import { element } from "./elements.js";
import { sentence } from "./words.js";

export class ApiError extends Error {
  constructor(message, status = 0, retryAfter_s = null) {
    super(message);
    this.status = status; // 0: no answer at all
    this.retryAfter_s = retryAfter_s;
  }
}

const UNREACHABLE = "STGT does not answer. Is it still running?";

/** An address of the API, relative to the page: it may be served below a path of its own. */
export const address = (path) => new URL(path, document.baseURI).href;

export const isAbort = (error) => error?.name === "AbortError";

const ended = (job) => ["done", "failed", "cancelled"].includes(job.status);

/** The answer of `path`; `as`: "json", "arrayBuffer" or "nothing". Throws ApiError, or AbortError if `signal` was set off. */
export async function request(path, { method = "GET", signal, as = "json", keepalive = false } = {}) {
  let response;
  try {
    response = await fetch(address(path), { method, signal, keepalive, cache: "no-store" });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(UNREACHABLE);
  }
  if (!response.ok) throw errorOf(response.status, await response.text(), response.headers.get("Retry-After"));
  if (as === "nothing") return null;
  try {
    return await response[as]();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("The answer of STGT broke off. Try again.", response.status);
  }
}

function errorOf(status, text, retryAfter) {
  const seconds = Number.parseFloat(retryAfter);
  let said = status === 404 ? "STGT no longer has this." : `STGT answered with an error (${status}).`;
  try {
    said = sentence(JSON.parse(text).error ?? said);
  } catch {
    // Not the API's own words: a proxy, say.
  }
  return new ApiError(said, status, Number.isFinite(seconds) ? seconds : null);
}

export const getModel = () => request("api/model");

/**
 * Sends a file; resolves to the job that reads it.
 * `fields`: further fields of the form; `onProgress(share)`: of the file that is sent.
 */
export function upload(file, fields = {}, { onProgress = () => {}, signal } = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== null && value !== undefined) form.append(name, String(value));
  form.append("file", file, file.name || "picture");
  return new Promise((resolve, reject) => {
    const aborted = () => reject(new DOMException("cancelled", "AbortError"));
    if (signal?.aborted) return aborted();
    const sending = new XMLHttpRequest(); // fetch cannot tell how much was sent
    sending.open("POST", address("api/predict"));
    sending.upload.onprogress = ({ lengthComputable, loaded, total }) => lengthComputable && onProgress(loaded / total);
    sending.onload = () => {
      if (sending.status !== 202) return reject(errorOf(sending.status, sending.responseText, sending.getResponseHeader("Retry-After")));
      const job = JSON.parse(sending.responseText);
      held.add(job.id);
      resolve(job);
    };
    sending.onerror = () => reject(new ApiError(`${file.name} could not be sent: the file has changed, or STGT does not answer.`));
    sending.onabort = aborted;
    signal?.addEventListener("abort", () => sending.abort(), { once: true });
    sending.send(form);
  });
}

/** As `upload`, but waits and tries again while the server has no room; `onWait(seconds)` says for how long. */
export async function uploadPatiently(file, fields, { onProgress, onWait = () => {}, signal } = {}) {
  for (;;) {
    try {
      return await upload(file, fields, { onProgress, signal });
    } catch (error) {
      if (error.status !== 503) throw error;
      const seconds = Math.min(30, Math.max(1, error.retryAfter_s ?? 3));
      onWait(seconds);
      await pause(seconds * 1000, signal);
    }
  }
}

/** The result of a job: waits until it is there. Throws what went wrong with it. */
export async function resultOf(id, { onChange, signal } = {}) {
  const job = await follow(id, { onChange, signal });
  if (job.status !== "done") throw new ApiError(sentence(job.error ?? "STGT has cancelled the reading"));
  const result = await request(`api/jobs/${id}/result`, { signal });
  return { ...result, notes: result.notes.map(sentence) };
}

/**
 * Asks for a job until it has ended, first often, then more and more seldom; `onChange(job)` after every answer.
 * A server that does not answer is asked again for half a minute.
 */
async function follow(id, { onChange = () => {}, signal } = {}) {
  let wait = 120;
  let silent_ms = 0;
  for (;;) {
    let job = null;
    try {
      job = await request(`api/jobs/${id}`, { signal });
      silent_ms = 0;
    } catch (error) {
      if (error.status !== 0 || isAbort(error) || silent_ms > 30_000) throw error;
      silent_ms += wait;
    }
    if (job) {
      onChange(job);
      if (ended(job)) return job;
    }
    await pause(wait, signal);
    wait = Math.min(1000, wait * 1.3);
  }
}

/** Has the annotated video drawn; resolves when it is there. */
export async function draw(id, { onChange, signal } = {}) {
  await request(`api/jobs/${id}/video`, { method: "POST", signal });
  const job = await follow(id, { onChange, signal });
  if (job.status !== "done" || !job.has_video) throw new ApiError(sentence(job.error ?? "the video could not be drawn"));
  return job;
}

/** Saves a file of a job. Throws if the server no longer has the job: a link would only leave a broken download. */
export async function save(id, path, name) {
  try {
    await request(`api/jobs/${id}`);
  } catch (error) {
    if (error.status !== 404) throw error;
    throw new ApiError("STGT keeps what it read for a limited time only, which is over: read the video again.", 404);
  }
  element("a", { href: address(`api/jobs/${id}/${path}`), download: name }).click();
}

/** Jobs that the server keeps for this page. */
const held = new Set();

/** Tells the server to cancel a job and forget all of it. That it has done so already is no error. */
export async function forget(id) {
  held.delete(id);
  try {
    await request(`api/jobs/${id}`, { method: "DELETE", as: "nothing", keepalive: true });
  } catch {
    // It is gone, or will be: the server forgets by itself after a while.
  }
}

// Whoever leaves the page leaves nothing behind. Should the browser bring the page back as it was, it starts anew.
addEventListener("pagehide", () => [...held].forEach(forget));
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}
