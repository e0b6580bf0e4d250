/* Harness helper: the eyes (rreyes.exe). It lists what is on the customer's desktop, and says so when it changes.
 *
 * It only looks. Texts of controls in other processes are read with WM_GETTEXT, bounded in time.
 */
#include "rr.h"

#define LOOK_MS 40
#define TEXT_MS 200

static void add_text(Text *t, HWND window)
{
    wchar_t text[2048] = L"";
    DWORD_PTR n;
    if (!SendMessageTimeoutW(window, WM_GETTEXT, 2047, (LPARAM)text, SMTO_ABORTIFHUNG, TEXT_MS, &n)) GetWindowTextW(window, text, 2048);
    text_json(t, text);
}

static void add_rect(Text *t, HWND window)
{
    RECT r;
    GetWindowRect(window, &r);
    text_add(t, "[%ld,%ld,%ld,%ld]", r.left, r.top, r.right, r.bottom);
}

static BOOL CALLBACK child(HWND window, LPARAM context)
{
    Text *t = (Text *)context;
    wchar_t class[128];
    GetClassNameW(window, class, 128);
    if (t->text[t->used - 1] != '[') text_add(t, ",");
    text_add(t, "{\"hwnd\":%lu,\"id\":%ld,\"cls\":", (DWORD)(ULONG_PTR)window, (long)GetWindowLongW(window, GWL_ID));
    text_json(t, class);
    text_add(t, ",\"text\":");
    add_text(t, window);
    text_add(t, ",\"rect\":");
    add_rect(t, window);
    text_add(t, ",\"visible\":%s,\"enabled\":%s}", IsWindowVisible(window) ? "true" : "false", IsWindowEnabled(window) ? "true" : "false");
    return TRUE;
}

static BOOL CALLBACK top(HWND window, LPARAM context)
{
    Text *t = (Text *)context;
    wchar_t class[128], exe[MAX_PATH] = L"";
    DWORD pid = 0, room = MAX_PATH;
    if (!IsWindowVisible(window)) return TRUE;
    GetClassNameW(window, class, 128);
    if (!wcscmp(class, L"Shell_TrayWnd") || !wcscmp(class, L"Progman")) return TRUE;
    GetWindowThreadProcessId(window, &pid);
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    if (process) {
        QueryFullProcessImageNameW(process, 0, exe, &room);
        CloseHandle(process);
    }
    wchar_t *name = wcsrchr(exe, L'\\');
    if (t->text[t->used - 1] != '[') text_add(t, ",");
    text_add(t, "{\"hwnd\":%lu,\"pid\":%lu,\"exe\":", (DWORD)(ULONG_PTR)window, pid);
    text_json(t, name ? name + 1 : exe);
    text_add(t, ",\"cls\":");
    text_json(t, class);
    text_add(t, ",\"title\":");
    add_text(t, window);
    text_add(t, ",\"rect\":");
    add_rect(t, window);
    text_add(t, ",\"foreground\":%s,\"controls\":[", GetForegroundWindow() == window ? "true" : "false");
    EnumChildWindows(window, child, context);
    text_add(t, "]}");
    return TRUE;
}

/* On demand, outside of changes: a line "look<TAB>number" is answered with the list as it is then. */
static volatile LONG asked, answered;
static HANDLE wake;

static DWORD WINAPI hear(void *unused)
{
    char *line;
    (void)unused;
    while ((line = rr_hear())) {
        char *rest = line;
        rr_field(&rest);
        InterlockedExchange(&asked, atol(rr_field(&rest)));
        SetEvent(wake);
        free(line);
    }
    ExitProcess(0);
}

int WINAPI wWinMain(HINSTANCE self, HINSTANCE before, wchar_t *command, int show)
{
    Text seen = {0};
    (void)self; (void)before; (void)command; (void)show;
    rr_take_line();
    wake = CreateEventW(NULL, FALSE, FALSE, NULL);
    CloseHandle(CreateThread(NULL, 0, hear, NULL, 0, NULL));
    for (;;) {
        Text now = {0};
        LONG due = asked;
        text_add(&now, "\"windows\":[");
        EnumWindows(top, (LPARAM)&now);
        text_add(&now, "]");
        BOOL changed = !seen.text || strcmp(seen.text, now.text);
        if (changed || due != answered) {
            Text t = {0};
            text_add(&t, "{\"event\":\"%s\",\"look\":%ld,", changed ? "changed" : "same", due);
            text_raw(&t, now.text, now.used);
            text_add(&t, "}");
            rr_say(&t);
            answered = due;
        }
        free(seen.text);
        seen = now;
        WaitForSingleObject(wake, LOOK_MS);
    }
}
