/* The customer's session: signing in with Windows' own autostart rules, starting programs, signing out.
 *
 * The rules (Microsoft's documentation of Run and RunOnce keys): a RunOnce value is deleted before its command runs,
 * unless its name begins with "!": then it is deleted after the command has ended. Run, RunOnce and the Startup folder
 * are ignored in safe mode, except RunOnce names with "*". RunOnce commands run one after another and are waited for.
 */
#include "winlogon.h"
#include <shlobj.h>

#define CURRENT L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\"
#define RUN_ONCE_LIMIT_MS 30000 /* a program that stays does not hold the desktop up for ever */

volatile LONG signed_in;
static HANDLE job;

BOOL safe_mode(void)
{
    HKEY key;
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, OPTION_KEY, 0, KEY_READ, &key)) return FALSE;
    RegCloseKey(key);
    return TRUE;
}

static DWORD run(wchar_t *command, DWORD *pid, HANDLE *process)
{
    STARTUPINFOW start = {.cb = sizeof start, .lpDesktop = L"WinSta0\\Default"};
    PROCESS_INFORMATION made;
    wchar_t *expanded = malloc(32768 * sizeof *expanded);
    ExpandEnvironmentStringsW(command, expanded, 32768);
    wchar_t home[MAX_PATH] = L"C:\\";
    SHGetFolderPathW(NULL, CSIDL_PROFILE, NULL, 0, home);
    BOOL ok = CreateProcessW(NULL, expanded, NULL, NULL, FALSE, CREATE_SUSPENDED, NULL, home, &start, &made);
    DWORD error = ok ? 0 : GetLastError();
    free(expanded);
    if (!ok) return error;
    if (job) AssignProcessToJobObject(job, made.hProcess);
    ResumeThread(made.hThread);
    CloseHandle(made.hThread);
    if (pid) *pid = made.dwProcessId;
    if (process) *process = made.hProcess; else CloseHandle(made.hProcess);
    return 0;
}

DWORD session_start(wchar_t *command, DWORD *pid) { return run(command, pid, NULL); }

/* ---- programs of the harness, outside the customer's session ---- */

typedef struct { char *number; DWORD limit_ms; wchar_t *output, *command; } Errand;

static DWORD WINAPI do_errand(void *given)
{
    Errand *e = given;
    SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
    HANDLE out = CreateFileW(e->output, GENERIC_WRITE, 7, &inherit, CREATE_ALWAYS, 0, NULL);
    STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES, .lpDesktop = L"WinSta0\\Default",
                          .hStdInput = GetStdHandle(STD_INPUT_HANDLE), .hStdOutput = out, .hStdError = out};
    PROCESS_INFORMATION made;
    DWORD code = 0, error = 0;
    BOOL late = FALSE;
    if (CreateProcessW(NULL, e->command, NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL, L"C:\\", &start, &made)) {
        late = WaitForSingleObject(made.hProcess, e->limit_ms) != WAIT_OBJECT_0;
        if (late) TerminateProcess(made.hProcess, 1);
        GetExitCodeProcess(made.hProcess, &code);
        CloseHandle(made.hProcess);
        CloseHandle(made.hThread);
    } else error = GetLastError();
    CloseHandle(out);
    Text t = {0};
    text_add(&t, "{\"reply\":\"%s\",\"error\":%lu,\"code\":%lu,\"late\":%s}", e->number, error, code, late ? "true" : "false");
    rr_say(&t);
    free(e->number);
    free(e->output);
    free(e->command);
    free(e);
    return 0;
}

void session_run(const char *number, DWORD limit_ms, const char *output, const char *command)
{
    Errand *e = malloc(sizeof *e);
    *e = (Errand){strdup(number), limit_ms, wide_of(output), wide_of(command)};
    CloseHandle(CreateThread(NULL, 0, do_errand, e, 0, NULL));
}

/* ---- autostart ---- */

static void say_run(const char *from, const wchar_t *name, DWORD error)
{
    Text t = {0};
    text_add(&t, "{\"event\":\"autostart\",\"from\":\"%s\",\"error\":%lu,\"name\":", from, error);
    text_json(&t, name);
    text_add(&t, "}");
    rr_say(&t);
}

/* The name of value number `index`, and its command; FALSE when there are no more. */
static BOOL value_at(HKEY key, DWORD index, wchar_t *name, wchar_t *command)
{
    DWORD name_size = 256, size = 2046 * sizeof *command, type;
    if (RegEnumValueW(key, index, name, &name_size, NULL, &type, (BYTE *)command, &size)) return FALSE;
    command[size / sizeof *command] = 0;
    if (type != REG_SZ && type != REG_EXPAND_SZ) *command = 0;
    return TRUE;
}

