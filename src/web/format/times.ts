const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** `8 s`, `4 min`, `3 h`, `12 d`: as exact as is of use, and never more than is known. */
export function span(ms: number): string {
  const value = Math.max(0, ms);
  if (value < minuteMs) return `${Math.floor(value / 1000)}\u00a0s`;
  if (value < hourMs) return `${Math.floor(value / minuteMs)}\u00a0min`;
  if (value < 2 * dayMs) return `${Math.floor(value / hourMs)}\u00a0h`;
  return `${Math.floor(value / dayMs)}\u00a0d`;
}

/** `12 s ago` */
export function ago(atMs: number, nowMs: number): string {
  return nowMs - atMs < 1000 ? 'just now' : `${span(nowMs - atMs)} ago`;
}

/** `in 12 s` */
export function until(atMs: number, nowMs: number): string {
  return atMs - nowMs < 1000 ? 'now' : `in ${span(atMs - nowMs)}`;
}

/** For a title: `2026-11-23 16:45:10`, in the reader's time zone. */
export function exactTime(atMs: number): string {
  const at = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `41 ms`, `2.4 s`: of measured durations. */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)}\u00a0ms`;
  if (ms < 1000) return `${Math.round(ms)}\u00a0ms`;
  if (ms < minuteMs) return `${(ms / 1000).toFixed(1)}\u00a0s`;
  return span(ms);
}
