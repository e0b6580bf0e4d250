/* The power: who may restart this machine, what the applications say, and the end of the session.
 *
 * A request is answered at once with the error code Windows would give; an accepted one is carried out here up to the
 * point where nothing runs that matters. The supervisor outside then ends the kernel, and only the supervisor starts it again.
 */
#include "winlogon.h"
#include <tlhelp32.h>

#define HUNG_MS 5000        /* Windows' own patience with an application that does not answer */
#define SERVICES_MS 12000
#define SHUTDOWN_IS_SCHEDULED 1190 /* ERROR_SHUTDOWN_IS_SCHEDULED */
#define MOST_WINDOWS 256

#define GIVES_UP_MS 55000 /* at the block screen: about a minute */
#define GAVE_UP "gave up"

typedef struct {
    wchar_t api[40], exe[MAX_PATH], comment[512];
    DWORD flags, grace_s, reason, pid;
    BOOL restart, force, log_off;
} Request;

static CRITICAL_SECTION power_lock;
static volatile LONG busy; /* 0 idle, 1 scheduled, 2 ending */
static Request current;
static DWORD refusal;
static HANDLE abort_event, word_event;
static char word_said[16];

static void say_request(const char *event, const Request *r, DWORD code)
{
    Text t = {0};
    text_add(&t, "{\"event\":\"%s\",\"error\":%lu,\"flags\":%lu,\"grace_s\":%lu,\"reason\":%lu,\"pid\":%lu", event, code,
             r->flags, r->grace_s, r->reason, r->pid);
    text_add(&t, ",\"restart\":%s,\"force\":%s,\"log_off\":%s,\"api\":", r->restart ? "true" : "false", r->force ? "true" : "false",
             r->log_off ? "true" : "false");
    text_json(&t, r->api);
    text_add(&t, ",\"exe\":");
    text_json(&t, r->exe);
    text_add(&t, ",\"comment\":");
    text_json(&t, r->comment);
    text_add(&t, "}");
    rr_say(&t);
}

static void say(const char *event)
{
    Text t = {0};
    text_add(&t, "{\"event\":\"%s\"}", event);
    rr_say(&t);
}

/* ---- windows ---- */

typedef struct { HWND windows[MOST_WINDOWS]; int count; } Windows;

static void exe_of(HWND window, wchar_t *exe, DWORD *pid_out)
{
    DWORD pid = 0, room = MAX_PATH;
    GetWindowThreadProcessId(window, &pid);
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    *exe = 0;
    if (process) {
        if (!QueryFullProcessImageNameW(process, 0, exe, &room)) *exe = 0;
        CloseHandle(process);
    }
    if (pid_out) *pid_out = pid;
}

/* Windows' own processes have no say: the shell, the console host, and the harness's helpers. */
static BOOL has_a_say(HWND window)
{
    static const wchar_t *const silent[] = {L"explorer.exe", L"rrwinlogon.exe", L"rreyes.exe", L"conhost.exe", L"services.exe",
                                            L"winedevice.exe", L"plugplay.exe", L"rpcss.exe", L"svchost.exe", L"wineboot.exe"};
    wchar_t exe[MAX_PATH];
    DWORD pid;
    exe_of(window, exe, &pid);
    if (pid == GetCurrentProcessId()) return FALSE;
    wchar_t *name = wcsrchr(exe, L'\\');
    name = name ? name + 1 : exe;
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (!_wcsicmp(name, silent[i])) return FALSE;
    return TRUE;
}

static BOOL CALLBACK collect(HWND window, LPARAM list)
{
    Windows *w = (Windows *)list;
    wchar_t class[64];
    GetClassNameW(window, class, 64);
    if (w->count < MOST_WINDOWS && wcscmp(class, L"IME") && has_a_say(window)) w->windows[w->count++] = window;
    return TRUE;
}

/* ---- an application that says no ---- */

static LRESULT CALLBACK block_proc(HWND window, UINT message, WPARAM w, LPARAM l)
{
    if (message == WM_COMMAND && (LOWORD(w) == IDOK || LOWORD(w) == IDCANCEL)) {
        power_word(LOWORD(w) == IDOK ? "anyway" : "cancel");
        return 0;
    }
    if (message == WM_CLOSE) { power_word("cancel"); return 0; }
    if (message == WM_DESTROY) PostQuitMessage(0);
    return DefWindowProcW(window, message, w, l);
}

