/* Harness program: the customer restarts, shuts down or signs out from the start menu.
 *
 * Words: restart | off | log off; "force" as a second word.
 */
#include "rr.h"

int wmain(int count, wchar_t **words)
{
    UINT flags = count < 2 || !wcscmp(words[1], L"restart") ? EWX_REBOOT : !wcscmp(words[1], L"off") ? EWX_POWEROFF : EWX_LOGOFF;
    if (count > 2) flags |= EWX_FORCE;
    return ExitWindowsEx(flags, 0x500ff) ? 0 : (int)GetLastError();
}
