/* A program for tests: asks for a restart. Words: "initiate", "others", "without privilege", "grace", "abort", "exit". Returns Windows' error. */
#include <windows.h>
#include <string.h>

int main(int count, char **words)
{
    DWORD (WINAPI *initiate)(wchar_t *, wchar_t *, DWORD, DWORD, DWORD) =
        (void *)GetProcAddress(LoadLibraryA("advapi32.dll"), "InitiateShutdownW");
    TOKEN_PRIVILEGES wanted = {.PrivilegeCount = 1};
    HANDLE token;
    const char *what = count > 1 ? words[1] : "others"; /* as a service it gets no word */
    if (strcmp(what, "without privilege")) {
        OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES, &token);
        LookupPrivilegeValueA(NULL, "SeShutdownPrivilege", &wanted.Privileges[0].Luid);
        wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
        AdjustTokenPrivileges(token, FALSE, &wanted, 0, NULL, NULL);
    }
    if (!strcmp(what, "exit")) return ExitWindowsEx(EWX_REBOOT, 0) ? 0 : (int)GetLastError();
    if (!strcmp(what, "abort")) return AbortSystemShutdownW(NULL) ? 0 : (int)GetLastError();
    return (int)initiate(NULL, L"for a test", !strcmp(what, "grace") ? 60 : 0,
                         4 | (strcmp(what, "others") ? 2 : 1), 0x80040001);
}
