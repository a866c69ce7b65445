
"use strict";
for (const time of document.querySelectorAll("time")) {
  const options = { weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  time.textContent = new Date(time.dateTime).toLocaleString(document.documentElement.lang, options);
}
for (const field of document.querySelectorAll("[maxlength][data-left]")) {
  const hint = document.getElementById(field.id.replace("field", "hint"));
  const text = hint.textContent;
  const count = () => {
    hint.textContent = text + " (" + field.dataset.left.replace("{}", field.maxLength - field.value.length) + ")";
  };
  field.addEventListener("input", count);
}
