/** The live settings of the newest plan with the prober's verdicts. The pass and the prober both write: one after the other. */
import type { Plan } from "../core/plan.ts";
import { withVerdicts } from "../core/settings.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Verdicts } from "./failover.ts";

export interface LiveSettingsDeps {
  readonly runtime: Pick<Runtime, "applySettings">;
  plan(): Pick<Plan, "settings" | "settingsHash">;
  verdicts(): Verdicts | undefined;
}

/** Returns what writes them as they are when its turn comes. */
export function makeLiveSettings({ runtime, plan, verdicts }: LiveSettingsDeps): () => Promise<void> {
  let writing: Promise<unknown> = Promise.resolve();

  function write(): Promise<void> {
    const known = verdicts();
    const { settings, settingsHash: lasting } = plan();
    if (known === undefined) return runtime.applySettings(settings, { lasting, whole: lasting, advice: "" });
    const live = withVerdicts(settings, known);
    const whole = `${lasting} ${known.default.state} ${known.fallback.state}`;
    return runtime.applySettings(live, { lasting, whole, advice: JSON.stringify(live.payment.verdicts) });
  }

  return () => {
    const written = writing.then(write);
    writing = written.catch(() => undefined);
    return written;
  };
}
