/**
 * JSON merge patches (RFC 7396) between documents that are plain data. A member that is undefined is not there. `null` says
 * that a member goes, so documents have none; lists are replaced as a whole.
 */
export type Members = Readonly<Record<string, unknown>>;

/** What makes `after` of `before`, or undefined: nothing. An object that stands in both is not looked into. */
export function patchBetween(before: Members, after: Members): Members | undefined {
  const patch: Record<string, unknown> = {};
  let isEmpty = true;
  for (const name of Object.keys(after)) {
    const change = changeBetween(memberOf(before, name), after[name]);
    if (change === undefined) continue;
    setMember(patch, name, change);
    isEmpty = false;
  }
  for (const name of Object.keys(before)) {
    if (before[name] === undefined || memberOf(after, name) !== undefined) continue;
    setMember(patch, name, null);
    isEmpty = false;
  }
  return isEmpty ? undefined : patch;
}

/** What the patch makes of the document. What it does not touch stays the same object; the document stays as it is. */
export function patched(document: unknown, patch: unknown): unknown {
  if (!hasMembers(patch)) return patch;
  const next: Record<string, unknown> = hasMembers(document) ? { ...document } : {};
  for (const [name, change] of Object.entries(patch)) {
    if (change === null) delete next[name];
    else setMember(next, name, patched(memberOf(next, name), change));
  }
  return next;
}

/** Names come from outside, and one may be `constructor`: what an object has by its nature is a function, which no data is. */
function memberOf(members: Members, name: string): unknown {
  const member = members[name];
  if (typeof member === 'function' || name === '__proto__') return Object.hasOwn(members, name) ? member : undefined;
  return member;
}

/** Assigned, `__proto__` would be no member. */
function setMember(members: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') members[name] = value;
  else Object.defineProperty(members, name, { value, configurable: true, enumerable: true, writable: true });
}

/** The member's change, where `is` is still there. */
function changeBetween(was: unknown, is: unknown): unknown {
  if (was === is) return undefined;
  if (hasMembers(was) && hasMembers(is)) return patchBetween(was, is);
  return isSame(was, is) ? undefined : is;
}

function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, index) => isSame(item, other[index]));
  return hasMembers(one) && hasMembers(other) && patchBetween(one, other) === undefined;
}

export function hasMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
