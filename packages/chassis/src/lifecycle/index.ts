export type { Check, CheckResult, HealthRegistry, HealthReport } from "./health.ts";
export { type Closer, type Lifecycle, type LifecycleOptions, makeLifecycle } from "./make-lifecycle.ts";
export { releaseMemory, releaseMemoryOften, tuneCollector } from "./memory.ts";
export { runInBackground } from "./priority.ts";
export { runEvery } from "./run-every.ts";
export { type MainOptions, type ReadyInfo, runMain } from "./run-main.ts";
