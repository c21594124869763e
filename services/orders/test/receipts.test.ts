import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTestS3, type TestS3 } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { makeLinkReceipt } from "../src/adapters/receipt-links.ts";
import type { ReceiptStore } from "../src/adapters/receipt-store.ts";
import { makeDirectoryReceipts } from "../src/adapters/receipts-in-directory.ts";
import { makeS3Receipts, type S3Place } from "../src/adapters/receipts-in-s3.ts";
import { startOrders } from "./support/engine.ts";
import { startStore } from "./support/store.ts";

const receipt = { json: '{"total":"20.00"}\n', page: "<!doctype html>\n<p>20.00 €</p>\n" };
let orders = 0;
const nextOrder = () => {
  orders += 1;
  return { orderId: `ord_${orders}`, createdAt: "2026-03-31T23:59:59.999Z" };
};
const away = expect.objectContaining({ code: "unavailable" });

let s3: TestS3 | string;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pricing-engine-receipts-"));
  s3 = await makeTestS3();
  // Where it must be built first.
}, 900_000);
afterAll(async () => {
  if (typeof s3 === "object") await s3[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function needS3({ skip }: Pick<TestContext, "skip">): TestS3 {
  return typeof s3 === "string" ? skip(s3) : s3;
}

type Kind = {
  name: string;
  open(context: TestContext): ReceiptStore;
  /** What a reader gets who follows the stored link; undefined when there is nothing. */
  follow(context: TestContext, url: string): Promise<string | undefined>;
};

const kinds: readonly Kind[] = [
  {
    name: "a directory",
    open: () => makeDirectoryReceipts(folder),
    follow: (_context, url) => readFile(new URL(url), "utf8").catch(() => undefined),
  },
  {
    name: "an S3 server",
    open: (context) => makeS3Receipts(needS3(context).place),
    async follow(context, url) {
      const link = await makeLinkReceipt(needS3(context).place)(url);
      const answer = await fetch(link ?? "");
      return answer.ok ? answer.text() : undefined;
    },
  },
];

describe.each(kinds)("receipts in $name", { timeout: 120_000 }, ({ open, follow }) => {
  it("are written once, for good, and can be read by their link", async (context) => {
    const store = open(context);
    const order = nextOrder();
    const written = await store.write(order, receipt);
    if (written.kind !== "written") throw new Error(written.reason);
    expect(written.pageUrl).toContain(`/2026/03/${order.orderId}.html`);
    expect(await follow(context, written.pageUrl)).toBe(receipt.page);
    expect(await follow(context, written.jsonUrl)).toBe(receipt.json);
    // Whatever comes again: the first stays.
    expect(await store.write(order, { json: "other", page: "other" })).toEqual(written);
    expect(await follow(context, written.pageUrl)).toBe(receipt.page);
    store.close();
  });

  it("are written by several at once as if by one", async (context) => {
    const store = open(context);
    const order = nextOrder();
    const all = await Promise.all(Array.from({ length: 8 }, () => store.write(order, receipt)));
    expect(new Set(all.map((each) => JSON.stringify(each))).size).toBe(1);
    expect(all[0]?.kind === "written" && (await follow(context, all[0].jsonUrl))).toBe(receipt.json);
    store.close();
  });

  it("are gone when they are removed, also twice, and can be written again", async (context) => {
    const store = open(context);
    const order = nextOrder();
    await store.remove(order);
    const written = await store.write(order, receipt);
    await store.remove(order);
    await store.remove(order);
    expect(written.kind === "written" && (await follow(context, written.pageUrl))).toBeUndefined();
    expect(await store.write(order, receipt)).toEqual(written);
    store.close();
  });
});

it("a file in the way of the directory is an outage", async () => {
  const place = join(folder, "in-the-way");
  await writeFile(place, "");
  const store = makeDirectoryReceipts(place);
  await expect(store.write(nextOrder(), receipt)).rejects.toEqual(away);
  await rm(place);
  expect(await store.write(nextOrder(), receipt)).toMatchObject({ kind: "written" });
});

describe("an S3 server", { timeout: 240_000 }, () => {
  it.for<[string, Partial<S3Place>]>([
    ["a wrong key", { secretAccessKey: "wrong" }],
    ["a bucket that is not there", { bucket: "nobodys" }],
    ["an address where nobody listens", { endpoint: "http://127.0.0.1:9" }],
  ])("with %s is misconfiguration, which waits", async ([, wrong], context) => {
    const store = makeS3Receipts({ ...needS3(context).place, ...wrong });
    await expect(store.write(nextOrder(), receipt)).rejects.toEqual(away);
    store.close();
  });

  it.each(["old", "close"] as const)(
    "that knows no conditions (%s) is asked for what is there instead, and is not asked for them again",
    async (state) => {
      await using server = await startStore();
      server.is(state);
      const store = makeS3Receipts(server.place);
      const order = nextOrder();
      const written = await store.write(order, receipt);
      expect(written).toMatchObject({ kind: "written", pageUrl: expect.stringContaining(order.orderId) });
      expect([...server.objects.values()].sort()).toEqual([receipt.page, receipt.json].sort());
      expect(await store.write(order, { json: "other", page: "other" })).toEqual(written);
      expect([...server.objects.values()].sort()).toEqual([receipt.page, receipt.json].sort());
      // Of the first two objects, which were on their way side by side.
      expect(server.conditional()).toBe(2);
      server.is("full");
      await expect(store.write(nextOrder(), receipt)).rejects.toEqual(away);
      store.close();
    },
  );

  it("shows nothing to who has no signed link", async (context) => {
    const store = makeS3Receipts(needS3(context).place);
    const written = await store.write(nextOrder(), receipt);
    if (written.kind !== "written") throw new Error(written.reason);
    expect((await fetch(written.pageUrl)).status).toBe(403);
    store.close();
  });

  it("keeps the receipt of an order that was placed while it was down", async (context) => {
    const server = needS3(context);
    const { endpoint, bucket, region, accessKeyId, secretAccessKey } = server.place;
    await using engine = await startOrders({
      env: {
        RECEIPTS_S3_ENDPOINT: endpoint,
        RECEIPTS_S3_BUCKET: bucket,
        RECEIPTS_S3_REGION: region,
        RECEIPTS_S3_ACCESS_KEY_ID: accessKeyId,
        RECEIPTS_S3_SECRET_ACCESS_KEY: secretAccessKey,
      },
    });
    await engine.product("seat", 10);
    await server.stop();
    const orderId = await engine.place("seat", 2);
    await engine.reaches(orderId, "paid");
    await server.start();
    const order = await engine.reaches(orderId, "notified");
    expect(order.transitions.map(({ event }) => event)).not.toContain("fulfilment_failed");
    const page = await (await fetch(order.receipt_url ?? "")).text();
    expect(page).toContain(orderId);
    expect(page).toContain("20.00 EUR");
    const json = await (await fetch(order.receipt_json_url ?? "")).json();
    expect(json).toMatchObject({ order_id: orderId, payment_id: order.payment_id, total: "20.00" });
  });
});
