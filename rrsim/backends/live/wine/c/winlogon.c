/* Stand-in: the sign-in helper (rrwinlogon.exe), which holds the power of one machine.
 *
 * Its supervisor outside speaks to it in lines of fields that are separated by tabs, and hears JSON lines. It is started
 * with each boot and dies with it. Nothing in the machine but the restart API and services speaks to it.
 */
#include "winlogon.h"
#include <winternl.h>

/* A random mark in a volatile key proves the boot; the harness writes it, never the product. */
#define MARK_KEY L"SOFTWARE\\rrsim stand-in\\This boot"

static void reply_identity(const char *number)
{
    struct { LARGE_INTEGER booted, now, bias; ULONG zone, reserved; } times = {0};
    NTSTATUS (WINAPI *query)(int, void *, ULONG, ULONG *) =
        (void *)GetProcAddress(GetModuleHandleW(L"ntdll"), "NtQuerySystemInformation");
    wchar_t mark[128] = L"";
    DWORD size = sizeof mark - 2;
    RegGetValueW(HKEY_LOCAL_MACHINE, MARK_KEY, L"mark", RRF_RT_REG_SZ, NULL, mark, &size);
    query(3, &times, sizeof times, NULL);
    Text t = {0};
    text_add(&t, "{\"reply\":\"%s\",\"boot_time_us\":%lld,\"mark\":", number, (long long)(times.booted.QuadPart / 10));
    text_json(&t, mark);
    text_add(&t, "}");
    rr_say(&t);
}

/* Writes the mark of this boot; the parent key stays, the mark goes with the kernel. */
static void write_mark(const char *utf8)
{
    HKEY parent, key;
    DWORD how;
    wchar_t *mark = wide_of(utf8);
    if (!RegCreateKeyExW(HKEY_LOCAL_MACHINE, L"SOFTWARE\\rrsim stand-in", 0, NULL, 0, KEY_ALL_ACCESS, NULL, &parent, NULL)) {
        if (!RegCreateKeyExW(parent, L"This boot", 0, NULL, REG_OPTION_VOLATILE, KEY_ALL_ACCESS, NULL, &key, &how)) {
            if (how == REG_CREATED_NEW_KEY)
                RegSetValueExW(key, L"mark", 0, REG_SZ, (BYTE *)mark, (DWORD)((wcslen(mark) + 1) * sizeof *mark));
            RegCloseKey(key);
        }
        RegCloseKey(parent);
    }
    free(mark);
}

/* Waits until the service control manager answers: the welcome screen is due then. */
static void wait_for_services(void)
{
    SC_HANDLE manager = NULL;
    for (int tries = 0; tries < 600 && !manager; tries++) {
        manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
        if (!manager) Sleep(50);
    }
    if (manager) CloseServiceHandle(manager);
    Text t = {0};
    text_add(&t, "{\"event\":\"welcome\",\"safe_mode\":%s,\"error\":%lu}", safe_mode() ? "true" : "false",
             manager ? 0UL : GetLastError());
    rr_say(&t);
}

static void obey(char *line)
{
    char *rest = line, *verb = rr_field(&rest), *number = rr_field(&rest);
    if (!strcmp(verb, "identity")) reply_identity(number);
    else if (!strcmp(verb, "mark")) write_mark(number);
    else if (!strcmp(verb, "word")) power_word(number);
    else if (!strcmp(verb, "refuse")) power_refuse((DWORD)strtoul(number, NULL, 10));
    else if (!strcmp(verb, "begin")) power_begin(number, !strcmp(rr_field(&rest), "force"));
    else if (!strcmp(verb, "logon")) session_log_on(number);
    else if (!strcmp(verb, "registry")) registry_say(number);
    else if (!strcmp(verb, "run")) {
        char *limit = rr_field(&rest), *output = rr_field(&rest);
        session_run(number, (DWORD)strtoul(limit, NULL, 10), output, rr_field(&rest));
    } else if (!strcmp(verb, "start")) {
        wchar_t *command = wide_of(rr_field(&rest));
        DWORD pid = 0, error = session_start(command, &pid);
        Text t = {0};
        text_add(&t, "{\"reply\":\"%s\",\"pid\":%lu,\"error\":%lu}", number, pid, error);
        rr_say(&t);
        free(command);
    } else {
        Text t = {0};
        wchar_t *wide = wide_of(verb);
        text_add(&t, "{\"event\":\"not understood\",\"verb\":");
        text_json(&t, wide);
        text_add(&t, "}");
        free(wide);
        rr_say(&t);
    }
}

/* Windows' own winlogon holds the desktop from boot to shutdown. Wine ends a desktop that no program uses, and a program
 * that comes in just then ends up on another desktop of the same name, which the eyes and the customer never see. */
static DWORD WINAPI hold_desktop(void *ready)
{
    MSG message;
    CreateWindowW(L"STATIC", NULL, 0, 0, 0, 0, 0, HWND_MESSAGE, NULL, NULL, NULL);
    SetEvent(ready);
    while (GetMessageW(&message, NULL, 0, 0) > 0) DispatchMessageW(&message);
    return 0;
}

int WINAPI wWinMain(HINSTANCE self, HINSTANCE before, wchar_t *command, int show)
{
    char *line;
    (void)self; (void)before; (void)command; (void)show;
    rr_take_line();
    SetProcessShutdownParameters(0, SHUTDOWN_NORETRY);
    Text t = {0};
    text_add(&t, "{\"event\":\"up\"}");
    rr_say(&t);
    HANDLE ready = CreateEventW(NULL, TRUE, FALSE, NULL);
    CloseHandle(CreateThread(NULL, 0, hold_desktop, ready, 0, NULL));
    registry_watch();
    power_serve();
    services_serve();
    wait_for_services();
    WaitForSingleObject(ready, 10000);
    while ((line = rr_hear())) {
        obey(line);
        free(line);
    }
    return 0;
}
