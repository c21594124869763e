/** Something that many use at once, and another one in its place as soon as one of them finds it bad. */
export interface Renewable<T> {
  /**
   * `abandon`: whoever comes next begins with another one; it does not disturb those who still use this one, and is closed after the last of
   * them.
   */
  use<R>(work: (one: T, abandon: () => void) => Promise<R>): Promise<R>;
  /** When nobody uses it any more. Resolves once everything that was opened is closed. */
  close(): Promise<void>;
}

interface Lease<T> {
  readonly one: T;
  users: number;
}

/** Opens nothing before the first use. What `close` throws is not told: it is of something that is no longer wanted. */
export function makeRenewable<T>(open: () => T, close: (one: T) => Promise<unknown>): Renewable<T> {
  const closings = new Set<Promise<unknown>>();
  let current: Lease<T> | undefined;

  function startClosing({ one }: Lease<T>): void {
    const closing = close(one)
      .catch(() => undefined)
      .finally(() => closings.delete(closing));
    closings.add(closing);
  }

  return {
    async use(work) {
      current ??= { one: open(), users: 0 };
      const lease = current;
      lease.users += 1;
      try {
        return await work(lease.one, () => {
          if (current === lease) current = undefined;
        });
      } finally {
        lease.users -= 1;
        if (lease !== current && lease.users === 0) startClosing(lease);
      }
    },
    async close() {
      if (current !== undefined) startClosing(current);
      current = undefined;
      await Promise.all(closings);
    },
  };
}
