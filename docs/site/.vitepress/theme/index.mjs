import { useRoute } from "vitepress";
import theme from "vitepress/theme";
import { nextTick, onMounted, watch } from "vue";
import "./phone.css";

const key = "nexusd-language";

/** Opens the tab of the language that the reader chose last, on this page and on the next. */
function openTabs() {
  const chosen = localStorage.getItem(key);
  for (const label of document.querySelectorAll(".vp-code-group .tabs label")) {
    if (label.textContent === chosen && !label.control?.checked) label.click();
  }
}

function keepChoice(event) {
  const label = event.target.closest?.(".vp-code-group .tabs label");
  if (!label || !event.isTrusted) return;
  localStorage.setItem(key, label.textContent);
  openTabs();
}

export default {
  extends: theme,
  setup() {
    const route = useRoute();
    onMounted(() => {
      document.addEventListener("click", keepChoice);
      openTabs();
    });
    watch(
      () => route.path,
      () => nextTick(openTabs),
    );
  },
};
