/* Harness program: opens Windows' own restart dialog (shell32, ordinal 59) as a driver installation would. */
#include "rr.h"

int WINAPI wWinMain(HINSTANCE self, HINSTANCE before, wchar_t *command, int show)
{
    int (WINAPI *dialog)(HWND, const wchar_t *, DWORD) = (void *)GetProcAddress(LoadLibraryW(L"shell32.dll"), (char *)59);
    (void)self; (void)before; (void)command; (void)show;
    return dialog ? dialog(NULL, L"Device setup has changed your settings.\n\n", EWX_REBOOT) : 1;
}
