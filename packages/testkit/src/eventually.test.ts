import { describe, expect, it } from "vitest";
import { eventually } from "./eventually.ts";

describe("eventually", () => {
  it("gives back the first value that is not false", async () => {
    let calls = 0;
    const value = await eventually(() => ++calls >= 3 && `call ${calls}`, { intervalMs: 1 });
    expect(value).toBe("call 3");
  });

  it("takes undefined, an assertion that held, as success", async () => {
    await expect(eventually(() => undefined, { timeoutMs: 0 })).resolves.toBeUndefined();
  });

  it("retries what throws, and throws the last error with the time", async () => {
    let calls = 0;
    const failing = eventually(
      () => {
        throw new Error(`failure ${++calls}`);
      },
      { timeoutMs: 500, intervalMs: 1 },
    );
    await expect(failing).rejects.toThrow(/not within 500 ms: failure \d+/);
    expect(calls).toBeGreaterThan(1);
  });

  it("names the condition that never held", async () => {
    await expect(eventually(() => 1 > 2, { timeoutMs: 5, intervalMs: 1 })).rejects.toThrow("1 > 2");
  });
});
