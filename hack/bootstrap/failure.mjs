/** A fault that its reader can do something about: the message says what. */
export class Failure extends Error {}

/** One or two lines for people; a stack only for what nobody foresaw. */
export function explain(error) {
  const text = String(error instanceof Error ? error.message : error);
  const path = error?.path === undefined ? "" : ` (${error.path})`;
  if (error?.code === "ENOSPC" || /ENOSPC|no space left/i.test(text))
    return `The disk is full${path}: make room and try again.`;
  if (["EACCES", "EPERM", "EROFS", "ENOTDIR"].includes(error?.code)) {
    return `Cannot write${path}: it must be a folder that this user may write to. Programs are kept in the folder that XDG_CACHE_HOME names.`;
  }
  return error instanceof Failure ? text : (error?.stack ?? text);
}