static void run_once(HKEY hive, const char *from)
{
    HKEY key;
    wchar_t (*names)[256] = calloc(64, sizeof *names);
    wchar_t command[2048];
    int count = 0;
    if (RegOpenKeyExW(hive, CURRENT L"RunOnce", 0, KEY_ALL_ACCESS, &key)) { free(names); return; }
    while (count < 64 && value_at(key, count, names[count], command)) count++;
    for (int i = 0; i < count; i++) {
        DWORD size = sizeof command - 2, prefix = (DWORD)wcsspn(names[i], L"!*");
        BOOL later = wmemchr(names[i], L'!', prefix) != NULL, forced = wmemchr(names[i], L'*', prefix) != NULL;
        HANDLE process = NULL;
        if (safe_mode() && !forced) continue;
        memset(command, 0, sizeof command);
        if (RegQueryValueExW(key, names[i], NULL, NULL, (BYTE *)command, &size)) continue;
        if (!later) RegDeleteValueW(key, names[i]);
        DWORD error = run(command, NULL, &process);
        say_run(from, names[i], error);
        if (process) {
            WaitForSingleObject(process, RUN_ONCE_LIMIT_MS);
            CloseHandle(process);
        }
        if (later) RegDeleteValueW(key, names[i]);
    }
    RegCloseKey(key);
    free(names);
}

static void run_each(HKEY hive, const char *from)
{
    HKEY key;
    wchar_t name[256], command[2048];
    if (safe_mode() || RegOpenKeyExW(hive, CURRENT L"Run", 0, KEY_READ, &key)) return;
    for (DWORD i = 0; value_at(key, i, name, command); i++) say_run(from, name, run(command, NULL, NULL));
    RegCloseKey(key);
}

static void run_folder(void)
{
    wchar_t folder[MAX_PATH], pattern[MAX_PATH + 8];
    WIN32_FIND_DATAW found;
    if (safe_mode() || SHGetFolderPathW(NULL, CSIDL_STARTUP, NULL, 0, folder)) return;
    swprintf(pattern, MAX_PATH + 8, L"%ls\\*", folder);
    HANDLE search = FindFirstFileW(pattern, &found);
    if (search == INVALID_HANDLE_VALUE) return;
    do {
        wchar_t command[2 * MAX_PATH + 64];
        if (found.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_HIDDEN) || !_wcsicmp(found.cFileName, L"desktop.ini"))
            continue;
        size_t n = wcslen(found.cFileName);
        BOOL program = n > 4 && !_wcsicmp(found.cFileName + n - 4, L".exe");
        swprintf(command, 2 * MAX_PATH + 64, program ? L"\"%ls\\%ls\"" : L"C:\\windows\\system32\\start.exe \"\" \"%ls\\%ls\"", folder,
                 found.cFileName);
        say_run("startup folder", found.cFileName, run(command, NULL, NULL));
    } while (FindNextFileW(search, &found));
    FindClose(search);
}

/* Present exactly while somebody is signed in, as on Windows. */
static void volatile_environment(BOOL there)
{
    HKEY key;
    if (!there) { RegDeleteTreeW(HKEY_CURRENT_USER, L"Volatile Environment"); return; }
    if (RegCreateKeyExW(HKEY_CURRENT_USER, L"Volatile Environment", 0, NULL, REG_OPTION_VOLATILE, KEY_ALL_ACCESS, NULL, &key, NULL))
        return;
    wchar_t user[128] = L"";
    DWORD n = GetEnvironmentVariableW(L"USERNAME", user, 128);
    RegSetValueExW(key, L"USERNAME", 0, REG_SZ, (BYTE *)user, (n + 1) * sizeof *user);
    RegCloseKey(key);
}

static void say_phase(const char *phase)
{
    Text t = {0};
    text_add(&t, "{\"event\":\"phase\",\"phase\":\"%s\"}", phase);
    rr_say(&t);
}

static DWORD WINAPI sign_in(void *number)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
    if (safe_mode()) SetEnvironmentVariableW(L"SAFEBOOT_OPTION", L"NETWORK");
    job = CreateJobObjectW(NULL, NULL);
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_BREAKAWAY_OK;
    SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    volatile_environment(TRUE);
    InterlockedExchange(&signed_in, 1);
    Text t = {0};
    text_add(&t, "{\"event\":\"logged on\",\"number\":\"%s\"}", (char *)number);
    rr_say(&t);
    services_tell(SERVICE_CONTROL_SESSIONCHANGE, SESSION_LOGON, 5000);
    say_phase("shell");
    GetDesktopWindow();
    run_once(HKEY_LOCAL_MACHINE, "HKLM RunOnce");
    run_each(HKEY_LOCAL_MACHINE, "HKLM Run");
    run_each(HKEY_CURRENT_USER, "HKCU Run");
    run_folder();
    run_once(HKEY_CURRENT_USER, "HKCU RunOnce");
    if (signed_in) say_phase("desktop");
    free(number);
    return 0;
}

void session_log_on(const char *number)
{
    if (!signed_in) CloseHandle(CreateThread(NULL, 0, sign_in, strdup(number), 0, NULL));
}

void session_log_off(void)
{
    if (!InterlockedExchange(&signed_in, 0)) return;
    if (job) TerminateJobObject(job, 1);
    CloseHandle(job);
    job = NULL;
    volatile_environment(FALSE);
    services_tell(SERVICE_CONTROL_SESSIONCHANGE, SESSION_LOGOFF, 5000);
}
