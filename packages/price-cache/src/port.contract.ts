import { expect, it } from "vitest";
import type { CachePort, FillRequest } from "./port.ts";
import { encodeMeta, encodeNumber, findBody, makePlaceholder, markerTtlMs } from "./protocol.ts";

const first = "00000000000000aa";
const second = "00000000000000bb";

/** What every port must do; the simulation is only worth as much as its port resembles Redis. */
export function describeCachePort(
  makePort: () => CachePort,
  tools: {
    /** Lets so much time pass for the port. */
    pass: (durationMs: number) => Promise<void>;
    empty: (port: CachePort) => Promise<void>;
  },
): void {
  const fillOf = (changes: Partial<FillRequest> = {}): FillRequest => ({
    productId: "p",
    contextKey: "1:0::p\0\0",
    generation: first,
    policyVersion: encodeNumber(3),
    sequence: encodeNumber(7),
    seenMarker: encodeNumber(1),
    placeholder: makePlaceholder(first),
    ttlMs: 60_000,
    markerTtlMs,
    body: Buffer.from('{"price":"ü"}'),
    ...changes,
  });
  const open = async () => {
    const port = makePort();
    await port.ensureMeta(first);
    await port.raiseMarkers([{ productId: "p", sequence: encodeNumber(1) }], markerTtlMs);
    return port;
  };
  const hit = async (port: CachePort) => findBody(await port.read("p", "1:0::p\0\0"))?.toString();

  it("keeps the first meta", async () => {
    const port = await open();
    expect(await port.ensureMeta(second)).toBe(encodeMeta(first, encodeNumber(0)));
  });

  it("stores a fill and gives its bytes back", async () => {
    const port = await open();
    expect(await hit(port)).toBeUndefined();
    expect(await port.fill(fillOf())).toEqual({ outcome: "stored" });
    expect(await hit(port)).toBe('{"price":"ü"}');
  });

  it("keeps the first of two fills from the same facts, and says so", async () => {
    const port = await open();
    await port.fill(fillOf());
    const reply = await port.fill(fillOf({ seenMarker: encodeNumber(7), body: Buffer.from("later") }));
    expect(reply.outcome === "kept" && reply.body.toString()).toBe('{"price":"ü"}');
    expect(await hit(port)).toBe('{"price":"ü"}');
  });

  it("replaces an entry by one of a higher sequence, never by one of a lower", async () => {
    const port = await open();
    await port.fill(fillOf());
    expect(await port.fill(fillOf({ sequence: encodeNumber(10), body: Buffer.from("ten") }))).toEqual({
      outcome: "stored",
    });
    expect(await port.fill(fillOf({ sequence: encodeNumber(9) }))).toEqual({ outcome: "refused", reason: "sequence" });
    expect(await hit(port)).toBe("ten");
  });

  it("refuses a slow fill once the marker was raised", async () => {
    const port = await open();
    await port.raiseMarkers([{ productId: "p", sequence: encodeNumber(8) }], markerTtlMs);
    expect(await port.fill(fillOf())).toEqual({ outcome: "refused", reason: "sequence" });
    expect(await hit(port)).toBeUndefined();
  });

  it("makes an entry stale by raising its marker, and never lowers one", async () => {
    const port = await open();
    await port.fill(fillOf());
    await port.raiseMarkers([{ productId: "p", sequence: encodeNumber(6) }], markerTtlMs);
    expect(await hit(port)).toBe('{"price":"ü"}');
    await port.raiseMarkers([{ productId: "p", sequence: encodeNumber(8) }], markerTtlMs);
    expect(await hit(port)).toBeUndefined();
  });

  it("refuses an older policy, and takes a newer one as known from then on", async () => {
    const port = await open();
    await port.fill(fillOf({ policyVersion: encodeNumber(4) }));
    expect(await port.fill(fillOf())).toEqual({ outcome: "refused", reason: "policy" });
    await port.raisePolicyVersion(encodeNumber(3), second);
    expect(await hit(port)).toBeDefined();
    await port.raisePolicyVersion(encodeNumber(5), second);
    expect(await hit(port)).toBeUndefined();
  });

  it("refuses a fill of another generation, and entries of one", async () => {
    const port = await open();
    await port.fill(fillOf());
    await port.replaceGeneration(second);
    expect(await hit(port)).toBeUndefined();
    expect(await port.fill(fillOf())).toEqual({ outcome: "refused", reason: "generation" });
  });

  it("refuses a slow fill after everything was lost", async () => {
    const port = await open();
    await tools.empty(port);
    expect(await port.fill(fillOf())).toEqual({ outcome: "refused", reason: "generation" });
    await port.ensureMeta(second);
    expect(await port.fill(fillOf())).toEqual({ outcome: "refused", reason: "generation" });
  });

  it("refuses a fill whose marker was lost, and takes the next one that saw what was left in its place", async () => {
    const port = await open();
    const lost = { productId: "lost", contextKey: "lost" };
    const marker = async () => (await port.read("lost", "lost")).marker?.toString();
    for (const seenMarker of [encodeNumber(7), undefined]) {
      const reply = await port.fill(fillOf({ ...lost, seenMarker, placeholder: makePlaceholder(second) }));
      expect(reply).toEqual({ outcome: "refused", reason: "marker" });
      // The first one stays: a fill that saw it is as good as any that sees a later one.
      expect(await marker()).toBe(makePlaceholder(second));
    }
    const other = makePlaceholder(first);
    expect(await port.fill(fillOf({ ...lost, seenMarker: other }))).toEqual({ outcome: "refused", reason: "marker" });
    expect(await port.fill(fillOf({ ...lost, seenMarker: makePlaceholder(second) }))).toEqual({ outcome: "stored" });
    expect(await marker()).toBe(encodeNumber(7));
  });

  it("raises a marker over what was left in its place", async () => {
    const port = await open();
    const lost = { productId: "lost", contextKey: "lost" };
    await port.fill(fillOf({ ...lost, seenMarker: undefined }));
    await port.raiseMarkers([{ productId: "lost", sequence: encodeNumber(0) }], markerTtlMs);
    expect((await port.read("lost", "lost")).marker?.toString()).toBe(encodeNumber(0));
  });

  it("keeps no entry past its time, and none at all for a time of 0", async () => {
    const port = await open();
    await port.fill(fillOf({ ttlMs: 40 }));
    await tools.pass(60);
    expect(await hit(port)).toBeUndefined();
    await port.fill(fillOf({ ttlMs: 0, seenMarker: encodeNumber(7) }));
    expect(await hit(port)).toBeUndefined();
    expect((await port.read("p", "")).marker?.toString()).toBe(encodeNumber(7));
  });

  it("answers many reads at once, each with its own", async () => {
    const port = await open();
    const names = Array.from({ length: 600 }, (_, index) => `p${index}`);
    await port.raiseMarkers(
      names.map((productId) => ({ productId, sequence: encodeNumber(1) })),
      markerTtlMs,
    );
    const fills = names.map((name) =>
      port.fill(fillOf({ productId: name, contextKey: name, body: Buffer.from(name) })),
    );
    await Promise.all(fills);
    const reads = await Promise.all(names.map((name) => port.read(name, name)));
    expect(reads.map((read) => findBody(read)?.toString())).toEqual(names);
  });
}
