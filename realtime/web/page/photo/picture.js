// What a photo shows, as far as the browser knows its kind.

const SHOWN_SIDE = 1600; // pixels: larger photos are kept smaller

/** The picture of a file as a canvas, at most SHOWN_SIDE large; null if the browser does not know its kind. */
export async function pictureOf(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return null;
  }
  const scale = Math.min(1, SHOWN_SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return canvas;
}
