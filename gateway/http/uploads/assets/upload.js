"use strict";
// Sends the chosen files by tus, each going on after a broken connection, and shows their handles.
const form = document.querySelector("form");
const picker = form.querySelector("input[type=file]");
const list = document.querySelector("ul");
const send = form.querySelector("button");
const zone = document.querySelector(".drop");
const say = document.querySelector("[role=status]");
const WAITS_MS = [500, 1000, 2000, 4000, 8000];
const MOST_TRIES = 40;
const TUS = { "Tus-Resumable": "1.0.0" };
let chosen = [];
picker.multiple = true;

class Refused extends Error {}

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const size = (bytes) => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes ? Math.min(4, Math.floor(Math.log2(bytes) / 10)) : 0;
  return `${+(bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
};

function element(tag, text, parent, kind) {
  const made = parent.appendChild(document.createElement(tag));
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function choose(files) {
  chosen = [...files].map((file) => {
    const row = document.createElement("li");
    element("div", file.name, row, "name");
    const state = element("small", size(file.size), row);
    const bar = row.appendChild(document.createElement("progress"));
    bar.max = Math.max(1, file.size);
    bar.value = 0;
    return { file, row, state, bar, url: null };
  });
  list.replaceChildren(...chosen.map((item) => item.row));
  send.disabled = !chosen.length;
}

async function refusal(answer) {
  const body = await answer.json().catch(() => ({}));
  return new Refused(body.detail || `the server answered ${answer.status}`);
}

async function digest(file) {
  if (form.dataset.sha256 !== "required") return null;
  if (!crypto.subtle) throw new Refused("this server asks for digests, which browsers make on https pages only");
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function create(item) {
  const facts = [["filename", item.file.name], ["filetype", item.file.type], ["sha256", await digest(item.file)]];
  const metadata = facts.filter(([, value]) => value).map(([name, value]) => `${name} ${base64(value)}`).join(",");
  const headers = { ...TUS, "Upload-Length": item.file.size, "Upload-Metadata": metadata };
  const answer = await fetch(location.href, { method: "POST", headers });
  if (!answer.ok) throw await refusal(answer);
  item.url = new URL(answer.headers.get("Location"), location.href).href;
}

async function offset(item) {
  const answer = await fetch(item.url, { method: "HEAD", headers: TUS });
  if (answer.ok) return Number(answer.headers.get("Upload-Offset"));
  if (answer.status === 423 || answer.status >= 500) throw new Error("not now");
  throw new Refused("this upload is no longer known; ask for a new link");
}

function patch(item, from) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", item.url);
    request.setRequestHeader("Tus-Resumable", "1.0.0");
    request.setRequestHeader("Upload-Offset", from);
    request.setRequestHeader("Content-Type", "application/offset+octet-stream");
    request.upload.onprogress = (event) => {
      item.bar.value = from + event.loaded;
      item.state.textContent = `${size(from + event.loaded)} of ${size(item.file.size)}`;
    };
    request.onload = () => {
      if (request.status < 300) return done();
      if ([408, 409, 423, 429, 460].includes(request.status) || request.status >= 500) return failed(new Error("again"));
      let detail = "";
      try { detail = JSON.parse(request.responseText).detail; } catch { /* no JSON */ }
      failed(new Refused(detail || `the server answered ${request.status}`));
    };
    request.onerror = () => failed(new Error("broken"));
    request.send(item.file.slice(from));
  });
}

async function carry(item) {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    try {
      const at = await offset(item);
      if (at < item.file.size) await patch(item, at);
      return;
    } catch (error) {
      if (error instanceof Refused) throw error;
      item.state.textContent = "The connection is broken; going on as soon as it is back …";
      await sleep(WAITS_MS[Math.min(tries, WAITS_MS.length - 1)]);
    }
  }
  throw new Refused("the connection did not come back; send the file again");
}

async function show(item) {
  const answer = await fetch(item.url);
  if (!answer.ok) throw await refusal(answer);
  const handle = (await answer.json()).upload_handle;
  item.bar.remove();
  item.state.textContent = `${size(item.file.size)}, sent`;
  const code = element("code", handle, item.row);
  code.dataset.handle = handle;
  const copy = element("button", "Copy handle", item.row);
  copy.onclick = async () => {
    try {
      await navigator.clipboard.writeText(handle);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      copy.textContent = document.execCommand("copy") ? "Copied" : "Copy the selected text";
    }
  };
}

function complain(item, error) {
  item.state.className = "bad";
  item.state.textContent = error instanceof Refused ? error.message : "This file could not be sent.";
}

form.onsubmit = async (event) => {
  event.preventDefault();
  send.disabled = picker.disabled = true;
  let sent = 0;
  // All are begun first: whoever waits for the files then waits for all of them.
  for (const item of chosen) await create(item).catch((error) => complain(item, error));
  for (const item of chosen.filter((begun) => begun.url)) {
    try {
      await carry(item);
      await show(item);
      sent += 1;
    } catch (error) {
      complain(item, error);
    }
  }
  say.textContent = `${sent} of ${chosen.length} sent.${sent ? " You can close this page." : ""}`;
};

picker.onchange = () => choose(picker.files);
zone.ondragover = (event) => { event.preventDefault(); zone.classList.add("over"); };
zone.ondragleave = () => zone.classList.remove("over");
zone.ondrop = (event) => {
  event.preventDefault();
  zone.classList.remove("over");
  if (!picker.disabled) choose(event.dataTransfer.files);
};
picker.required = false;
choose(picker.files);
