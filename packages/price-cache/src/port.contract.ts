import { expect, it } from "vitest";
import type { CachePort, FillRequest, KnownRequest } from "./port.ts";
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
    ttlMs: 60_000,
    markerTtlMs,
    body: Buffer.from('{"price":"ü"}'),
    ...changes,
  });
  const known = (changes: Partial<KnownRequest> = {}): KnownRequest => ({
    productId: "p",
    generation: first,
    placeholder: makePlaceholder(first),
    ttlMs: 60_000,
    ...changes,
  });
  const open = async () => {
    const port = makePort();
    await port.raiseMarkers([{ productId: "p", sequence: encodeNumber(1) }], markerTtlMs);
    await port.ensureKnown(known());
    return port;
  };
  const hit = async (port: CachePort) => findBody(await port.read("p", "1:0::p\0\0"))?.toString();

  it("keeps the first meta and the marker", async () => {
    const port = await open();
    const other = { generation: second, placeholder: makePlaceholder(second) };
    const meta = encodeMeta(first, encodeNumber(0));
    expect(await port.ensureKnown(known(other))).toEqual({ meta, marker: encodeNumber(1) });
    const left = { meta, marker: makePlaceholder(first) };
    expect(await port.ensureKnown(known({ productId: "lost" }))).toEqual(left);
    expect(await port.ensureKnown(known({ productId: "lost", ...other }))).toEqual(left);
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
    await port.ensureKnown(known({ generation: second }));
    expect(await port.fill(fillOf())).toEqual({ outcome: "refused", reason: "generation" });
  });

  it("refuses a fill without a marker, and on a placeholder that it did not see", async () => {
    const port = await open();
    const lost = { productId: "lost", contextKey: "lost" };
    const refused = { outcome: "refused", reason: "marker" };
    const placeholder = makePlaceholder(second);
    for (const seenMarker of [encodeNumber(7), undefined, placeholder]) {
      expect(await port.fill(fillOf({ ...lost, seenMarker }))).toEqual(refused);
    }
    await port.ensureKnown(known({ productId: "lost", placeholder }));
    for (const seenMarker of [encodeNumber(7), undefined, makePlaceholder(first)]) {
      expect(await port.fill(fillOf({ ...lost, seenMarker }))).toEqual(refused);
    }
    expect(await port.fill(fillOf({ ...lost, seenMarker: placeholder }))).toEqual({ outcome: "stored" });
    expect((await port.read("lost", "lost")).marker?.toString()).toBe(encodeNumber(7));
  });

  it("raises a marker over a placeholder, which is gone after its time", async () => {
    const port = await open();
    const marker = async () => (await port.read("lost", "lost")).marker?.toString();
    await port.ensureKnown(known({ productId: "lost", ttlMs: 40 }));
    await tools.pass(60);
    expect(await marker()).toBeUndefined();
    await port.ensureKnown(known({ productId: "lost" }));
    await port.raiseMarkers([{ productId: "lost", sequence: encodeNumber(0) }], markerTtlMs);
    expect(await marker()).toBe(encodeNumber(0));
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
