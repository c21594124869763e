/** Lines for the person who waits. */
export interface Progress {
  say(line: string): void;
  /** Runs a step: says what is waited for and how long, then that it is done. */
  step<T>(what: string, run: (note: (detail: string) => void) => Promise<T>): Promise<T>;
  elapsedMs(): number;
}

const firstNoteMs = 2000;
const nextNoteMs = 4000;

export function makeProgress(write: (line: string) => void): Progress {
  const startedAt = performance.now();
  const elapsedMs = () => performance.now() - startedAt;
  return {
    say: write,
    elapsedMs,
    async step(what, run) {
      const from = performance.now();
      let detail = "";
      let said = "";
      const remind = () => {
        const waited = seconds(performance.now() - from);
        write(`  … ${what}, ${waited}${detail === "" ? "" : `: ${detail}`}`);
        said = detail;
        timer = setTimeout(remind, nextNoteMs);
      };
      let timer = setTimeout(remind, firstNoteMs);
      try {
        const result = await run((next) => {
          detail = next;
          if (said !== "" && said !== next && performance.now() - from > firstNoteMs) {
            clearTimeout(timer);
            timer = setTimeout(remind, 500);
          }
        });
        write(`  ✓ ${what}  ${seconds(performance.now() - from)}`);
        return result;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

export function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
