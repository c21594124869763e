import ProxyAgent from "undici/lib/dispatcher/proxy-agent.js";

/** Apart from what everybody needs: it loads SOCKS, too. */
export { ProxyAgent };
