import { formatMinor } from "@pricing-engine/money";

export interface ReceiptFacts {
  readonly orderId: string;
  readonly tenantId: string;
  readonly customerId: string;
  readonly currency: string;
  readonly totalMinor: number;
  readonly paymentId: string;
  /** RFC 3339. */
  readonly placedAt: string;
  readonly lines: readonly {
    readonly productId: string;
    readonly name: string;
    readonly quantity: number;
    readonly unitPriceMinor: number;
  }[];
}

export interface Receipt {
  readonly json: string;
  readonly page: string;
}

/** The same bytes however often it is made: a receipt that is written again is still the one. */
export function makeReceipt(facts: ReceiptFacts): Receipt {
  const money = (minor: number): string => formatMinor(minor, facts.currency);
  const lines = facts.lines.map(({ productId, name, quantity, unitPriceMinor }) => ({
    product_id: productId,
    name,
    quantity,
    unit_price: money(unitPriceMinor),
    line_total: money(unitPriceMinor * quantity),
  }));
  const receipt = {
    order_id: facts.orderId,
    tenant_id: facts.tenantId,
    customer_id: facts.customerId,
    placed_at: facts.placedAt,
    payment_id: facts.paymentId,
    currency: facts.currency,
    items: lines,
    total: money(facts.totalMinor),
  };
  return { json: `${JSON.stringify(receipt, null, 2)}\n`, page: pageOf(receipt) };
}

function pageOf(receipt: {
  order_id: string;
  customer_id: string;
  placed_at: string;
  payment_id: string;
  currency: string;
  items: readonly { product_id: string; name: string; quantity: number; unit_price: string; line_total: string }[];
  total: string;
}): string {
  const rows = receipt.items.map(
    (item) =>
      `<tr><td>${escapeHtml(item.name)} <small>${escapeHtml(item.product_id)}</small></td><td>${item.quantity}</td><td>${item.unit_price}</td><td>${item.line_total}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Receipt ${escapeHtml(receipt.order_id)}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .4rem; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
small { color: #666 }
</style>
</head>
<body>
<h1>Receipt</h1>
<p>Order ${escapeHtml(receipt.order_id)}<br>Customer ${escapeHtml(receipt.customer_id)}<br>Placed ${receipt.placed_at}<br>Payment ${receipt.payment_id}</p>
<table>
<thead><tr><th>Item</th><th>Quantity</th><th>Price</th><th>Total</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
<tfoot><tr><th>Total</th><td></td><td></td><td>${receipt.total} ${receipt.currency}</td></tr></tfoot>
</table>
</body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
