// Asia/Shanghai, whatever zone the browser is in, or the browser's own (`schedule_zone`). A moment is unix
// seconds; a wall clock is {year, month, day, hour, minute}. China keeps UTC+8 all year.

const OFFSET = 8 * 3600;
let browsers = false;

export function setZone(name) {
  browsers = name === "browser";
}

export function wall(unix) {
  if (browsers) {
    const date = new Date(unix * 1000);
    return {
      year: date.getFullYear(),
      month: date.getMonth() + 1,
      day: date.getDate(),
      hour: date.getHours(),
      minute: date.getMinutes(),
    };
  }
  const date = new Date((unix + OFFSET) * 1000);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
  };
}

export function unix({ year, month, day, hour = 0, minute = 0 }) {
  if (browsers) return new Date(year, month - 1, day, hour, minute).getTime() / 1000;
  return Date.UTC(year, month - 1, day, hour, minute) / 1000 - OFFSET;
}

export function now() {
  return Date.now() / 1000;
}

export const two = (number) => String(number).padStart(2, "0");

export function dateText({ year, month, day }) {
  return `${year}-${two(month)}-${two(day)}`;
}

export function text(moment) {
  const at = wall(moment);
  return `${dateText(at)} ${two(at.hour)}:${two(at.minute)}`;
}

/** "2026-11-23 08:30" → unix seconds; null when it is not a time. */
export function parse(given) {
  const match = /^\s*(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d)\s*$/.exec(given);
  if (!match) return null;
  const [year, month, day, hour, minute] = match.slice(1).map(Number);
  const moment = unix({ year, month, day, hour, minute });
  return text(moment) === given.trim() ? moment : null;
}
