/**
 * Runs one thing at a time for at most `timeoutMs`. One that goes on after that is waited for by nobody, and until it has ended
 * no other is begun: calls that hang do not pile up.
 */
export function makeBounded(timeoutMs: number) {
  let goesOn = false;

  return async function bounded<T>(run: () => Promise<T>): Promise<T> {
    if (goesOn) throw new Error("the call before this one goes on");
    goesOn = true;
    const result = run().finally(() => {
      goesOn = false;
    });
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs / 1000} s`)), timeoutMs);
    return await Promise.race([result, promise]).finally(() => clearTimeout(timer));
  };
}
