/** Joins calls with the same key to the one that is running. */
export type ShareFlights<Result> = (key: string, start: () => Promise<Result>) => Promise<Result>;

export function makeShareFlights<Result>(): ShareFlights<Result> {
  const flights = new Map<string, Promise<Result>>();
  return (key, start) => {
    const running = flights.get(key);
    if (running !== undefined) return running;
    const flight = start().finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  };
}
