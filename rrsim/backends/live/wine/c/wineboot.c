/* Stand-in: what comes before Windows' services start (wineboot.exe).
 *
 * At a boot it carries out the boot options: a safe boot is written where Windows writes it, and services that are not
 * listed for safe boot are switched off for this boot. Then Wine's own program does the rest; in its copy,
 * rrwineboot.exe, the name of the RunOnce key is changed, since it would act against Windows' rules there.
 */
#include "rr.h"

#define SERVICES L"SYSTEM\\CurrentControlSet\\Services"
#define KEPT L"rrsim stand-in start" /* the start type to give back at the next boot */

static BOOL listed(const wchar_t *service)
{
    wchar_t path[512];
    HKEY key;
    swprintf(path, 512, L"SYSTEM\\CurrentControlSet\\Control\\SafeBoot\\Network\\%ls", service);
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_READ, &key)) return FALSE;
    RegCloseKey(key);
    return TRUE;
}

static DWORD number(HKEY key, const wchar_t *name, DWORD absent)
{
    DWORD value, size = sizeof value;
    return RegGetValueW(key, NULL, name, RRF_RT_REG_DWORD, NULL, &value, &size) ? absent : value;
}

/* Switches off what has no place in this boot, and gives back what the last safe boot had switched off. */
static void set_services(BOOL safe)
{
    HKEY all, one;
    wchar_t name[256];
    DWORD size = 256, off = SERVICE_DISABLED;
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, SERVICES, 0, KEY_READ, &all)) return;
    for (DWORD i = 0; !RegEnumKeyExW(all, i, name, &size, NULL, NULL, NULL, NULL); i++, size = 256) {
        if (RegOpenKeyExW(all, name, 0, KEY_ALL_ACCESS, &one)) continue;
        DWORD kept = number(one, KEPT, 99), start = number(one, L"Start", 99);
        if (kept != 99) {
            if (start == SERVICE_DISABLED) RegSetValueExW(one, L"Start", 0, REG_DWORD, (BYTE *)&kept, sizeof kept);
            RegDeleteValueW(one, KEPT);
            start = kept;
        }
        if (safe && number(one, L"Type", 0) & SERVICE_WIN32 && start <= SERVICE_DEMAND_START && !listed(name)) {
            RegSetValueExW(one, KEPT, 0, REG_DWORD, (BYTE *)&start, sizeof start);
            RegSetValueExW(one, L"Start", 0, REG_DWORD, (BYTE *)&off, sizeof off);
        }
        RegCloseKey(one);
    }
    RegCloseKey(all);
}

static void set_option(BOOL safe)
{
    HKEY key, environment;
    DWORD network = 2;
    RegDeleteTreeW(HKEY_LOCAL_MACHINE, OPTION_KEY);
    RegOpenKeyExW(HKEY_LOCAL_MACHINE, L"SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment", 0, KEY_ALL_ACCESS, &environment);
    RegDeleteValueW(environment, L"SAFEBOOT_OPTION");
    if (safe && !RegCreateKeyExW(HKEY_LOCAL_MACHINE, OPTION_KEY, 0, NULL, REG_OPTION_VOLATILE, KEY_ALL_ACCESS, NULL, &key, NULL)) {
        RegSetValueExW(key, L"OptionValue", 0, REG_DWORD, (BYTE *)&network, sizeof network);
        RegSetValueExW(environment, L"SAFEBOOT_OPTION", 0, REG_SZ, (BYTE *)L"NETWORK", 16);
        RegCloseKey(key);
    }
    RegCloseKey(environment);
}

int wmain(int count, wchar_t **words)
{
    wchar_t command[1024] = L"C:\\windows\\system32\\rrwineboot.exe";
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION made;
    DWORD code = 1;
    BOOL boot = FALSE;
    for (int i = 1; i < count; i++) {
        wcscat(command, L" ");
        wcsncat(command, words[i], 200);
        if (!wcscmp(words[i], L"--init") || !wcscmp(words[i], L"-i")) boot = TRUE;
    }
    if (boot) {
        BOOL safe = boot_flag_is_set();
        set_option(safe);
        set_services(safe);
    }
    if (!CreateProcessW(L"C:\\windows\\system32\\rrwineboot.exe", command, NULL, NULL, FALSE, 0, NULL, NULL, &start, &made))
        return (int)GetLastError();
    WaitForSingleObject(made.hProcess, INFINITE);
    GetExitCodeProcess(made.hProcess, &code);
    return (int)code;
}