static DWORD block_thread;

/* The screen that Windows shows while an application holds the restart up; a stand-in with real buttons. */
static DWORD WINAPI block_screen(void *app)
{
    WNDCLASSW class = {.lpfnWndProc = block_proc, .hInstance = GetModuleHandleW(NULL), .lpszClassName = L"rrsim block screen",
                       .hbrBackground = (HBRUSH)(COLOR_HIGHLIGHT + 1), .hCursor = LoadCursorW(NULL, IDC_ARROW)};
    int wide = GetSystemMetrics(SM_CXSCREEN), high = GetSystemMetrics(SM_CYSCREEN);
    wchar_t text[512];
    MSG message;
    RegisterClassW(&class);
    HWND screen = CreateWindowExW(WS_EX_TOPMOST, class.lpszClassName, L"Closing apps and restarting", WS_POPUP, 0, 0, wide, high, NULL,
                                  NULL, class.hInstance, NULL);
    swprintf(text, 512, L"This app is preventing you from restarting: %ls", (wchar_t *)app);
    CreateWindowExW(0, L"STATIC", text, WS_CHILD | WS_VISIBLE | SS_CENTER, 40, high / 2 - 60, wide - 80, 40, screen, (HMENU)1000,
                    class.hInstance, NULL);
    CreateWindowExW(0, L"BUTTON", L"Restart anyway", WS_CHILD | WS_VISIBLE | WS_TABSTOP, wide / 2 - 180, high / 2, 160, 32, screen,
                    (HMENU)IDOK, class.hInstance, NULL);
    CreateWindowExW(0, L"BUTTON", L"Cancel", WS_CHILD | WS_VISIBLE | WS_TABSTOP, wide / 2 + 20, high / 2, 160, 32, screen,
                    (HMENU)IDCANCEL, class.hInstance, NULL);
    ShowWindow(screen, SW_SHOW);
    SetForegroundWindow(screen);
    while (GetMessageW(&message, NULL, 0, 0) > 0) {
        if (message.message == WM_APP) DestroyWindow(screen);
        if (!IsDialogMessageW(screen, &message)) { TranslateMessage(&message); DispatchMessageW(&message); }
    }
    return 0;
}

/* Shows the block screen and waits for a word; TRUE means: restart anyway. Nobody decides: Windows calls it off (SH-02). */
static BOOL blocked_by(HWND window)
{
    wchar_t exe[MAX_PATH], title[128] = L"";
    exe_of(window, exe, NULL);
    wchar_t *name = wcsrchr(exe, L'\\');
    name = name ? name + 1 : exe;
    GetWindowTextW(window, title, 128);
    ResetEvent(word_event);
    Text t = {0};
    text_add(&t, "{\"event\":\"blocked\",\"hwnd\":%lu,\"app\":", (DWORD)(ULONG_PTR)window);
    text_json(&t, name);
    text_add(&t, ",\"title\":");
    text_json(&t, title);
    text_add(&t, "}");
    rr_say(&t);
    HANDLE screen = CreateThread(NULL, 0, block_screen, name, 0, &block_thread);
    if (WaitForSingleObject(word_event, GIVES_UP_MS) == WAIT_TIMEOUT) power_word(GAVE_UP);
    while (!PostThreadMessageW(block_thread, WM_APP, 0, 0) && WaitForSingleObject(screen, 20)) continue;
    WaitForSingleObject(screen, 2000);
    CloseHandle(screen);
    return !strcmp(word_said, "anyway");
}

void power_word(const char *word)
{
    snprintf(word_said, sizeof word_said, "%s", word);
    SetEvent(word_event);
}

/* Asks every application; FALSE when the end is called off. */
static BOOL ask_windows(Windows *w, const Request *r, LPARAM why)
{
    for (int i = 0; i < w->count; i++) {
        DWORD_PTR answer = TRUE;
        BOOL heard = SendMessageTimeoutW(w->windows[i], WM_QUERYENDSESSION, 0, why, SMTO_ABORTIFHUNG, HUNG_MS, &answer) != 0;
        if (r->force || !IsWindow(w->windows[i]) || (heard && answer)) continue;
        if (blocked_by(w->windows[i])) return TRUE;
        for (int back = 0; back <= i; back++)
            SendMessageTimeoutW(w->windows[back], WM_ENDSESSION, FALSE, why, SMTO_ABORTIFHUNG, HUNG_MS, &answer);
        return FALSE;
    }
    return TRUE;
}

