/** Runs `fly` unless a flight of that key is in the air, or ended a moment ago, and then shares its outcome. */
export type SingleFlight<Value> = (key: string, fly: () => Promise<Value>) => Promise<Value>;

/**
 * One computation per key at a time. The key must say all that the caller has seen: who joins gets what was read after
 * that flight began, not after it joined.
 *
 * @param keepMs for how long an outcome is still shared after its flight: requests that missed together may come a moment
 *   apart, through several gateways. Default: not at all.
 */
export function makeSingleFlight<Value>(keepMs: (value: Value) => number = () => 0): SingleFlight<Value> {
  const flights = new Map<string, Promise<Value>>();
  return (key, fly) => {
    const joined = flights.get(key);
    if (joined !== undefined) return joined;
    const flight = fly();
    flights.set(key, flight);
    const forget = (): boolean => flights.delete(key);
    flight.then((value) => {
      const forMs = keepMs(value);
      if (forMs > 0) setTimeout(forget, forMs).unref();
      else forget();
    }, forget);
    return flight;
  };
}
