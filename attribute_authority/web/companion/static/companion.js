"use strict";

// Shows how deliveries go on for as long as any is under way. Without this, loading the page again shows the same.
const section = document.getElementById("deliveries");
let latest = "";

// What has not changed stays as it is: its selection is kept, and no screen reader tells of it again.
function show() {
  if (!latest || section.contains(document.activeElement)) {
    return;
  }
  const fresh = [...new DOMParser().parseFromString(latest, "text/html").body.children];
  fresh.forEach((one, place) => {
    const old = section.children[place];
    if (!old) {
      section.append(one);
    } else if (!old.isEqualNode(one)) {
      old.replaceWith(one);
    }
  });
  while (section.children.length > fresh.length) {
    section.lastElementChild.remove();
  }
}

const stream = new EventSource(section.dataset.live);
stream.addEventListener("message", (event) => {
  latest = event.data;
  show();
});
stream.addEventListener("done", () => stream.close());
// While somebody has the focus in it, nothing moves; the event comes before the focus is elsewhere.
section.addEventListener("focusout", () => setTimeout(show));
