// A person who opens an upload link: chromium, link, file, how (script, plain or cut), screenshot.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import net from "node:net";
import { chromium } from "playwright-core";

const [executablePath, link, file, how, screenshot] = process.argv.slice(2);

// A way to the gateway that can be cut.
const open = new Set();
let isCut = false;
const target = new URL(link);
const proxy = net.createServer((near) => {
  if (isCut) return near.destroy();
  const far = net.connect(target.port, target.hostname);
  for (const [socket, other] of [[near, far], [far, near]]) {
    open.add(socket);
    socket.pipe(other);
    socket.on("error", () => other.destroy());
    socket.on("close", () => { open.delete(socket); other.destroy(); });
  }
});
await new Promise((ready) => proxy.listen(0, "127.0.0.1", ready));

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const context = await browser.newContext({
  javaScriptEnabled: how !== "plain", viewport: { width: 390, height: 760 },
});
const page = await context.newPage();
const complaints = [];
page.on("console", (message) => {
  if (message.type() === "error" && !message.text().includes("net::ERR_")) complaints.push(message.text());
});
page.on("pageerror", (error) => complaints.push(String(error)));
const through = new URL(link);
through.port = proxy.address().port;
await page.goto(through.href);
if (how === "cut") {
  const session = await context.newCDPSession(page);
  const slow = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 1_000_000 };
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", slow);
  await page.setInputFiles("input[type=file]", file);
  await page.click("button.send");
  await page.waitForFunction(() => document.querySelector("progress").value > 1_000_000);
  isCut = true;
  open.forEach((socket) => socket.destroy());
  await page.getByText("connection is broken").waitFor();
  await session.send("Network.emulateNetworkConditions", { ...slow, uploadThroughput: -1 });
  isCut = false;
} else {
  await page.locator("input[type=file]").first().setInputFiles(file);
  const digest = page.locator("input[name=sha256]");
  if (await digest.count()) {
    await digest.first().fill(createHash("sha256").update(readFileSync(file)).digest("hex"));
  }
  await page.click("button.send");
}
const code = page.locator("code[data-handle]");
await code.waitFor();
if (screenshot) await page.screenshot({ path: screenshot });
const copied = how === "plain" ? null : await page.getByRole("button", { name: "Copy handle" }).count();
process.stdout.write(JSON.stringify({ handle: await code.textContent(), copied, complaints }) + "\n");
await browser.close();
proxy.close();
