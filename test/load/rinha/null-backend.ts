// What a backend costs that keeps nothing: the reference of p99 under the same limits. Its one argument is the port.
import { createServer } from "node:http";

createServer((request, response) => {
  request.resume();
  request.on("end", () => response.writeHead(202, { "content-length": 0 }).end());
}).listen(Number(process.argv[2]), "127.0.0.1");
