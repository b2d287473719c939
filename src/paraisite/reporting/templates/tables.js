(function () {
  "use strict";
  function number(text) {
    var plain = text.replace(/\u2212/g, "-").replace(/^[<>]\s*/, "").trim();
    return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?(?=$|\s|%)/i.test(plain) ? parseFloat(plain) : NaN;
  }
  function compare(first, second, sign) {
    var a = number(first), b = number(second);
    if (isNaN(a) !== isNaN(b)) { return isNaN(a) ? 1 : -1; }  // what is no number comes last, up and down
    return sign * (isNaN(a) ? first.localeCompare(second, undefined, { numeric: true }) : a - b);
  }
  function sort(table, column, head) {
    var up = head.getAttribute("data-order") !== "up", body = table.tBodies[0];
    Array.from(table.tHead.rows[0].cells).forEach(function (cell) { cell.setAttribute("data-order", ""); });
    head.setAttribute("data-order", up ? "up" : "down");
    Array.from(body.rows).sort(function (a, b) {
      return compare(a.cells[column].textContent, b.cells[column].textContent, up ? 1 : -1);
    }).forEach(function (row) { body.appendChild(row); });
  }
  Array.from(document.querySelectorAll("main table")).forEach(function (table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      head.setAttribute("data-order", "");
      head.setAttribute("tabindex", "0");
      head.addEventListener("click", function () { sort(table, column, head); });
      head.addEventListener("keydown", function (event) { if (event.key === "Enter") { sort(table, column, head); } });
    });
    if (table.tBodies.length === 0 || table.tBodies[0].rows.length < 8) { return; }
    var input = document.createElement("input");
    input.className = "filter";
    input.type = "search";
    input.placeholder = "show rows with …";
    input.setAttribute("aria-label", "Filter the rows of the table below");
    input.addEventListener("input", function () {
      var words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      Array.from(table.tBodies[0].rows).forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
      });
    });
    table.parentNode.insertBefore(input, table);
  });
})();
