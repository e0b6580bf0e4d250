/* Stand-in: the shutdown API and the control codes that services get when Windows ends or a person signs in.
 *
 * Wine has no InitiateShutdownW, its ExitWindowsEx ends a session without a supervisor, and its service control manager
 * never sends SHUTDOWN, PRESHUTDOWN or SESSIONCHANGE. Its RegFlushKey flushes nothing, so that one goes to the sign-in
 * helper too, which can. This library takes the name advapi32.dll, passes every other
 * function on to Wine's own library (renamed rradvapi.dll), and reports to the sign-in helper, which holds the power.
 *
 * It is loaded into every process and before the C library, so it uses kernel32 and ntdll only.
 */
#define _ADVAPI32_
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winternl.h>

#define POWER_PIPE L"\\\\.\\pipe\\rrsim-power"
#define SERVICE_PIPE L"\\\\.\\pipe\\rrsim-services"
#define STOP_LIMIT_MS 10000 /* how long a service may take after pre-shutdown; documented for current builds */
#define SESSION_LOGON 5
#define SESSION_LOGOFF 6
#define CUSTOMER_SESSION 1

typedef struct { DWORD size, session; } SessionNotification;
typedef BOOL(WINAPI *SetStatus)(SERVICE_STATUS_HANDLE, SERVICE_STATUS *);
typedef SERVICE_STATUS_HANDLE(WINAPI *RegisterEx)(const wchar_t *, LPHANDLER_FUNCTION_EX, void *);

static HMODULE sechost;
static LPHANDLER_FUNCTION_EX handler;
static void *handler_context;
static wchar_t service_name[128];
static volatile LONG accepted, state;
static HANDLE stopped;

/* ---- small helpers without a C library ---- */

static int length(const wchar_t *s) { int n = 0; while (s[n]) n++; return n; }

static void append(wchar_t *to, int room, const wchar_t *more)
{
    int n = length(to);
    for (int i = 0; more[i] && n < room - 1; i++) to[n++] = more[i] < 32 ? ' ' : more[i];
    to[n] = 0;
}

static void append_number(wchar_t *to, int room, DWORD number)
{
    wchar_t digits[12];
    int n = 11;
    digits[n] = 0;
    do digits[--n] = L'0' + number % 10; while (number /= 10);
    append(to, room, digits + n);
}

static void tab(wchar_t *to, int room)
{
    int n = length(to);
    if (n < room - 1) { to[n] = '\t'; to[n + 1] = 0; }
}

/* ---- restart requests ---- */

/* Sends one request and returns the error code Windows would give. */
static DWORD ask(const wchar_t *api, DWORD flags, DWORD grace_s, DWORD reason, const wchar_t *comment)
{
    wchar_t message[2048] = L"", exe[MAX_PATH] = L"";
    char answer[16] = "";
    DWORD got = 0, code = 0;
    GetModuleFileNameW(NULL, exe, MAX_PATH);
    append(message, 2048, api); tab(message, 2048);
    append_number(message, 2048, flags); tab(message, 2048);
    append_number(message, 2048, grace_s); tab(message, 2048);
    append_number(message, 2048, reason); tab(message, 2048);
    append_number(message, 2048, GetCurrentProcessId()); tab(message, 2048);
    append(message, 2048, exe); tab(message, 2048);
    append(message, 2048, comment ? comment : L"");
    if (!CallNamedPipeW(POWER_PIPE, message, (length(message) + 1) * sizeof(wchar_t), answer, sizeof answer - 1, &got, 5000))
        return ERROR_MACHINE_LOCKED; /* nobody holds the power: the machine is not up */
    for (DWORD i = 0; i < got && answer[i] >= '0' && answer[i] <= '9'; i++) code = code * 10 + answer[i] - '0';
    return code;
}

/* Whether the caller has switched the shutdown privilege on, as Windows demands. */
static BOOL privileged(void)
{
    NTSTATUS (WINAPI *open)(HANDLE, ACCESS_MASK, HANDLE *) = (void *)GetProcAddress(GetModuleHandleW(L"ntdll"), "NtOpenProcessToken");
    NTSTATUS (WINAPI *check)(HANDLE, PRIVILEGE_SET *, BOOLEAN *) = (void *)GetProcAddress(GetModuleHandleW(L"ntdll"), "NtPrivilegeCheck");
    PRIVILEGE_SET set = {1, PRIVILEGE_SET_ALL_NECESSARY, {{{19, 0}, 0}}}; /* 19: SeShutdownPrivilege */
    BOOLEAN has = FALSE;
    HANDLE token;
    if (!open || !check || open(GetCurrentProcess(), TOKEN_QUERY, &token)) return TRUE;
    if (check(token, &set, &has)) has = TRUE;
    CloseHandle(token);
    return has;
}

