import { expect, it } from "vitest";
import { isNews } from "./low-stock.ts";

it.each([
  { full: 100, before: 100, after: 50, news: false },
  { full: 100, before: 21, after: 20, news: true },
  { full: 100, before: 5, after: 4, news: true },
  // The price has to come down again.
  { full: 100, before: 20, after: 90, news: true },
  { full: 100, before: 4, after: 4, news: false },
  { full: 10, before: 1, after: 0, news: true },
])("$before → $after of $full: $news", ({ full, before, after, news }) => {
  expect(isNews(full, before, after)).toBe(news);
});
