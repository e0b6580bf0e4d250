/* Names of everything in the registry that a session could leave behind (an inventory for the witnesses outside). */
#include "winlogon.h"

static const wchar_t *const VALUES[] = { /* keys whose values are listed */
    L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run",
    L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\RunOnce",
    L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\RunServices",
    L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\RunServicesOnce",
    L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System",
    L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon",
    L"SYSTEM\\CurrentControlSet\\Control\\Session Manager",
    L"SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment",
    L"Environment",
};
static const wchar_t *const KEYS[] = { /* keys whose subkeys are listed */
    L"SYSTEM\\CurrentControlSet\\Services",
    L"SYSTEM\\CurrentControlSet\\Control\\SafeBoot\\Network",
    L"SYSTEM\\CurrentControlSet\\Control\\SafeBoot\\Minimal",
    L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application",
    L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall",
    L"SOFTWARE",
};

static void add(Text *t, const char *hive, const wchar_t *path, const wchar_t *name)
{
    wchar_t full[1024];
    swprintf(full, 1024, L"registry:%hs/%ls/%ls", hive, path, name);
    for (wchar_t *c = full; *c && (size_t)(c - full) < wcslen(full) - wcslen(name); c++)
        if (*c == L'\\') *c = L'/';
    if (t->text[t->used - 1] != '[') text_add(t, ",");
    text_json(t, full);
}

static void list(Text *t, HKEY hive, const char *name, const wchar_t *path, BOOL values)
{
    HKEY key;
    wchar_t item[256];
    DWORD room = 256;
    if (RegOpenKeyExW(hive, path, 0, KEY_READ, &key)) return;
    for (DWORD i = 0;; i++, room = 256) {
        LSTATUS status = values ? RegEnumValueW(key, i, item, &room, NULL, NULL, NULL, NULL)
                                : RegEnumKeyExW(key, i, item, &room, NULL, NULL, NULL, NULL);
        if (status) break;
        if (wcsncmp(item, L"rrsim stand-in", 14)) add(t, name, path, item);
    }
    RegCloseKey(key);
}

void registry_say(const char *number)
{
    Text t = {0};
    text_add(&t, "{\"reply\":\"%s\",\"names\":[", number);
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        list(&t, HKEY_LOCAL_MACHINE, "HKLM", VALUES[i], TRUE);
        list(&t, HKEY_CURRENT_USER, "HKCU", VALUES[i], TRUE);
    }
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        list(&t, HKEY_LOCAL_MACHINE, "HKLM", KEYS[i], FALSE);
        list(&t, HKEY_CURRENT_USER, "HKCU", KEYS[i], FALSE);
    }
    text_add(&t, "]}");
    rr_say(&t);
}

/* ---- work that waits for the next boot ---- */

#define MANAGER L"SYSTEM\\CurrentControlSet\\Control\\Session Manager"

static DWORD WINAPI watch_pending(void *unused)
{
    HKEY key;
    BOOL first = TRUE, was = FALSE;
    (void)unused;
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, MANAGER, 0, KEY_READ, &key)) return 1;
    HANDLE changed = CreateEventW(NULL, FALSE, FALSE, NULL);
    for (;;) {
        RegNotifyChangeKeyValue(key, FALSE, REG_NOTIFY_CHANGE_LAST_SET, changed, TRUE);
        BOOL now = !RegQueryValueExW(key, L"PendingFileRenameOperations", NULL, NULL, NULL, NULL);
        if (first || now != was) {
            Text t = {0};
            text_add(&t, "{\"event\":\"pending work\",\"pending\":%s}", now ? "true" : "false");
            rr_say(&t);
        }
        first = FALSE;
        was = now;
        WaitForSingleObject(changed, INFINITE);
    }
}

void registry_watch(void) { CloseHandle(CreateThread(NULL, 0, watch_pending, NULL, 0, NULL)); }