static void end_windows(Windows *w, LPARAM why)
{
    DWORD_PTR answer;
    for (int i = 0; i < w->count; i++)
        SendMessageTimeoutW(w->windows[i], WM_ENDSESSION, TRUE, why, SMTO_ABORTIFHUNG, HUNG_MS, &answer);
    /* A window that is gone now was closed by its own program: nobody has ended that yet. */
    for (int i = 0; i < w->count; i++)
        if (!IsWindow(w->windows[i])) {
            Text t = {0};
            text_add(&t, "{\"event\":\"closed itself\",\"hwnd\":%lu}", (DWORD)(ULONG_PTR)w->windows[i]);
            rr_say(&t);
        }
    for (int i = 0; i < w->count; i++) {
        DWORD pid = 0;
        GetWindowThreadProcessId(w->windows[i], &pid);
        HANDLE process = pid ? OpenProcess(PROCESS_TERMINATE, FALSE, pid) : NULL;
        if (!process) continue;
        TerminateProcess(process, 1);
        CloseHandle(process);
    }
}

/* ---- the end ---- */

static DWORD WINAPI end_session(void *unused)
{
    Request r = current;
    Windows w = {.count = 0};
    LPARAM why = (r.log_off ? (LPARAM)0x80000000 : 0) | (r.force ? 0x40000000 : 0); /* ENDSESSION_LOGOFF, _CRITICAL */
    (void)unused;
    if (r.grace_s && WaitForSingleObject(abort_event, r.grace_s * 1000) == WAIT_OBJECT_0) return 0; /* said by its asker */
    EnterCriticalSection(&power_lock);
    busy = 2;
    LeaveCriticalSection(&power_lock);
    say_request("shutdown asked", &r, 0);
    if (signed_in) EnumWindows(collect, (LPARAM)&w);
    if (!ask_windows(&w, &r, why)) {
        Text t = {0};
        text_add(&t, "{\"event\":\"stopped\",\"by\":\"%s\"}", strcmp(word_said, GAVE_UP) ? "customer" : "windows");
        busy = 0;
        rr_say(&t);
        return 0;
    }
    say_request("session ends", &r, 0);
    w.count = 0;
    if (signed_in) EnumWindows(collect, (LPARAM)&w);
    end_windows(&w, why);
    session_log_off();
    if (r.log_off) {
        busy = 0;
        say("logged off");
        return 0;
    }
    say("shutting down");
    services_tell(SERVICE_CONTROL_PRESHUTDOWN, 0, SERVICES_MS);
    services_tell(SERVICE_CONTROL_SHUTDOWN, 0, SERVICES_MS);
    say_request("down", &r, 0);
    return 0;
}

/* Decides on a request; an accepted one begins at once. */
static DWORD decide(const Request *r)
{
    DWORD code;
    EnterCriticalSection(&power_lock);
    code = refusal ? refusal : busy == 2 ? ERROR_SHUTDOWN_IN_PROGRESS : busy == 1 ? SHUTDOWN_IS_SCHEDULED : 0;
    if (!code) {
        current = *r;
        busy = r->grace_s ? 1 : 2;
        ResetEvent(abort_event);
    }
    LeaveCriticalSection(&power_lock);
    say_request(code ? "refused" : "accepted", r, code);
    if (!code) CloseHandle(CreateThread(NULL, 0, end_session, NULL, 0, NULL));
    return code;
}

static DWORD take_back(const Request *r)
{
    DWORD code = ERROR_NO_SHUTDOWN_IN_PROGRESS;
    EnterCriticalSection(&power_lock);
    if (busy == 1) { busy = 0; code = 0; SetEvent(abort_event); }
    LeaveCriticalSection(&power_lock);
    say_request(code ? "abort refused" : "aborted", r, code);
    return code;
}

void power_refuse(DWORD code) { refusal = code; }

void power_begin(const char *how, BOOL force)
{
    Request r = {.force = force, .restart = !strcmp(how, "restart"), .log_off = !strcmp(how, "log off")};
    wcscpy(r.api, L"power button");
    decide(&r);
}

/* ---- requests from the machine's programs ---- */

