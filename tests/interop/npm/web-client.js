// Drives one client for a test: its task is the argument, events go to stdout and orders come from stdin, a JSON object
// a line each.
//
//   task    {library: "xmpp.js" | "strophe", service, domain, username, password, ca, certificate}
//   events  {event: "online", jid} {event: "message", from, body} {event: "presence", from, type}
//           {event: "refused", why} {event: "offline"}
//   orders  {to, body} {to, presence: true} {end: true}

import { readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";

globalThis.crypto ??= webcrypto;
console.log = console.info = console.debug = console.error; // stdout is for events

const task = JSON.parse(process.argv[2]);

function report(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function tlsOptions() {
  const pem = task.certificate && readFileSync(task.certificate);
  return { ...(task.ca && { ca: readFileSync(task.ca) }), ...(pem && { cert: pem, key: pem }) };
}

async function takeOrders(orders) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { to, body, presence, end } = JSON.parse(line);
    if (end) await orders.end();
    else if (presence) await orders.presence(to);
    else await orders.message(to, body);
  }
}

// Node has no WebSocket of its own, or one that shows no client certificate.
async function provideWebSocket() {
  const { default: ws } = await import("ws");
  globalThis.WebSocket = class extends ws {
    constructor(url, protocols) {
      super(url, protocols, tlsOptions());
      this.on("error", (error) => report({ event: "refused", why: error.code ?? error.message }));
    }
  };
}

async function runXmppJs() {
  const { client, xml } = await import("@xmpp/client");
  await provideWebSocket();
  const { service, domain, username, password } = task;
  const xmpp = client({ service, domain, username, password });
  xmpp.reconnect.stop();
  xmpp.on("error", () => {});
  xmpp.on("offline", () => report({ event: "offline" }));
  xmpp.on("online", (jid) => report({ event: "online", jid: jid.toString() }));
  xmpp.on("stanza", (stanza) => {
    const { from, type } = stanza.attrs;
    if (stanza.is("message")) report({ event: "message", from, body: stanza.getChildText("body") });
    if (stanza.is("presence")) report({ event: "presence", from, type: type ?? "" });
  });
  takeOrders({
    message: (to, body) => xmpp.send(xml("message", { to, type: "chat" }, xml("body", {}, body))),
    presence: (to) => xmpp.send(xml("presence", to ? { to } : {})),
    end: () => xmpp.stop(),
  });
  try {
    await xmpp.start();
  } catch (error) {
    report({ event: "refused", why: error.condition ?? error.code ?? error.message });
  }
}

// strophe.js asks Node for one and reads the tree that browsers make of an answer.
async function provideXmlHttpRequest() {
  const { default: XmlHttpRequest } = await import("xmlhttprequest-ssl");
  globalThis.XMLHttpRequest = class extends XmlHttpRequest {
    constructor() {
      super(tlsOptions());
      this.addEventListener("error", () => report({ event: "refused", why: this.statusText }));
      Object.defineProperty(this, "responseXML", {
        get: () => this.responseText && new DOMParser().parseFromString(this.responseText, "text/xml"),
        set: () => {},
      });
    }
  };
}

async function runStrophe() {
  const { Strophe, $msg, $pres } = await import("strophe.js");
  await provideWebSocket();
  await provideXmlHttpRequest();
  const connection = new Strophe.Connection(task.service);
  connection.maxRetries = 0;
  const take = (name, read) =>
    connection.addHandler((stanza) => (report({ event: name, from: stanza.getAttribute("from"), ...read(stanza) }), true), null, name);
  takeOrders({
    message: (to, body) => connection.send($msg({ to, type: "chat" }).c("body").t(body)),
    presence: (to) => connection.send($pres(to ? { to } : {})),
    end: () => connection.disconnect("the test is over"),
  });
  connection.connect(`${task.username}@${task.domain}`, task.password, (status, why, element) => {
    switch (status) {
      case Strophe.Status.CONNECTED:
        take("message", (stanza) => ({ body: stanza.getElementsByTagName("body")[0]?.textContent }));
        take("presence", (stanza) => ({ type: stanza.getAttribute("type") ?? "" }));
        report({ event: "online", jid: connection.jid });
        break;
      case Strophe.Status.AUTHFAIL:
      case Strophe.Status.CONNFAIL:
        report({ event: "refused", why: why ?? element?.firstChild?.tagName ?? "" });
        break;
      case Strophe.Status.DISCONNECTED:
        report({ event: "offline" });
    }
  });
}

await (task.library === "strophe" ? runStrophe() : runXmppJs());
