/* Stand-in: what RegFlushKey promises. Wine writes its registry every half minute and when its kernel ends in order, so
 * a machine that can lose its power would lose what a program was told is safe.
 *
 * RRSIM_HIVES names the folder where Wine keeps the registry's files, as a path of the host. Without it nothing is done:
 * the kernel of such a machine always ends in order. A saved key has the very form of Wine's own file; it takes that
 * file's place as a whole, as the kernel itself does it.
 */
#include "winlogon.h"

static CRITICAL_SECTION hives_lock;
static INIT_ONCE hives_once = INIT_ONCE_STATIC_INIT;

static BOOL CALLBACK prepare(INIT_ONCE *once, void *given, void **result)
{
    HANDLE token;
    TOKEN_PRIVILEGES wanted = {.PrivilegeCount = 1};
    (void)once; (void)given; (void)result;
    InitializeCriticalSection(&hives_lock);
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES, &token)) return TRUE;
    LookupPrivilegeValueW(NULL, L"SeBackupPrivilege", &wanted.Privileges[0].Luid);
    wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
    AdjustTokenPrivileges(token, FALSE, &wanted, 0, NULL, NULL);
    CloseHandle(token);
    return TRUE;
}

/* A file's content, and that it bears this name, are on disk when this returns 0. */
static DWORD to_disk(const wchar_t *path)
{
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 7, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return GetLastError();
    DWORD code = FlushFileBuffers(file) ? 0 : GetLastError();
    CloseHandle(file);
    return code;
}

static DWORD save(HKEY root, const wchar_t *fresh, const wchar_t *file)
{
    DWORD code = RegSaveKeyW(root, fresh, NULL);
    if (!code) code = to_disk(fresh);
    if (!code && !MoveFileExW(fresh, file, MOVEFILE_REPLACE_EXISTING)) code = GetLastError();
    return code ? code : to_disk(file);
}

DWORD hive_to_disk(const wchar_t *hive)
{
    wchar_t folder[MAX_PATH], fresh[MAX_PATH + 32], file[MAX_PATH + 32];
    BOOL machine = !wcscmp(hive, L"machine");
    DWORD n = GetEnvironmentVariableW(L"RRSIM_HIVES", folder, MAX_PATH);
    if (!n || n >= MAX_PATH) return 0;
    for (wchar_t *c = folder; *c; c++)
        if (*c == L'/') *c = L'\\';
    swprintf(file, MAX_PATH + 32, L"\\\\?\\unix%ls\\%ls", folder, machine ? L"system.reg" : L"user.reg");
    swprintf(fresh, MAX_PATH + 32, L"%ls.rrsim", file);
    InitOnceExecuteOnce(&hives_once, prepare, NULL, NULL);
    EnterCriticalSection(&hives_lock);
    DWORD code = save(machine ? HKEY_LOCAL_MACHINE : HKEY_CURRENT_USER, fresh, file);
    LeaveCriticalSection(&hives_lock);
    Text t = {0};
    text_add(&t, "{\"event\":\"registry flushed\",\"hive\":\"%s\",\"error\":%lu}", machine ? "machine" : "user", code);
    rr_say(&t);
    return code;
}
