/** Places that are taken in turn. */
export interface Turns {
  /** Resolves with what gives the place back; undefined when too many wait, or after waiting too long. */
  take(): Promise<(() => void) | undefined>;
}

export function makeTurns({
  places,
  waiting,
  patienceMs,
}: {
  places: number;
  waiting: number;
  patienceMs: number;
}): Turns {
  let free = places;
  const queue: ((release: () => void) => void)[] = [];

  const makeRelease = (): (() => void) => {
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const next = queue.shift();
      if (next === undefined) free += 1;
      else next(makeRelease());
    };
  };

  return {
    async take() {
      if (free > 0) {
        free -= 1;
        return makeRelease();
      }
      if (queue.length >= waiting) return undefined;
      const { promise, resolve } = Promise.withResolvers<(() => void) | undefined>();
      queue.push(resolve);
      const timer = setTimeout(() => {
        const place = queue.indexOf(resolve);
        if (place < 0) return;
        queue.splice(place, 1);
        resolve(undefined);
      }, patienceMs);
      return promise.finally(() => clearTimeout(timer));
    },
  };
}
