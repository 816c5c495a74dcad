// The camera: asked for, chosen, watched; every way in which it can be refused is said in words that help.

/** What keeps a camera from being read; `message` is for people. */
export class CameraProblem extends Error {}

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
const LONGEST_SIDE = 640; // of the pictures that are sent: more pixels make no face easier to read, but everything slower

/** A running camera. `onEnd(message)` is called when it goes away by itself. */
export class Camera {
  #video = document.createElement("video");
  #stream;
  #track;
  #running = true;
  #handle = 0;

  /** Asks for a camera; `id` is that of `cameras()`, or null for the one that looks at the user. */
  static async open(id, onEnd) {
    const stream = await askFor(id);
    const camera = new Camera(stream, onEnd);
    try {
      await camera.#video.play();
    } catch (error) {
      camera.close();
      throw problemOf(error);
    }
    return camera;
  }

  constructor(stream, onEnd) {
    this.#stream = stream;
    [this.#track] = stream.getVideoTracks();
    this.#track.addEventListener("ended", () => this.#running && onEnd("The camera has gone: was it unplugged, or its permission taken back?"));
    this.#video.muted = true;
    this.#video.playsInline = true;
    this.#video.srcObject = stream;
  }

  /** Its pictures, for `drawImage`. */
  get video() {
    return this.#video;
  }

  /** Which of `cameras()` it is. */
  get id() {
    return this.#track.getSettings().deviceId ?? null;
  }

  /** Whether it gives pictures; black ones do not count where the browser knows, such as behind a shutter. */
  get isMuted() {
    return this.#track.muted;
  }

  /** `[width, height]` in which its pictures are sent, both even. */
  get size() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    const share = Math.min(1, LONGEST_SIDE / Math.max(width, height, 1));
    return [width, height].map((side) => Math.max(2, 2 * Math.round((side * share) / 2)));
  }

  /** Calls `callback(captured_ms)` for every new picture, with the moment it was taken on the clock of the page. */
  watch(callback) {
    const video = this.#video;
    if ("requestVideoFrameCallback" in video) {
      const next = (now, { captureTime }) => {
        if (!this.#running) return;
        this.#handle = video.requestVideoFrameCallback(next);
        callback(captureTime ?? now);
      };
      this.#handle = video.requestVideoFrameCallback(next);
      return;
    }
    let shown = -1;
    const look = (now) => {
      if (!this.#running) return;
      requestAnimationFrame(look);
      if (video.currentTime === shown) return;
      shown = video.currentTime;
      callback(now);
    };
    requestAnimationFrame(look);
  }

  /** Turns it off, lamp and all. */
  close() {
    this.#running = false;
    this.#video.cancelVideoFrameCallback?.(this.#handle);
    for (const track of this.#stream.getTracks()) track.stop();
    this.#video.srcObject = null;
  }
}

/** The cameras that there are: `[{id, name}]`; names are only known once a camera was allowed. */
export async function cameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices
    .filter((device) => device.kind === "videoinput")
    .map((device, index) => ({ id: device.deviceId, name: device.label || `Camera ${index + 1}` }));
}

/** Calls back when cameras come or go. */
export function onCamerasChange(callback) {
  navigator.mediaDevices?.addEventListener?.("devicechange", callback);
}

async function askFor(id) {
  if (!navigator.mediaDevices?.getUserMedia) throw new CameraProblem(withoutCameras());
  const which = id ? { deviceId: { exact: id } } : { facingMode: "user" };
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...WANTED, ...which } });
  } catch (error) {
    if (id && (error.name === "OverconstrainedError" || error.name === "NotFoundError")) return askFor(null);
    throw problemOf(error);
  }
}

function withoutCameras() {
  if (window.isSecureContext) return "This browser gives no page a camera. Use a current Firefox, Chrome, Edge or Safari.";
  const port = location.port || "80";
  return (
    `Browsers give a camera only to pages of the same computer or over https, and this one came over http from ${location.hostname}. ` +
    `Open it at http://localhost:${port} on the computer that runs STGT. From here, “ssh -L ${port}:localhost:${port} ` +
    `${location.hostname}” in a terminal lets you open http://localhost:${port}, too.`
  );
}

function problemOf(error) {
  if (error instanceof CameraProblem) return error;
  return new CameraProblem(wordsFor(error));
}

function wordsFor({ name, message }) {
  switch (name) {
    case "NotAllowedError":
    case "PermissionDeniedError":
      if (/system/i.test(message)) {
        return "The system keeps this browser from using cameras. Allow it in the system’s privacy settings, then start again.";
      }
      if (/dismissed/i.test(message)) return "The question was closed without an answer. Start again, and allow the camera.";
      return "The camera was not allowed. To change that, click the camera or lock sign beside the address of this page, allow it, and start again.";
    case "NotFoundError":
    case "DevicesNotFoundError":
    case "OverconstrainedError":
      return "There is no camera. Plug one in, or switch it on, and start again. Videos and photos can be read without one.";
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return "The camera does not start. Another program may be using it: close that, or unplug the camera and plug it in again, then start again.";
    case "SecurityError":
      return "This browser forbids cameras on this page. Look at its privacy settings.";
    default:
      return `The camera does not start (${message || name}). Start again, or take another camera.`;
  }
}