DWORD WINAPI rr_InitiateShutdownW(wchar_t *machine, wchar_t *message, DWORD grace_s, DWORD flags, DWORD reason)
{
    (void)machine;
    if (!privileged()) return ERROR_ACCESS_DENIED;
    return ask(L"InitiateShutdownW", flags, grace_s, reason, message);
}

BOOL WINAPI rr_InitiateSystemShutdownExW(wchar_t *machine, wchar_t *message, DWORD timeout_s, BOOL force, BOOL reboot, DWORD reason)
{
    (void)machine;
    DWORD code = ERROR_ACCESS_DENIED;
    if (privileged())
        code = ask(L"InitiateSystemShutdownExW", (force ? 3 : 0) | (reboot ? 4 : 8), timeout_s, reason, message);
    SetLastError(code);
    return code == 0;
}

BOOL WINAPI rr_InitiateSystemShutdownW(wchar_t *machine, wchar_t *message, DWORD timeout_s, BOOL force, BOOL reboot)
{
    return rr_InitiateSystemShutdownExW(machine, message, timeout_s, force, reboot, 0);
}

BOOL WINAPI rr_AbortSystemShutdownW(wchar_t *machine)
{
    (void)machine;
    DWORD code = privileged() ? ask(L"AbortSystemShutdownW", 0, 0, 0, NULL) : ERROR_ACCESS_DENIED;
    SetLastError(code);
    return code == 0;
}

static BOOL WINAPI rr_ExitWindowsEx(UINT flags, DWORD reason)
{
    DWORD code = ask(L"ExitWindowsEx", flags, 0, reason, NULL);
    SetLastError(code);
    return code == 0;
}

/* ---- the registry ---- */

typedef struct { ULONG length; wchar_t name[512]; } KeyName;

/* Which file a key is kept in: "\\Registry\\Machine\\..." or "\\Registry\\User\\...". */
static const wchar_t *hive_of(HKEY key)
{
    NTSTATUS (WINAPI *query)(HANDLE, int, void *, ULONG, ULONG *) = (void *)GetProcAddress(GetModuleHandleW(L"ntdll"), "NtQueryKey");
    KeyName found;
    ULONG got;
    if (key == HKEY_LOCAL_MACHINE) return L"machine";
    if (key == HKEY_CURRENT_USER) return L"user";
    if (!query || query(key, 3, &found, sizeof found, &got) || found.length < 11 * sizeof(wchar_t)) return L"";
    return (found.name[10] | 32) == 'm' ? L"machine" : (found.name[10] | 32) == 'u' ? L"user" : L"";
}

LSTATUS WINAPI rr_RegFlushKey(HKEY key)
{
    LSTATUS (WINAPI *real)(HKEY) = (void *)GetProcAddress(GetModuleHandleW(L"kernelbase"), "RegFlushKey");
    LSTATUS code = real ? real(key) : ERROR_PROC_NOT_FOUND;
    const wchar_t *hive = hive_of(key);
    if (code || !*hive) return code;
    code = ask(L"RegFlushKey", 0, 0, 0, hive);
    return code == ERROR_MACHINE_LOCKED ? 0 : code; /* nobody listens yet: as Wine alone answers */
}

/* ---- control codes for services ---- */

/* Carries out one control as the service control manager would; says what became of it. */
static const char *control(DWORD code, DWORD detail)
{
    SessionNotification session = {sizeof session, CUSTOMER_SESSION};
    DWORD needed = code == SERVICE_CONTROL_PRESHUTDOWN ? SERVICE_ACCEPT_PRESHUTDOWN
                   : code == SERVICE_CONTROL_SESSIONCHANGE ? SERVICE_ACCEPT_SESSIONCHANGE : SERVICE_ACCEPT_SHUTDOWN;
    if (!(accepted & needed) || state == SERVICE_STOPPED) return "not accepted";
    if (code == SERVICE_CONTROL_SHUTDOWN && (accepted & SERVICE_ACCEPT_PRESHUTDOWN)) return "not accepted";
    handler(code, code == SERVICE_CONTROL_SESSIONCHANGE ? detail : 0,
            code == SERVICE_CONTROL_SESSIONCHANGE ? &session : NULL, handler_context);
    if (code == SERVICE_CONTROL_SESSIONCHANGE) return "handled";
    return WaitForSingleObject(stopped, STOP_LIMIT_MS) ? "did not stop" : "stopped";
}