static wchar_t *next_field(wchar_t **rest)
{
    wchar_t *field = *rest, *end = wcschr(field, L'\t');
    if (end) { *end = 0; *rest = end + 1; } else *rest = field + wcslen(field);
    return field;
}

/* Wine has one session for all, so who starts services tells: a process that the services' manager started itself. What a
 * service starts in turn is taken for a program of the customer's session, as its helper on the desktop is. */
static BOOL is_service(DWORD pid)
{
    PROCESSENTRY32W one = {.dwSize = sizeof one};
    DWORD parent = 0;
    BOOL found = FALSE;
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    if (all == INVALID_HANDLE_VALUE) return FALSE;
    for (BOOL more = Process32FirstW(all, &one); more && !parent; more = Process32NextW(all, &one))
        if (one.th32ProcessID == pid) parent = one.th32ParentProcessID;
    for (BOOL more = Process32FirstW(all, &one); more && parent && !found; more = Process32NextW(all, &one))
        found = one.th32ProcessID == parent && !_wcsicmp(one.szExeFile, L"services.exe");
    CloseHandle(all);
    return found;
}

static DWORD answer(wchar_t *message)
{
    Request r = {0};
    wchar_t *rest = message;
    wcsncpy(r.api, next_field(&rest), 39);
    r.flags = wcstoul(next_field(&rest), NULL, 10);
    r.grace_s = wcstoul(next_field(&rest), NULL, 10);
    r.reason = wcstoul(next_field(&rest), NULL, 10);
    r.pid = wcstoul(next_field(&rest), NULL, 10);
    wcsncpy(r.exe, next_field(&rest), MAX_PATH - 1);
    wcsncpy(r.comment, next_field(&rest), 511);
    if (!wcscmp(r.api, L"AbortSystemShutdownW")) return take_back(&r);
    if (!wcscmp(r.api, L"RegFlushKey")) return hive_to_disk(r.comment);
    if (!wcscmp(r.api, L"ExitWindowsEx")) {
        r.restart = (r.flags & (EWX_REBOOT | EWX_RESTARTAPPS)) != 0;
        r.log_off = !(r.flags & (EWX_REBOOT | EWX_RESTARTAPPS | EWX_SHUTDOWN | EWX_POWEROFF));
        r.force = (r.flags & EWX_FORCE) != 0;
    } else {
        r.restart = (r.flags & 4) != 0; /* SHUTDOWN_RESTART */
        /* SHUTDOWN_FORCE_OTHERS 1, SHUTDOWN_FORCE_SELF 2. To a service the customer's session is another one; a program
         * of that session which forces only others, as installers do, leaves its own programs their say. */
        r.force = (r.flags & (is_service(r.pid) ? 3 : 2)) != 0;
    }
    return decide(&r);
}

static DWORD WINAPI attend(void *given)
{
    HANDLE pipe = given;
    wchar_t message[2048] = L"";
    char said[16];
    DWORD n;
    if (ReadFile(pipe, message, sizeof message - 2, &n, NULL)) {
        snprintf(said, sizeof said, "%lu", answer(message));
        WriteFile(pipe, said, (DWORD)strlen(said) + 1, &n, NULL);
        FlushFileBuffers(pipe);
    }
    DisconnectNamedPipe(pipe);
    CloseHandle(pipe);
    return 0;
}

static DWORD WINAPI receive(void *first)
{
    HANDLE pipe = first;
    for (;;) {
        if (ConnectNamedPipe(pipe, NULL) || GetLastError() == ERROR_PIPE_CONNECTED) CloseHandle(CreateThread(NULL, 0, attend, pipe, 0, NULL));
        pipe = CreateNamedPipeW(POWER_PIPE, PIPE_ACCESS_DUPLEX, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, PIPE_UNLIMITED_INSTANCES, 4096,
                                4096, 0, NULL);
    }
    return 0;
}

void power_serve(void)
{
    InitializeCriticalSection(&power_lock);
    abort_event = CreateEventW(NULL, TRUE, FALSE, NULL);
    word_event = CreateEventW(NULL, TRUE, FALSE, NULL);
    HANDLE first = CreateNamedPipeW(POWER_PIPE, PIPE_ACCESS_DUPLEX, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, PIPE_UNLIMITED_INSTANCES,
                                    4096, 4096, 0, NULL);
    CloseHandle(CreateThread(NULL, 0, receive, first, 0, NULL));
}
