/** Something that the person at the terminal can repair: the message says what and how, and is all that is shown. */
export class UserError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UserError";
  }
}

const unusablePlace: ReadonlySet<string> = new Set(["EACCES", "EROFS", "ENOTDIR", "EEXIST"]);

/** What to show for any error: no stack for what a person can repair. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? error.code : undefined;
  if (code === "ENOSPC") return `the disk is full: ${error.message}. Free some space and start again`;
  if (typeof code === "string" && unusablePlace.has(code))
    return `${error.message}. Choose another place with --state-dir`;
  return error.message;
}
