// A burst of payments, 64 at a time: `node examples/requests/burst.mjs [count] [address]`.
import { randomUUID } from "node:crypto";

const [count = "5000", address = "http://localhost:9999"] = process.argv.slice(2);
const answers = new Map();
let left = Number(count);
const startedAt = performance.now();

async function pay() {
  while (left-- > 0) {
    const answer = await fetch(`${address}/payments`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ correlationId: randomUUID(), amount: 20.05 }),
    }).then(
      ({ status }) => String(status),
      (error) => error.cause?.code ?? error.name,
    );
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  }
}

await Promise.all(Array.from({ length: 64 }, pay));
console.log(Object.fromEntries(answers), `in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
