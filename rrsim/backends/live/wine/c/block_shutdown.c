/* A program with an unsaved document: it refuses WM_QUERYENDSESSION as an editor does (SH-01). No stand-in: an ordinary
 * program of the harness. */
#include <windows.h>

static LRESULT CALLBACK proc(HWND window, UINT message, WPARAM w, LPARAM l)
{
    if (message == WM_QUERYENDSESSION) return FALSE;
    if (message == WM_DESTROY) PostQuitMessage(0);
    return DefWindowProcW(window, message, w, l);
}

int WINAPI wWinMain(HINSTANCE self, HINSTANCE before, wchar_t *line, int show)
{
    WNDCLASSW class = {0};
    MSG message;
    (void)before; (void)line; (void)show;
    class.lpfnWndProc = proc;
    class.hInstance = self;
    class.lpszClassName = L"rrsim unsaved document";
    class.hbrBackground = (HBRUSH)(COLOR_WINDOW + 1);
    RegisterClassW(&class);
    CreateWindowW(class.lpszClassName, L"Unsaved document", WS_OVERLAPPEDWINDOW | WS_VISIBLE, 700, 40, 260, 120, NULL, NULL, self, NULL);
    while (GetMessageW(&message, NULL, 0, 0) > 0) DispatchMessageW(&message);
    return 0;
}