static DWORD WINAPI heed(void *unused)
{
    (void)unused;
    for (;;) {
        DWORD order[2], n, mode = PIPE_READMODE_MESSAGE;
        HANDLE pipe = CreateFileW(SERVICE_PIPE, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
        if (pipe == INVALID_HANDLE_VALUE) { Sleep(30); continue; }
        SetNamedPipeHandleState(pipe, &mode, NULL, NULL);
        WriteFile(pipe, service_name, (length(service_name) + 1) * sizeof(wchar_t), &n, NULL);
        while (ReadFile(pipe, order, sizeof order, &n, NULL) && n == sizeof order) {
            const char *said = control(order[0], order[1]);
            DWORD size = 0;
            while (said[size]) size++;
            WriteFile(pipe, said, size + 1, &n, NULL);
        }
        CloseHandle(pipe);
    }
    return 0;
}

/* Wine's own services are not the customer's; they are left alone. */
static BOOL is_own(void)
{
    wchar_t exe[MAX_PATH] = L"", own[] = L"c:\\windows\\system32\\";
    GetModuleFileNameW(NULL, exe, MAX_PATH);
    for (int i = 0; own[i]; i++)
        if ((exe[i] >= 'A' && exe[i] <= 'Z' ? exe[i] + 32 : exe[i]) != own[i]) return FALSE;
    return TRUE;
}

/* Remembers the first handler of the process; a process with several services is told of the first one's only. */
static void remember(SERVICE_STATUS_HANDLE status, LPHANDLER_FUNCTION_EX call, void *context)
{
    if (!status || handler || is_own()) return;
    handler = call;
    handler_context = context;
    stopped = CreateEventW(NULL, TRUE, FALSE, NULL);
    HANDLE thread = CreateThread(NULL, 0, heed, NULL, 0, NULL);
    if (thread) CloseHandle(thread);
}

static void name_it(const wchar_t *wide, const char *narrow)
{
    if (handler) return;
    if (wide) { append(service_name, 128, wide); return; }
    for (int i = 0; narrow && narrow[i] && i < 127; i++) {
        service_name[i] = (unsigned char)narrow[i];
        service_name[i + 1] = 0;
    }
}

/* A handler of the old kind, which only hears a code. */
static DWORD WINAPI old_kind(DWORD code, DWORD type, void *data, void *context)
{
    (void)type; (void)data;
    ((LPHANDLER_FUNCTION)context)(code);
    return 0;
}

SERVICE_STATUS_HANDLE WINAPI rr_RegisterServiceCtrlHandlerExW(const wchar_t *name, LPHANDLER_FUNCTION_EX call, void *context)
{
    RegisterEx real = (RegisterEx)(void *)GetProcAddress(sechost, "RegisterServiceCtrlHandlerExW");
    SERVICE_STATUS_HANDLE status = real(name, call, context);
    name_it(name, NULL);
    remember(status, call, context);
    return status;
}

SERVICE_STATUS_HANDLE WINAPI rr_RegisterServiceCtrlHandlerExA(const char *name, LPHANDLER_FUNCTION_EX call, void *context)
{
    SERVICE_STATUS_HANDLE (WINAPI *real)(const char *, LPHANDLER_FUNCTION_EX, void *) =
        (void *)GetProcAddress(sechost, "RegisterServiceCtrlHandlerExA");
    SERVICE_STATUS_HANDLE status = real(name, call, context);
    name_it(NULL, name);
    remember(status, call, context);
    return status;
}

SERVICE_STATUS_HANDLE WINAPI rr_RegisterServiceCtrlHandlerW(const wchar_t *name, LPHANDLER_FUNCTION call)
{
    SERVICE_STATUS_HANDLE (WINAPI *real)(const wchar_t *, LPHANDLER_FUNCTION) =
        (void *)GetProcAddress(sechost, "RegisterServiceCtrlHandlerW");
    SERVICE_STATUS_HANDLE status = real(name, call);
    name_it(name, NULL);
    remember(status, old_kind, (void *)call);
    return status;
}

SERVICE_STATUS_HANDLE WINAPI rr_RegisterServiceCtrlHandlerA(const char *name, LPHANDLER_FUNCTION call)
{
    SERVICE_STATUS_HANDLE (WINAPI *real)(const char *, LPHANDLER_FUNCTION) =
        (void *)GetProcAddress(sechost, "RegisterServiceCtrlHandlerA");
    SERVICE_STATUS_HANDLE status = real(name, call);
    name_it(NULL, name);
    remember(status, old_kind, (void *)call);
    return status;
}

BOOL WINAPI rr_SetServiceStatus(SERVICE_STATUS_HANDLE service, SERVICE_STATUS *status)
{
    SetStatus real = (SetStatus)(void *)GetProcAddress(sechost, "SetServiceStatus");
    if (status && handler) {
        accepted = status->dwControlsAccepted ? (LONG)status->dwControlsAccepted : accepted;
        state = status->dwCurrentState;
        if (state == SERVICE_STOPPED) SetEvent(stopped);
    }
    return real(service, status);
}

/* ---- user32 is led here by writing a jump over its function ---- */

static void jump(BYTE *at, void *to)
{
    DWORD before, after;
    if (!at || !VirtualProtect(at, 12, PAGE_EXECUTE_READWRITE, &before)) return;
    at[0] = 0x48; at[1] = 0xb8;
    for (int i = 0; i < 8; i++) at[2 + i] = (BYTE)((ULONG_PTR)to >> (8 * i));
    at[10] = 0xff; at[11] = 0xe0;
    VirtualProtect(at, 12, before, &after);
    FlushInstructionCache(GetCurrentProcess(), at, 12);
}

static int (WINAPI *metrics_for)(int, UINT);
static UINT (WINAPI *system_dpi)(void);

/* 67 is SM_CLEANBOOT, and 2 a safe boot with networking. */
static int WINAPI rr_GetSystemMetrics(int which) { return which == 67 ? 2 : metrics_for(which, system_dpi()); }

/* Whether this boot is a safe boot with networking: the sign-in helper's boot part has written it down. */
static BOOL safe_boot(void)
{
    HKEY key;
    HMODULE base = GetModuleHandleW(L"kernelbase");
    LSTATUS (WINAPI *open)(HKEY, const wchar_t *, DWORD, REGSAM, HKEY *) = (void *)GetProcAddress(base, "RegOpenKeyExW");
    LSTATUS (WINAPI *close)(HKEY) = (void *)GetProcAddress(base, "RegCloseKey");
    if (!open || open(HKEY_LOCAL_MACHINE, L"SYSTEM\\CurrentControlSet\\Control\\SafeBoot\\Option", 0, KEY_READ, &key)) return FALSE;
    close(key);
    return TRUE;
}

static void lead_user32(HMODULE user32)
{
    jump((BYTE *)GetProcAddress(user32, "ExitWindowsEx"), (void *)rr_ExitWindowsEx);
    metrics_for = (void *)GetProcAddress(user32, "GetSystemMetricsForDpi");
    system_dpi = (void *)GetProcAddress(user32, "GetDpiForSystem");
    if (metrics_for && system_dpi && safe_boot()) jump((BYTE *)GetProcAddress(user32, "GetSystemMetrics"), (void *)rr_GetSystemMetrics);
}

typedef struct { ULONG flags; const UNICODE_STRING *path, *base; void *image; ULONG size; } Loaded;

static void CALLBACK on_load(ULONG reason, const Loaded *what, void *context)
{
    static const wchar_t name[] = L"user32.dll";
    (void)context;
    if (reason != 1 || what->base->Length != sizeof name - 2) return;
    for (int i = 0; name[i]; i++)
        if ((what->base->Buffer[i] | 32) != (name[i] | 32)) return;
    lead_user32(what->image);
}

BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, void *reserved)
{
    (void)reserved;
    if (reason != DLL_PROCESS_ATTACH) return TRUE;
    DisableThreadLibraryCalls(self);
    sechost = LoadLibraryW(L"sechost.dll");
    HMODULE user32 = GetModuleHandleW(L"user32");
    if (user32) { lead_user32(user32); return TRUE; }
    LONG (WINAPI *watch)(ULONG, void *, void *, void **) =
        (void *)GetProcAddress(GetModuleHandleW(L"ntdll"), "LdrRegisterDllNotification");
    void *cookie;
    if (watch) watch(0, (void *)on_load, NULL, &cookie);
    return TRUE;
}
