/* Stand-in: shutdown.exe for /r /s /l /a with /t /f /c (Wine's own does nothing). "/t" above 0 implies "/f". */
#include "rr.h"

static void allow(void)
{
    HANDLE token;
    TOKEN_PRIVILEGES wanted = {.PrivilegeCount = 1};
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES, &token)) return;
    LookupPrivilegeValueW(NULL, L"SeShutdownPrivilege", &wanted.Privileges[0].Luid);
    wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
    AdjustTokenPrivileges(token, FALSE, &wanted, 0, NULL, NULL);
    CloseHandle(token);
}

int wmain(int count, wchar_t **words)
{
    DWORD flags = 0, wait_s = 30, code;
    wchar_t *comment = NULL;
    BOOL abort = FALSE, log_off = FALSE;
    for (int i = 1; i < count; i++) {
        wchar_t *w = words[i];
        if (*w != L'/' && *w != L'-') return 1;
        if (!_wcsicmp(w + 1, L"r") || !_wcsicmp(w + 1, L"g")) flags |= 4;
        else if (!_wcsicmp(w + 1, L"s") || !_wcsicmp(w + 1, L"sg")) flags |= 8;
        else if (!_wcsicmp(w + 1, L"f")) flags |= 3;
        else if (!_wcsicmp(w + 1, L"a")) abort = TRUE;
        else if (!_wcsicmp(w + 1, L"l")) log_off = TRUE;
        else if (!_wcsicmp(w + 1, L"t") && i + 1 < count) wait_s = wcstoul(words[++i], NULL, 10);
        else if (!_wcsicmp(w + 1, L"c") && i + 1 < count) comment = words[++i];
        else if (!_wcsicmp(w + 1, L"d") && i + 1 < count) i++;
    }
    allow();
    if (log_off) return ExitWindowsEx(EWX_LOGOFF, 0) ? 0 : (int)GetLastError();
    DWORD (WINAPI *initiate)(wchar_t *, wchar_t *, DWORD, DWORD, DWORD) =
        (void *)GetProcAddress(GetModuleHandleW(L"advapi32"), "InitiateShutdownW");
    if (!initiate) return 120;
    if (abort) code = AbortSystemShutdownW(NULL) ? 0 : GetLastError();
    else if (!(flags & 12)) return 1;
    else code = initiate(NULL, comment, wait_s, flags | (wait_s ? 3 : 0), 0x80000000);
    if (code) fwprintf(stderr, L"Windows reported error %lu.\n", code);
    return (int)code;
}
