/* Stand-in: bcdedit.exe for the one boot option that matters here, safeboot. It keeps it in a file of its own. */
#include "rr.h"
#include <locale.h>

static int done(BOOL ok)
{
    puts(ok ? "The operation completed successfully." : "The boot configuration data store could not be opened.\r\nAccess is denied.");
    return ok ? 0 : 1;
}

static int set_flag(void)
{
    DWORD n;
    CreateDirectoryW(L"C:\\Boot", NULL);
    HANDLE file = CreateFileW(BOOT_FILE, GENERIC_WRITE, 1, NULL, CREATE_ALWAYS, FILE_FLAG_WRITE_THROUGH, NULL);
    if (file == INVALID_HANDLE_VALUE) return done(FALSE);
    BOOL ok = WriteFile(file, "safeboot=network\r\n", 18, &n, NULL) && FlushFileBuffers(file);
    CloseHandle(file);
    return done(ok);
}

static int clear_flag(void)
{
    if (!boot_flag_is_set()) {
        puts("An error occurred while attempting to delete the specified data element.\r\nElement not found.");
        return 1;
    }
    return done(DeleteFileW(BOOT_FILE));
}

static int list(void)
{
    printf("\r\nWindows Boot Loader\r\n-------------------\r\nidentifier              {current}\r\ndevice                  partition=C:\r\n"
           "path                    \\windows\\system32\\winload.exe\r\ndescription             Windows 10\r\n"
           "systemroot              \\windows\r\n");
    if (boot_flag_is_set()) printf("safeboot                Network\r\n");
    return 0;
}

int wmain(int count, wchar_t **words)
{
    int at = 1;
    wchar_t *verb = count > at ? words[at++] : L"/enum";
    if (count > at && words[at][0] == L'{') at++;
    if (!_wcsicmp(verb, L"/enum")) return list();
    if (!_wcsicmp(verb, L"/set") && count > at + 1 && !_wcsicmp(words[at], L"safeboot") && !_wcsicmp(words[at + 1], L"network")) return set_flag();
    if (!_wcsicmp(verb, L"/deletevalue") && count > at && !_wcsicmp(words[at], L"safeboot")) return clear_flag();
    puts("The set command specified is not valid.\r\nRun \"bcdedit /?\" for command line assistance.\r\nThe parameter is incorrect.");
    return 1;
}
