// Talking to the server.

export class LoggedOut extends Error {}

/** GET or POST JSON; LoggedOut when the site no longer knows this browser. */
export async function call(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return checked(await fetch(path, options));
}

/** POST bytes with their CRC-32, as the upload hosts want them. */
export async function send(path, blob, headers = {}, signal = undefined) {
  const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
  const all = { ...headers, "Content-CRC32": crc, "Content-Type": "application/octet-stream" };
  return checked(await fetch(path, { method: "POST", body: blob, headers: all, signal }));
}

async function checked(response) {
  const answer = await response.json();
  if (answer.status_code === 8) throw new LoggedOut("用户未登录");
  return answer;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at += 1) crc = TABLE[(crc ^ bytes[at]) & 0xff] ^ (crc >>> 8);
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}
