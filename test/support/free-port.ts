import { makePortPicker } from "@pricing-engine/hack/infra";

/** Below the range of outgoing connections: one of those would take a port from there before its server does. */
export const findFreePort: () => Promise<number> = makePortPicker();
